"""`Sources` of prepared records: crops are cut by tf.data on the host."""

import functools

import jax
import ml_collections

from darkjax import convention as convention_lib
from darkjax import distributed, sources
from darkjax.data import augment, named, pipeline, steps


def from_config(config: ml_collections.ConfigDict) -> sources.Sources:
  """Prepares the records that a configuration names."""
  train = named.training(config)
  val = named.validation(config, box_threshold=config.evaluate.box_threshold)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  share = distributed.split_training(config.train)
  return sources.Sources(
    convention,
    functools.partial(_batches, config, convention, train, share.of_process),
    sources.scorer(
      config, convention, val, functools.partial(_people, val, convention)
    ),
    steps.steps_per_epoch(train, global_batch_size=config.train.batch_size),
    [source.labels_digest for source in (*train, val)],
  )


def _batches(config, convention, train, batch_size, start_step):
  return pipeline.train_batches(
    train,
    convention,
    augment.from_config(config.augmentation),
    batch_size=batch_size,
    seed=config.seed,
    start_step=start_step,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def _people(val, convention, batch_size):
  return pipeline.eval_batches(
    val,
    convention,
    batch_size=batch_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )

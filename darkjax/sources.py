"""The data a configuration names: training batches, and scores on the rest."""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from darkjax import convention as convention_lib
from darkjax import distributed, evaluate
from darkjax.data import (
  augment,
  coco,
  detections,
  faults,
  pipeline,
  source,
  steps,
)
from darkjax.scoring import Evaluation


class Sources(NamedTuple):
  """What `train.fit` needs to know of the data.

  Attributes:
    convention: of the batches, with the skeleton read from the labels.
    batches: first step -> this process's batches from that step on.
    evaluate: (model, variables) -> metrics on the validation set, and a
      picture of some of its people.
    steps_per_epoch: steps that show every person once.
    labels_digests: of the label files, for `guards.check_same_labels`.
  """

  convention: convention_lib.Convention
  batches: Callable[[int], Iterator[dict[str, np.ndarray]]]
  evaluate: Callable[[Any, Any], Evaluation]
  steps_per_epoch: int
  labels_digests: list[str]


def from_config(config: ml_collections.ConfigDict) -> Sources:
  """Prepares the data of a run.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.

  Returns:
    The sources; each process of a run reads its own share.
  """
  train = [_load(config, paths) for paths in config.data.train]
  val = _validation(config)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  share = distributed.split_training(config.train)
  return Sources(
    convention,
    functools.partial(_batches, config, convention, train, share.of_process),
    functools.partial(_evaluate, config, convention, val),
    steps.steps_per_epoch(train, global_batch_size=config.train.batch_size),
    [source.labels_digest for source in (*train, val)],
  )


def _load(config, paths) -> source.Source:
  """Prepares a pair of json and image folder, named from the data's root."""
  annotations, images = _paths(config, paths)
  return coco.load(
    annotations,
    images,
    cache_dir=config.data.cache,
    tolerance=_tolerance(config),
  )


def _tolerance(config) -> faults.Tolerance:
  return faults.Tolerance(config.data.on_error, config.data.max_skipped)


def _paths(config, paths) -> tuple[pathlib.Path, ...]:
  return tuple(pathlib.Path(config.data.root) / path for path in paths)


def _validation(config) -> source.Source:
  """The people to evaluate, or the detected boxes."""
  boxes = config.evaluate.boxes
  return detections.load(
    *_paths(config, config.data.val),
    boxes if boxes == "gt" else pathlib.Path(config.data.root) / boxes,
    score_threshold=config.evaluate.box_threshold,
    cache_dir=config.data.cache,
    tolerance=_tolerance(config),
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


def _evaluate(config, convention, val, model, variables) -> Evaluation:
  batches = pipeline.eval_batches(
    val,
    convention,
    batch_size=-(-config.evaluate.batch_size // jax.process_count()),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  people = evaluate.predict(
    model,
    variables,
    batches,
    convention,
    methods=config.evaluate.methods,
    flip_test=config.evaluate.flip_test,
  )
  val.check_labels()
  metrics = evaluate.score(
    people,
    val.annotations,
    convention.skeleton,
    box_source=val.box_source,
    nms=config.evaluate.nms,
  )
  return Evaluation(
    metrics,
    evaluate.picture(people, convention, *_paths(config, config.data.val))
    if jax.process_index() == 0
    else None,
  )

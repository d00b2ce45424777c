"""The data a configuration names: training batches, and scores on the rest."""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from darkjax import convention as convention_lib
from darkjax import evaluate
from darkjax.data.plan import DataSet
from darkjax.scoring import Evaluation

Batches = Iterator[dict[str, np.ndarray]]


class Sources(NamedTuple):
  """What `train.fit` needs to know of the data.

  Attributes:
    convention: of the batches, with the skeleton read from the labels.
    batches: first step -> this process's batches from that step on.
    evaluate: (model, variables) -> metrics on the validation set, and a
      picture of some of its people.
    steps_per_epoch: steps that show every person once.
    labels_digests: of the label files, for `guards.check_same_labels`.
    pages: what the step cuts images from, where the batches bring none.
  """

  convention: convention_lib.Convention
  batches: Callable[[int], Batches]
  evaluate: Callable[[Any, Any], Evaluation]
  steps_per_epoch: int
  labels_digests: list[str]
  pages: jax.Array | None = None


def from_config(config: ml_collections.ConfigDict) -> Sources:
  """Prepares the data of a run.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.

  Returns:
    The sources; each process of a run reads its own share.

  Raises:
    ValueError: an unknown `config.data.source`; and see the two modules.
  """
  kind, packs = config.data.source, config.data.pack
  if kind == "tf":
    from darkjax import tf_sources  # TensorFlow

    return tf_sources.from_config(config)
  if kind == "resident":
    from darkjax import resident_sources

    return resident_sources.from_config(config, packs)
  raise ValueError(f"unknown data.source {kind!r}; known: tf, resident")


def scorer(
  config: ml_collections.ConfigDict,
  convention: convention_lib.Convention,
  val: DataSet,
  batches: Callable[[int], Batches],
) -> Callable[[Any, Any], Evaluation]:
  """`Sources.evaluate` for a validation set.

  Args:
    config: says how to evaluate.
    convention: of the crops.
    val: the validation set.
    batches: batch size of this process -> its batches of all people.
  """
  return functools.partial(_evaluate, config, convention, val, batches)


def _evaluate(config, convention, val, batches, model, variables):
  people = evaluate.predict(
    model,
    variables,
    batches(-(-config.evaluate.batch_size // jax.process_count())),
    convention,
    methods=config.evaluate.methods,
    flip_test=config.evaluate.flip_test,
  )
  val.check_labels()
  metrics = evaluate.score(
    people,
    val.annotations,
    convention.skeleton,
    category_ids=val.category_ids,
    box_source=val.box_source,
    nms=config.evaluate.nms,
  )
  if jax.process_index() > 0:
    return Evaluation(metrics)
  images = pathlib.Path(config.data.root) / config.data.val[1]
  return Evaluation(
    metrics, evaluate.picture(people, convention, val.annotations, images)
  )

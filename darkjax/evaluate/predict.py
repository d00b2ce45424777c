"""Prediction of a data set on all local devices.

On CPUs a person's keypoints are the same bits in batches of any size and on any
number of devices. XLA chooses the order of a sum by the shape of an operation,
which changes the last digit of float32 (6e-5 px at 500 px) in the decoders'
matrix products, hence decoding runs person by person there; and in convolutions
over fewer than three crops, hence a device gets at least `_FEWEST` people. On
accelerators the last digit may differ.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from darkjax import geometry
from darkjax.convention import METHODS, Convention, Method
from darkjax.evaluate.scores import DatasetPredictions
from darkjax.inference import ensemble
from darkjax.inference.keypoints import Keypoints
from darkjax.inference.predictor import Predictor
from darkjax.runtime import devices, distributed
from darkjax.runtime.timer import Timer

_LOG = logging.getLogger(__name__)

_FEWEST = 4  # people on a device

Batch = dict[str, np.ndarray]


def default_methods(convention: Convention) -> tuple[Method, ...]:
  """Returns the decoders that can read a network, its default one last."""
  softmax = convention.head == "softmax"
  return tuple(m for m in METHODS if m != "integral" or softmax)


def mapping_of(predictor: Predictor) -> devices.Mapping:
  """Returns the mapping that a network was trained with, "pmap" if unknown."""
  return predictor.config.get("train", {}).get("mapping", "pmap")


def predict_dataset(
  predictors: Sequence[Predictor],
  batches: Iterable[Sequence[Batch]],
  *,
  methods: Sequence[Method] | None = None,
  mapping: devices.Mapping | None = None,
) -> DatasetPredictions:
  """Predicts the keypoints of every person once, by each method.

  Args:
    predictors: one network, or an ensemble, whose heatmaps are averaged.
    batches: of this process, one or more: every predictor's crops of the same
      people, as in data/batch.py; rows with mask 0 are left out.
    methods: decoders; all of `default_methods` by default.
    mapping: see `devices.map_rows`; that of the first one's run by default.

  Returns:
    The people of all processes, ordered by image and annotation id; box areas
    are those of the ensemble's reference.
  """
  reference = ensemble.reference_index([p.convention for p in predictors])
  convention = predictors[reference].convention
  methods = tuple(methods or default_methods(convention))
  structures = tuple(dataclasses.replace(p, variables={}) for p in predictors)
  step = _compile_step(
    structures, methods, mapping or mapping_of(predictors[0])
  )
  variables = _replicate([predictor.variables for predictor in predictors])
  timer, parts = Timer(), []
  for crops in timer.waiting("waiting for crops", batches):
    with timer("network and decoding"):
      images = [batch["image"] for batch in crops]
      matrices = [batch["image_from_heatmap"] for batch in crops]
      keypoints = step(variables, (images, matrices))
      parts.append(to_predictions(crops[reference], keypoints))
  _LOG.info("predicted: %s", timer.describe())
  return gather(parts, methods)


@functools.lru_cache(maxsize=8)
def _compile_step(
  predictors: tuple[Predictor, ...],
  methods: tuple[Method, ...],
  mapping: devices.Mapping,
) -> Callable[[Any, Any], dict[str, Keypoints]]:
  """Returns (variables, (images, image_from_heatmap)) -> keypoints by method.

  Each of the three has an entry per predictor.
  """
  reference = ensemble.reference_index([p.convention for p in predictors])
  decoders = {
    method: dataclasses.replace(predictors[reference], method=method)
    for method in methods
  }

  def decode(heatmaps, image_from_heatmap):
    return {
      method: decoder.decode(heatmaps, image_from_heatmap)
      for method, decoder in decoders.items()
    }

  def step(variables, crops):
    images, matrices = crops
    members = zip(predictors, variables, images, strict=True)
    heatmaps = [member.heatmaps(*arrays) for member, *arrays in members]
    averaged = ensemble.average_heatmaps(
      heatmaps,
      matrices,
      reference=reference,
      keep_sum=predictors[0].convention.head == "softmax",
    )
    if jax.default_backend() == "cpu":
      return _map_people(decode, averaged, matrices[reference])
    return decode(averaged, matrices[reference])

  return devices.map_rows(step, mapping=mapping, fewest=_FEWEST)


def _map_people(function, *arrays):
  """Applies a function of batches to one row after the other."""

  def one_row(rows):
    result = function(*(row[None] for row in rows))
    return jax.tree.map(lambda x: x[0], result)

  return jax.lax.map(one_row, arrays)


def _replicate(trees: Sequence[Any]) -> list[Any]:
  """Copies trees to all devices, those given several times once."""
  distinct = {id(tree): tree for tree in trees}
  copies = devices.replicate(distinct)
  return [copies[id(tree)] for tree in trees]


def to_predictions(
  batch: Batch, keypoints: dict[str, Keypoints]
) -> DatasetPredictions:
  """Returns the people of a batch (see data/batch.py), padding removed."""
  real = batch["mask"] > 0
  truth = geometry.apply_affine(
    batch["image_from_heatmap"].astype(np.float64), batch["keypoints_heatmap"]
  )
  return DatasetPredictions(
    image_ids=batch["image_id"][real],
    annotation_ids=batch["annotation_id"][real],
    box_scores=batch["score"][real],
    box_areas=batch["box_area"][real],
    truth=truth[real],
    visible=batch["visibility"][real],
    keypoint_scores=np.asarray(next(iter(keypoints.values())).scores)[real],
    keypoints={
      method: np.asarray(result.keypoints_image)[real]
      for method, result in keypoints.items()
    },
    covariances={
      method: np.asarray(result.covariances)[real]
      for method, result in keypoints.items()
    },
  )


def gather(
  parts: Sequence[DatasetPredictions], methods: Sequence[str]
) -> DatasetPredictions:
  """Joins people of all batches and processes by image and annotation id."""
  people = jax.tree.map(lambda *columns: np.concatenate(columns), *parts)
  people = distributed.gather_rows(people)
  order = np.lexsort((people.annotation_ids, people.image_ids))
  people = jax.tree.map(lambda column: column[order], people)
  # As given: trees of arrays sort the methods.
  ordered = {method: people.keypoints[method] for method in methods}
  return people._replace(keypoints=ordered)

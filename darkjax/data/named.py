"""The data sets that a configuration names, as prepared records."""

import pathlib

import ml_collections

from darkjax.data import coco, detections, digests, faults
from darkjax.data.source import Source


def training(config: ml_collections.ConfigDict) -> list[Source]:
  """Prepares every pair of `config.data.train`."""
  return [
    coco.load(
      *paths_of(config, pair),
      category=config.data.category,
      cache_dir=config.data.cache,
      tolerance=_tolerance(config),
    )
    for pair in config.data.train
  ]


def validation(
  config: ml_collections.ConfigDict, *, box_threshold: float
) -> Source:
  """Prepares `config.data.val`: its people, or the detected boxes.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    box_threshold: lowest score of a detected box.
  """
  boxes = config.evaluate.boxes
  return detections.load(
    *paths_of(config, config.data.val),
    boxes if boxes == "gt" else pathlib.Path(config.data.root) / boxes,
    category=config.data.category,
    score_threshold=box_threshold,
    cache_dir=config.data.cache,
    tolerance=_tolerance(config),
  )


def boxes_digest(config: ml_collections.ConfigDict) -> str:
  """Of the file of detections to evaluate on; "" for the labels' boxes."""
  boxes = config.evaluate.boxes
  if boxes == "gt":
    return ""
  return digests.digest(pathlib.Path(config.data.root) / boxes)


def paths_of(config: ml_collections.ConfigDict, pair) -> list[pathlib.Path]:
  """A pair of json and image folder, from the data's root."""
  return [pathlib.Path(config.data.root) / path for path in pair]


def _tolerance(config) -> faults.Tolerance:
  return faults.Tolerance(config.data.on_error, config.data.max_skipped)

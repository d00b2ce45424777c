"""Scores of predictions: COCO's AP and AR, PCK, PCKh, and their table.

Metrics are named method/metric/boxes, as in dark/AP/gt_boxes.
"""

import dataclasses
import itertools
import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data.mpii import convert
from darkjax.data.people_table import GT_BOXES
from darkjax.metrics import coco, coco_annotations, pck
from darkjax.runtime.timer import Timer
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)

# Shares of the torso's length: the usual threshold of LSP, and a strict one.
PCK_THRESHOLDS = (0.2, 0.05)
SIGMAS = ("checkpoint", "labels")  # whose sigmas OKS has


class DatasetPredictions(NamedTuple):
  """N people of a data set: their predicted keypoints and their labels."""

  image_ids: np.ndarray  # [N] int64
  annotation_ids: np.ndarray  # [N] int64; of detected boxes, their positions
  box_scores: np.ndarray  # [N]
  box_areas: np.ndarray  # [N] of the padded box, image px²
  truth: np.ndarray  # [N, K, 2] labelled keypoints, image px
  visible: np.ndarray  # [N, K], 1 where labelled; 0 for detected boxes
  keypoint_scores: np.ndarray  # [N, K], see `Keypoints.scores`
  keypoints: dict[str, np.ndarray]  # by method, [N, K, 2] image px
  covariances: dict[str, np.ndarray]  # by method, [N, K, 2, 2] image px²


def choose_sigmas(
  checkpoint: Skeleton, labels: Skeleton, which: str
) -> Skeleton:
  """Returns the checkpoint's skeleton with the sigmas of one of `SIGMAS`.

  Warns where these differ.
  """
  if labels.keypoint_names != checkpoint.keypoint_names:
    return checkpoint  # which reading the crops refuses
  both = {"checkpoint": checkpoint, "labels": labels}
  (other,) = both.keys() - {which}
  if difference := skeletons.compare_sigmas(both[which], both[other]):
    _LOG.warning(
      "OKS sigmas are those of the %s (%s); --sigmas=%s uses those of the %s",
      which, difference, other, other,
    )  # fmt: skip
  return dataclasses.replace(checkpoint, sigmas=both[which].sigmas)


def score(
  predictions: DatasetPredictions,
  annotations: str | os.PathLike[str],
  skeleton: Skeleton,
  *,
  category_ids: Sequence[Any] | None = None,
  box_source: str = GT_BOXES,
  nms: str = "hard",
) -> dict[str, float]:
  """Computes the metrics of every method.

  Args:
    predictions: from `predict_dataset`.
    annotations: the COCO-format json with their labels.
    skeleton: its keypoints.
    category_ids: of the people in it, scored as one; by default all categories
      with keypoints.
    box_source: "gt_boxes" or "detections"; written into the names.
    nms: see `coco.to_results`.

  Returns:
    COCO's ten numbers in percent. With the labels' boxes also the mean error in
    image px; PCK (percent of labelled keypoints within a share of the torso),
    or for skeletons without shoulders and hips boxPCK (a share of the box's
    larger side); where the json has head boxes (MPII's) `pck.pckh_table`.

  Raises:
    ValueError: the json has head boxes of some of the people only.
  """
  metrics: dict[str, float] = {}
  timer, content = Timer(), coco_annotations.read_sections(annotations)
  labelled = box_source == GT_BOXES
  if labelled:
    lengths = reference_lengths(predictions, content, skeleton)
    head_sizes = _head_sizes(predictions, annotations, content)
  for method in predictions.keypoints:
    with timer("rescoring and NMS"):
      results = to_results(
        predictions,
        method,
        skeleton,
        category_id=(category_ids or [first_category_id(content)])[0],
        nms=nms,
      )
    with timer("COCO's AP"):
      numbers = coco.average_precision(
        content,
        results,
        sigmas=skeleton.sigmas,
        category_ids=category_ids,
        box_source=box_source,
      )
    if labelled:
      with timer("distances"):
        errors = _distances(predictions, method, lengths, head_sizes)
      numbers |= {f"{name}/{box_source}": x for name, x in errors.items()}
    metrics |= {f"{method}/{name}": value for name, value in numbers.items()}
  people = len(predictions.image_ids)
  _LOG.info("scored %d people: %s", people, timer.describe())
  return metrics


def to_results(
  predictions: DatasetPredictions,
  method: str,
  skeleton: Skeleton,
  *,
  category_id: int | str = 1,
  nms: str = "hard",
) -> list[dict[str, Any]]:
  """Returns a method's results in COCO's upload format, without duplicates."""
  people = coco.Predictions(
    image_ids=predictions.image_ids,
    keypoints=predictions.keypoints[method],
    keypoint_scores=predictions.keypoint_scores,
    box_scores=predictions.box_scores,
    box_areas=predictions.box_areas,
  )
  return coco.to_results(people, category_id, sigmas=skeleton.sigmas, nms=nms)


def first_category_id(content) -> int | str:
  """Returns the first category with keypoints; COCO's person is 1."""
  categories = content["categories"]
  with_keypoints = [c for c in categories if c.get("keypoints")]
  return (with_keypoints or categories)[0]["id"]


def reference_lengths(predictions, content, skeleton) -> dict[str, np.ndarray]:
  """Returns [N] px by metric: PCK's torso, or the larger side of the box."""
  if {"left_shoulder", "right_hip"} <= set(skeleton.keypoint_names):
    return {
      "PCK": pck.torso_length(predictions.truth, predictions.visible, skeleton)
    }
  by_id = {person["id"]: person["bbox"] for person in content["annotations"]}
  missing = [np.nan] * 4
  boxes = [by_id.get(int(i), missing) for i in predictions.annotation_ids]
  return {"boxPCK": pck.box_length(np.array(boxes).reshape(-1, 4))}


def _head_sizes(predictions, annotations, content) -> np.ndarray | None:
  """Returns [N] image px, or None for a json without head boxes."""
  if not any("headbox" in person for person in content["annotations"]):
    return None
  return pck.head_size(
    convert.read_headboxes(annotations, predictions.annotation_ids)
  )


def _distances(predictions, method, lengths, head_sizes) -> dict[str, float]:
  keypoints = predictions.keypoints[method]
  labels = predictions.truth, predictions.visible
  numbers = {"error_px": pck.mean_error(keypoints, *labels)}
  for name, length in lengths.items():
    for threshold in PCK_THRESHOLDS:
      share = pck.pck(keypoints, *labels, length, threshold).mean
      numbers[f"{name}@{threshold}"] = 100 * share
  if head_sizes is not None:
    numbers |= pck.pckh_table(keypoints, *labels, head_sizes)
  return numbers


def table(metrics: dict[str, float]) -> str:
  """Formats metrics as text: a row per method, a column per metric.

  Metrics with parts, as PCKh@0.5/Head, follow in a table for each.
  """
  names = [name.split("/", 1) for name in metrics]
  methods = list(dict.fromkeys(method for method, _ in names))
  columns = list(dict.fromkeys(column for _, column in names))
  tables: dict[str, list[str]] = {}
  for column in columns:
    metric, *part, boxes = column.split("/")
    tables.setdefault(metric if part else "", []).append(column)
  lines = [_lines(metrics, methods, group) for group in tables.values()]
  return "\n".join([*itertools.chain(*lines), f"boxes: {boxes}"])


def _lines(metrics, methods, columns) -> list[str]:
  """Returns the lines of one table, cells aligned to the right."""
  rows = [["", *(column.rsplit("/", 1)[0] for column in columns)]]
  for method in methods:
    values = (metrics[f"{method}/{column}"] for column in columns)
    rows.append([method, *(f"{value:.2f}" for value in values)])
  return align(rows)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
  """Returns the lines of a table, cells aligned to the right."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return ["  ".join(map(str.rjust, row, widths)) for row in rows]

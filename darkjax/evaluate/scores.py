"""Scores of predicted people: COCO's AP and AR, PCK, PCKh, and their table.

Metrics are named method/metric/boxes, as in dark/AP/gt_boxes.
"""

import itertools
import logging
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.mpii import convert
from darkjax.data.people_table import GT_BOXES
from darkjax.metrics import coco, pck
from darkjax.runtime.json_file import read_json
from darkjax.runtime.timer import Stages
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)

# PCK counts a keypoint within this share of the torso's length as correct: the
# usual threshold of LSP, and a strict one.
PCK_THRESHOLDS = (0.2, 0.05)


class People(NamedTuple):
  """N people, what was found in them and what is true.

  Attributes:
    image_ids: [N] int64.
    annotation_ids: [N] int64; of detected boxes, their positions in the file.
    box_scores: [N].
    box_areas: [N] of the padded box, image px².
    truth: [N, K, 2] labelled keypoints, image px.
    visible: [N, K], 1 where labelled; 0 everywhere for detected boxes, which
      nobody labelled.
    keypoint_scores: [N, K] maxima of the heatmaps.
    keypoints: by method, [N, K, 2] in image px.
  """

  image_ids: np.ndarray
  annotation_ids: np.ndarray
  box_scores: np.ndarray
  box_areas: np.ndarray
  truth: np.ndarray
  visible: np.ndarray
  keypoint_scores: np.ndarray
  keypoints: dict[str, np.ndarray]


def score(
  people: People,
  annotations: str | pathlib.Path,
  skeleton: Skeleton,
  *,
  category_ids: Sequence[Any] | None = None,
  box_source: str = GT_BOXES,
  nms: str = "hard",
) -> dict[str, float]:
  """The metrics of every method.

  Args:
    people: from `predict`.
    annotations: the COCO-format json they come from.
    skeleton: its keypoints.
    category_ids: of the people in it, scored as one; None for all categories
      with keypoints.
    box_source: "gt_boxes" or "detections"; written into the names.
    nms: see `coco.to_results`.

  Returns:
    COCO's ten numbers in percent. For the labels' boxes, whose people are
    known, also the mean error in image px; PCK (percent of labelled keypoints
    within a share of the torso) or, where the skeleton has no shoulders and
    hips, boxPCK (a share of the labelled box's larger side); where the json has
    head boxes (MPII's, see data/mpii.py) PCKh, mean and by body part, as in
    `pck.pckh_table`.

  Raises:
    ValueError: the json has head boxes of some of the people only.
  """
  metrics, stages = {}, Stages()
  known = box_source == GT_BOXES
  category_id = (category_ids or [read_category_id(annotations)])[0]
  head_sizes = _head_sizes(people, annotations) if known else None
  lengths = _lengths(people, annotations, skeleton) if known else {}
  for method in people.keypoints:
    with stages("rescoring and NMS"):
      found = results(
        people, method, skeleton, nms=nms, category_id=category_id
      )
    with stages("COCO's AP"):
      numbers = coco.average_precision(
        annotations,
        found,
        sigmas=skeleton.sigmas,
        category_ids=category_ids,
        box_source=box_source,
      )
    if known:
      with stages("distances"):
        numbers |= _distances(people, method, lengths, box_source)
        numbers |= _pckh(people, method, head_sizes, box_source)
    metrics |= {f"{method}/{name}": value for name, value in numbers.items()}
  _LOG.info("scored %d people: %s", len(people.image_ids), stages.describe())
  return metrics


def results(
  people: People,
  method: str,
  skeleton: Skeleton,
  *,
  category_id: int = 1,
  nms: str = "hard",
) -> list[dict[str, Any]]:
  """What a method found, in COCO's upload format, duplicates removed."""
  predictions = coco.Predictions(
    image_ids=people.image_ids,
    keypoints=people.keypoints[method],
    keypoint_scores=people.keypoint_scores,
    box_scores=people.box_scores,
    box_areas=people.box_areas,
  )
  return coco.to_results(
    predictions, category_id, sigmas=skeleton.sigmas, nms=nms
  )


def read_category_id(annotations: str | pathlib.Path) -> int:
  """Id of the first category of a json that has keypoints; COCO's person is 1.

  Several such categories are scored as one, see `coco_eval`.
  """
  categories = read_json(annotations)["categories"]
  with_keypoints = [c for c in categories if c.get("keypoints")]
  return (with_keypoints or categories)[0]["id"]


def _distances(people, method, lengths, box_source) -> dict[str, float]:
  measured = people.keypoints[method], people.truth, people.visible
  numbers = {f"error_px/{box_source}": pck.mean_error(*measured)}
  for name, length in lengths.items():
    for threshold in PCK_THRESHOLDS:
      share = pck.pck(*measured, length, threshold).mean
      numbers[f"{name}@{threshold}/{box_source}"] = 100 * share
  return numbers


def _lengths(people, annotations, skeleton) -> dict[str, np.ndarray]:
  """What PCK is a share of, [N] by name: the torso, or the larger box side."""
  if {"left_shoulder", "right_hip"} <= set(skeleton.keypoint_names):
    torso = pck.torso_length(people.truth, people.visible, skeleton)
    return {"PCK": torso}
  content = read_json(annotations)
  boxes = {p["id"]: p["bbox"] for p in content["annotations"]}
  unknown = [np.nan] * 4
  boxes = [boxes.get(int(i), unknown) for i in people.annotation_ids]
  return {"boxPCK": pck.box_length(np.array(boxes).reshape(-1, 4))}


def _head_sizes(people, annotations) -> np.ndarray | None:
  """[N] image px, or None for a json without head boxes."""
  content = read_json(annotations)
  if not any("headbox" in person for person in content["annotations"]):
    return None
  return pck.head_size(
    convert.read_headboxes(annotations, people.annotation_ids)
  )


def _pckh(people, method, head_sizes, box_source) -> dict[str, float]:
  if head_sizes is None:
    return {}
  shares = pck.pckh_table(
    people.keypoints[method], people.truth, people.visible, head_sizes
  )
  return {f"{name}/{box_source}": share for name, share in shares.items()}


def table(metrics: dict[str, float]) -> str:
  """Metrics as text: a row per method, a column per metric.

  Metrics with parts, as PCKh@0.5/Head, follow in a table for each.
  """
  names = [name.split("/", 1) for name in metrics]
  methods = list(dict.fromkeys(method for method, _ in names))
  columns = list(dict.fromkeys(column for _, column in names))
  tables = {}
  for column in columns:
    metric, *part, boxes = column.split("/")
    tables.setdefault(metric if part else "", []).append(column)
  rows = [_text(metrics, methods, group) for group in tables.values()]
  return "\n".join([*itertools.chain(*rows), f"boxes: {boxes}"])


def _text(metrics, methods, columns) -> list[str]:
  """Lines of one table, cells of a column aligned to the right."""
  lines = [["", *(column.rsplit("/", 1)[0] for column in columns)]]
  for method in methods:
    values = (metrics[f"{method}/{column}"] for column in columns)
    lines.append([method, *(f"{value:.2f}" for value in values)])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return [
    "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
    for line in lines
  ]

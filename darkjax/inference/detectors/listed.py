"""Outputs that list boxes with their classes, duplicates removed."""

from collections.abc import Sequence

import numpy as np

from darkjax.inference.detectors.outputs import (
  Candidates,
  Input,
  Outputs,
  corners_of,
  person_column,
)


def match_end_to_end(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [B, N, 6] (x0, y0, x1, y1, score, class), px.

  Of networks for keypoints or masks, by their metadata, more may follow.
  """
  name, array = next(iter(outputs.items()))
  if array.ndim != 3 or array.dtype.kind != "f":
    return None
  more = given.metadata.get("task") in ("pose", "segment")
  fits = array.shape[2] == 6 or (more and array.shape[2] > 6)
  return [name] if fits else None


def read_end_to_end(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_end_to_end` finds."""
  rows = arrays[0][0]
  rows = rows[rows[:, 5] == person_class]
  return Candidates(rows[:, :4], rows[:, 4])


def match_yolov7(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [N, 7] (image, x0, y0, x1, y1, class, score), px."""
  name, array = next(iter(outputs.items()))
  fits = array.ndim == 2 and array.shape[1] == 7 and array.dtype.kind == "f"
  return [name] if fits else None


def read_yolov7(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_yolov7` finds of the first image."""
  rows = arrays[0]
  rows = rows[(rows[:, 0] == 0) & (rows[:, 5] == person_class)]
  return Candidates(rows[:, 1:5], rows[:, 6])


def _match_labels(outputs: Outputs, *, ndim: int, columns: int) -> list[str]:
  """Returns the names of labels [..., N], boxes [..., N, columns], scores.

  Labels are the integers; names are missing where nothing fits.
  """
  labels = [n for n, array in outputs.items() if array.dtype.kind == "i"]
  if len(labels) != 1 or outputs[labels[0]].ndim != ndim:
    return []
  shape = outputs[labels[0]].shape
  floats = {n: a.shape for n, a in outputs.items() if a.dtype.kind == "f"}
  boxes = [n for n, other in floats.items() if other == (*shape, columns)]
  scores = [n for n, other in floats.items() if other == shape]
  return [*labels, *boxes, *scores]


def match_torchvision(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches labels [N], boxes [N, 4] (x0, y0, x1, y1), px, and scores [N]."""
  names = _match_labels(outputs, ndim=1, columns=4)
  return names if len(names) == 3 else None


def match_detr(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches as `match_torchvision`, each with a batch axis."""
  names = _match_labels(outputs, ndim=2, columns=4)
  return names if len(names) == 3 else None


def match_mmdeploy(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches labels [B, N] and [B, N, 5] (x0, y0, x1, y1, score), px."""
  names = _match_labels(outputs, ndim=2, columns=5)
  return names if len(names) == 2 else None


def read_torchvision(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_torchvision` finds."""
  labels, boxes, scores = arrays
  people = labels == person_class
  return Candidates(boxes[people], scores[people])


def read_detr(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_detr` finds."""
  first = [array[0] for array in arrays]
  return read_torchvision(first, given, person_class)


def read_mmdeploy(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_mmdeploy` finds."""
  labels, rows = (array[0] for array in arrays)
  rows = rows[labels == person_class]
  return Candidates(rows[:, :4], rows[:, 4])


def match_rfdetr(outputs: Outputs, given: Input) -> Sequence[str] | None:
  """Matches "dets" [B, N, 4], parts of the input, and "labels" [B, N, C].

  The labels are logits; masks may follow.
  """
  names = ("dets", "labels")
  if not set(names) <= set(outputs):
    return None
  boxes, logits = (outputs[name] for name in names)
  fits = boxes.ndim == logits.ndim == 3 and boxes.shape[2] == 4
  same = boxes.shape[:2] == logits.shape[:2] and logits.dtype.kind == "f"
  return names if fits and same else None


def read_rfdetr(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_rfdetr` finds."""
  boxes, logits = (array[0].astype(np.float64) for array in arrays)
  height, width = given.size
  corners = corners_of(boxes) * (width, height, width, height)
  logit = person_column(logits, 0, person_class)
  return Candidates(corners, 1 / (1 + np.exp(-np.clip(logit, -500, 500))))

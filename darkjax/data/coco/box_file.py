"""Boxes of people as json files hold them: detections, or annotations."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images.spelling import with_slashes
from darkjax.metrics.coco_fields import is_id, read_annotation
from darkjax.metrics.coco_problems import finite_numbers

_LOG = logging.getLogger(__name__)

EXAMPLE = (
  '[{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}]'
)
# Sides of up to 1e9 px have an area that is still a float32.
LARGEST = 1e9


class Box(NamedTuple):
  """One box of a file; None for what the file does not have."""

  image_id: int | str | None  # text where detectors write the file's name
  file_name: str | None  # with "/" between folders
  bbox: np.ndarray  # [4] float64 (x, y, w, h), image px
  score: float  # of the detector; 1 where the file has none
  category_id: Any
  iscrowd: bool


def parse_boxes(records: Sequence[Any], path: Any) -> list[Box]:
  """Returns the boxes of a json list.

  Records are dictionaries with bbox (x, y, w, h), image_id or file_name, and
  perhaps score, category_id and iscrowd.

  Raises:
    ValueError: a missing or wrong field; names the position, from 0.
  """
  return [_parse(r, f"{path}: box {n}") for n, r in enumerate(records)]


def _parse(record: Any, name: str) -> Box:
  fields = record if isinstance(record, Mapping) else {}
  missing = ["bbox"] if fields.get("bbox") is None else []
  image_id, file_name = fields.get("image_id"), fields.get("file_name")
  if image_id is None and file_name is None:
    missing.insert(0, "image_id (or file_name)")
  if missing:
    raise ValueError(
      f"{name} has no {missing}, got {str(record)[:120]}; boxes are a list "
      f"{EXAMPLE}"
    )
  fields = read_annotation(fields)
  image_id, category_id = fields.get("image_id"), fields.get("category_id")
  bbox = finite_numbers(fields["bbox"], (4,), largest=LARGEST)
  score = finite_numbers(fields.get("score", 1.0), ())
  if image_id is not None and not is_id(image_id):
    wrong, rule = "image_id", "an integer or a text"
  elif category_id is not None and not is_id(category_id):
    wrong, rule = "category_id", "an integer or a text"
  elif fields["iscrowd"] not in (0, 1):
    wrong, rule = "iscrowd", "0 or 1"
  elif bbox is None:
    wrong, rule = "bbox", "four numbers (x, y, w, h) of up to 1e9 px"
  elif score is None:
    wrong, rule = "score", "a finite number"
  else:
    file_name = None if file_name is None else with_slashes(str(file_name))
    iscrowd = bool(fields["iscrowd"])
    return Box(image_id, file_name, bbox, float(score), category_id, iscrowd)
  raise ValueError(
    f"{name}: {wrong!r} must be {rule}, got {fields[wrong]!r}; correct the file"
  )


def warn_of_units(boxes: Sequence[Box], path: Any) -> None:
  """Warns of boxes that look like fractions of the image in place of px."""
  small = sum(bool((np.abs(box.bbox) <= 1.5).all()) for box in boxes)
  if small > 0.5 * len(boxes):
    _LOG.warning(
      "%s: %d of %d boxes lie in 0..1, like fractions of the image; boxes are "
      "(x, y, w, h) in px",
      path, small, len(boxes),
    )  # fmt: skip


def warn_of_corners(
  bbox: np.ndarray, image_size: np.ndarray, path: Any
) -> None:
  """Warns of boxes that look like (x1, y1, x2, y2) in place of (x, y, w, h).

  Args:
    bbox: [N, 4] of the file.
    image_size: [N, 2] (height, width), px.
    path: of the file, for the message.
  """
  size = image_size[:, ::-1] + 1.0
  beyond = (bbox[:, :2] + bbox[:, 2:] > size).any(-1)
  corners = ((bbox[:, 2:] > bbox[:, :2]) & (bbox[:, 2:] <= size)).all(-1)
  if len(bbox) and corners.mean() > 0.9 and (corners & beyond).mean() > 0.1:
    _LOG.warning(
      "%s: %d of %d boxes leave their image, and nearly all look like (x1, y1, "
      "x2, y2); boxes are (x, y, w, h)",
      path, beyond.sum(), len(bbox),
    )  # fmt: skip

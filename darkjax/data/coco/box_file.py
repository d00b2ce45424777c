"""Boxes of people as json files hold them: detections, or annotations."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.metrics import coco_annotations

EXAMPLE = (
  '[{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}]'
)
# Sides of up to 1e9 px have an area that is still a float32.
_LARGEST = 1e9


class Box(NamedTuple):
  """One box of a file; None for what the file does not have."""

  image_id: int | None
  file_name: str | None  # with "/" between folders
  bbox: np.ndarray  # [4] float64 (x, y, w, h), image px
  score: float  # of the detector; 1 where the file has none
  category_id: Any
  iscrowd: bool


def parse_boxes(
  records: Sequence[Any], path: Any, *, required: Sequence[str] = ()
) -> list[Box]:
  """Returns the boxes of a json list.

  Args:
    records: dictionaries with bbox (x, y, w, h) and image_id or file_name, and
      perhaps score, category_id and iscrowd.
    path: of the file, for messages.
    required: further fields that each must have.

  Raises:
    ValueError: one without a field or with other content; it is named by its
      position, from 0.
  """
  return [
    _parse(record, f"{path}: box {n}", ("bbox", *required))
    for n, record in enumerate(records)
  ]


def _parse(record: Any, name: str, required: tuple[str, ...]) -> Box:
  fields = record if isinstance(record, Mapping) else {}
  missing = [field for field in required if fields.get(field) is None]
  image_id, file_name = fields.get("image_id"), fields.get("file_name")
  if image_id is None and file_name is None and "image_id" not in missing:
    missing.insert(0, "image_id (or file_name)")
  if missing:
    raise ValueError(
      f"{name} has no {missing}, got {str(record)[:120]}; boxes are a list "
      f"{EXAMPLE}"
    )
  category_id = fields.get("category_id")
  bbox = coco_annotations.finite_numbers(fields["bbox"], (4,), largest=_LARGEST)
  score = coco_annotations.finite_numbers(fields.get("score", 1.0), ())
  for field, valid, rule in (
    ("image_id", image_id is None or _is_integer(image_id), "an integer"),
    ("bbox", bbox is not None, "four numbers (x, y, w, h) of up to 1e9 px"),
    ("score", score is not None, "a finite number"),
    (
      "category_id",
      category_id is None or coco_annotations.is_id(category_id),
      "an integer",
    ),
  ):
    if not valid:
      raise ValueError(
        f"{name}: {field!r} must be {rule}, got {fields[field]!r}; correct the "
        "file"
      )
  return Box(
    image_id,
    None if file_name is None else with_slashes(str(file_name)),
    bbox,
    float(score),
    category_id,
    bool(fields.get("iscrowd")),
  )


def _is_integer(value: Any) -> bool:
  return isinstance(value, int) and abs(value) <= coco_annotations.LARGEST_ID


def with_slashes(file_name: str) -> str:
  """Returns the name with "/" between folders, also where Windows wrote it."""
  return file_name.replace("\\", "/")

"""Boxes of people as json files hold them: detections, or annotations."""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images.names import FileNames
from darkjax.metrics.coco_annotations import LARGEST_ID, finite_numbers, is_id

_LOG = logging.getLogger(__name__)

EXAMPLE = (
  '[{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}]'
)
# Sides of up to 1e9 px have an area that is still a float32.
_LARGEST = 1e9


class Box(NamedTuple):
  """One box of a file; None for what the file does not have."""

  image_id: int | str | None  # text where detectors write the file's name
  file_name: str | None  # with "/" between folders
  bbox: np.ndarray  # [4] float64 (x, y, w, h), image px
  score: float  # of the detector; 1 where the file has none
  category_id: Any
  iscrowd: bool


def parse_boxes(
  records: Sequence[Any], path: Any, *, required: Sequence[str] = ()
) -> list[Box]:
  """Returns the boxes of a json list.

  Records are dictionaries with bbox (x, y, w, h), image_id or file_name, the
  `required` fields, and perhaps score, category_id and iscrowd.

  Raises:
    ValueError: a missing or wrong field; names the position, from 0.
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
  bbox = finite_numbers(fields["bbox"], (4,), largest=_LARGEST)
  score = finite_numbers(fields.get("score", 1.0), ())
  if not (
    image_id is None
    or (isinstance(image_id, int) and abs(image_id) <= LARGEST_ID)
    or (isinstance(image_id, str) and image_id)
  ):
    wrong, rule = "image_id", "an integer, or the file's name"
  elif category_id is not None and not is_id(category_id):
    wrong, rule = "category_id", "an integer"
  elif bbox is None:
    wrong, rule = "bbox", "four numbers (x, y, w, h) of up to 1e9 px"
  elif score is None:
    wrong, rule = "score", "a finite number"
  else:
    file_name = None if file_name is None else with_slashes(str(file_name))
    iscrowd = bool(fields.get("iscrowd"))
    return Box(image_id, file_name, bbox, float(score), category_id, iscrowd)
  raise ValueError(
    f"{name}: {wrong!r} must be {rule}, got {fields[wrong]!r}; correct the file"
  )


def with_image_ids(
  boxes: Sequence[Box], file_names: Mapping[int, str], path: Any
) -> list[Box]:
  """Returns boxes with the image ids of a json, found by the files' names.

  A box's file_name decides, then a text image_id, as the name or stem of a file
  (Ultralytics) or as a number. Boxes of no such image stay as they are.

  Args:
    boxes: of `parse_boxes`.
    file_names: of the json's images, by id.
    path: of the boxes, for messages.
  """
  names = FileNames(file_names.values())
  ids = {name: image_id for image_id, name in file_names.items()}

  @functools.cache
  def find(name: str) -> int | None:
    return ids.get(names.find(name) or "")

  def image_id(box: Box) -> int | str | None:
    by_name = find(box.file_name) if box.file_name else None
    if by_name is None and isinstance(box.image_id, str):
      by_name = find(box.image_id)
      if by_name is None and box.image_id.isdecimal():
        by_name = int(box.image_id)
    return box.image_id if by_name is None else by_name

  resolved = [box._replace(image_id=image_id(box)) for box in boxes]
  differing = [
    (old, new)
    for old, new in zip(boxes, resolved, strict=True)
    if isinstance(old.image_id, int) and old.image_id != new.image_id
  ]
  if differing:
    old, new = differing[0]
    _LOG.warning(
      "%s: the image_id of %d boxes is not that of their file_name (%s is %s, "
      "not %s); file_name counts",
      path, len(differing), old.file_name, new.image_id, old.image_id,
    )  # fmt: skip
  return resolved


def with_slashes(file_name: str) -> str:
  """Returns the name with "/" between folders, also where Windows wrote it."""
  return file_name.replace("\\", "/")

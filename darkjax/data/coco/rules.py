"""What an annotation must hold to be used; each rule has a name and a fix."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_LARGEST_ID = 2**63 - 1  # of the tables, which hold int64
_LARGEST = float(np.finfo(np.float32).max)  # and float32


class Problem(NamedTuple):
  """What is wrong with one annotation.

  Attributes:
    rule: its name, one of "id", "image", "box", "area", "keypoints",
      "visibility", "score".
    text: what was expected and what came, and the fix.
  """

  rule: str
  text: str


def category_problems(categories: Sequence[Mapping]) -> Iterator[str]:
  """What is wrong with the outline of categories that have keypoints."""
  for category in categories:
    keypoints = category.get("keypoints")
    listed = isinstance(keypoints, list) and _is_id(category.get("id"))
    if keypoints and not listed:
      yield (
        f"category {category.get('name')!r} needs an 'id' (an integer) and a "
        f"list of names as its 'keypoints', got {category.get('id')!r} and "
        f"{keypoints!r}"
      )


def membership_problems(annotations: Sequence[Mapping]) -> Iterator[str]:
  """Annotations of which nobody can say what category they are of."""
  for annotation in annotations:
    value = annotation.get("category_id")
    if value is not None and not _is_id(value):
      yield (
        f"annotation {annotation.get('id')!r}: 'category_id' must be an "
        f"integer, got {value!r}"
      )


def _is_id(value) -> bool:
  # Some files write numbers as text or with a point.
  return isinstance(value, int | float | str)


def problems(
  annotation: Mapping[str, Any], num_keypoints: int, images: Mapping
) -> Iterator[Problem]:
  """Every rule that an annotation breaks.

  Args:
    annotation: of a COCO-format json.
    num_keypoints: K of its category.
    images: the file's images by id.
  """
  yield from _id_problems(annotation.get("id"))
  yield from _image_problems(annotation.get("image_id"), images)
  yield from _box_problems(annotation.get("bbox"))
  yield from _area_problems(annotation.get("area"))
  yield from _keypoints_problems(annotation, num_keypoints)
  yield from _score_problems(annotation)


def _id_problems(value) -> Iterator[Problem]:
  if not isinstance(value, int) or abs(value) > _LARGEST_ID:
    yield Problem("id", f"needs an integer 'id' of 64 bits, got {value!r}")


def _image_problems(value, images) -> Iterator[Problem]:
  if not isinstance(value, int | float) or value not in images:
    yield Problem(
      "image",
      f"image_id {value!r} is not among 'images'; add the image or drop the "
      "annotation",
    )
  elif abs(value) > _LARGEST_ID:
    yield Problem(
      "image", f"image_id {value} exceeds 64 bits; number the images anew"
    )


def _box_problems(bbox) -> Iterator[Problem]:
  numbers = _numbers(bbox)
  if numbers is None or numbers.shape != (4,) or not _finite(numbers):
    yield Problem(
      "box", f"'bbox' must be four finite numbers (x, y, w, h), got {bbox}"
    )


def _area_problems(area) -> Iterator[Problem]:
  numbers = _numbers(area)
  if numbers is None or numbers.shape != () or not 0 <= numbers <= _LARGEST:
    yield Problem(
      "area",
      f"'area' (of the body, px²) must be a finite number, got {area}; OKS "
      "needs it. Where no mask is known, 0.53 * w * h of the box is what "
      "bodies cover on average in COCO",
    )


def _keypoints_problems(annotation, num_keypoints: int) -> Iterator[Problem]:
  keypoints = annotation.get("keypoints")
  if keypoints is None and annotation.get("iscrowd"):
    return
  numbers = _numbers(keypoints)
  if numbers is None or numbers.shape != (3 * num_keypoints,):
    got = "nothing" if keypoints is None else f"{np.size(keypoints)} numbers"
    yield Problem(
      "keypoints",
      f"'keypoints' must hold x, y, visibility of the category's K="
      f"{num_keypoints} keypoints ({3 * num_keypoints} numbers), got {got}",
    )
  elif not _finite(numbers):
    yield Problem(
      "keypoints",
      "'keypoints' holds NaN or infinity; give a point that is not labelled "
      "as 0, 0, 0",
    )
  elif not np.isin(numbers[2::3], (0, 1, 2)).all():
    flags = sorted({*numbers[2::3].tolist()})
    yield Problem("visibility", f"visibility must be 0, 1 or 2, got {flags}")


def _score_problems(annotation) -> Iterator[Problem]:
  numbers = _numbers(annotation.get("score", 1.0))
  if numbers is None or numbers.shape != () or not _finite(numbers):
    yield Problem(
      "score",
      f"'score' (of the box) must be a finite number, got "
      f"{annotation['score']!r}; drop the field, and it is 1",
    )


def _finite(numbers: np.ndarray) -> bool:
  return bool((np.abs(numbers) <= _LARGEST).all())


def _numbers(value) -> np.ndarray | None:
  """A float64 array, or None where the value is not made of numbers."""
  try:
    return None if value is None else np.asarray(value, np.float64)
  except (OverflowError, TypeError, ValueError):
    return None

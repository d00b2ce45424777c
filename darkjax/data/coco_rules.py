"""What an annotation must hold to be used; each rule has a name and a fix."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np


class Problem(NamedTuple):
  """What is wrong with one annotation.

  Attributes:
    rule: its name, one of "id", "image", "box", "area", "keypoints",
      "visibility".
    text: what was expected and what came, and the fix.
  """

  rule: str
  text: str


def problems(
  annotation: Mapping[str, Any], num_keypoints: int, images: Mapping
) -> Iterator[Problem]:
  """Every rule that an annotation breaks.

  Args:
    annotation: of a COCO-format json.
    num_keypoints: K of its category.
    images: the file's images by id.
  """
  if not isinstance(annotation.get("id"), int):
    yield Problem("id", "needs an integer 'id'")
  if annotation.get("image_id") not in images:
    yield Problem(
      "image",
      f"image_id {annotation.get('image_id')!r} is not among 'images'; add the "
      "image or drop the annotation",
    )
  yield from _box_problems(annotation.get("bbox"))
  yield from _area_problems(annotation.get("area"))
  yield from _keypoints_problems(annotation, num_keypoints)


def _box_problems(bbox) -> Iterator[Problem]:
  numbers = _numbers(bbox)
  if numbers is None or numbers.shape != (4,) or not np.isfinite(numbers).all():
    yield Problem(
      "box", f"'bbox' must be four finite numbers (x, y, w, h), got {bbox}"
    )


def _area_problems(area) -> Iterator[Problem]:
  numbers = _numbers(area)
  if numbers is None or numbers.shape != () or not 0 <= numbers < np.inf:
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
  elif not np.isfinite(numbers).all():
    yield Problem(
      "keypoints",
      "'keypoints' holds NaN or infinity; give a point that is not labelled "
      "as 0, 0, 0",
    )
  elif not np.isin(numbers[2::3], (0, 1, 2)).all():
    flags = sorted({*numbers[2::3].tolist()})
    yield Problem("visibility", f"visibility must be 0, 1 or 2, got {flags}")


def _numbers(value) -> np.ndarray | None:
  """A float64 array, or None where the value is not made of numbers."""
  try:
    return None if value is None else np.asarray(value, np.float64)
  except (TypeError, ValueError):
    return None

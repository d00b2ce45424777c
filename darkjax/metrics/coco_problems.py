"""The rules of a COCO-format annotation, and what breaks them.

For annotations as `coco_annotations.read_sections` returns them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from darkjax.metrics.coco_fields import (
  AREA_SHARE,
  describe_id,
  id_in_file,
  is_id,
)

LARGEST_NUMBER = float(np.finfo(np.float32).max)  # coordinates are float32


class Problem(NamedTuple):
  """A rule that one annotation breaks; the text says the fix."""

  rule: Literal[
    "id", "image", "box", "area", "keypoints", "visibility", "crowd", "score"
  ]
  text: str


def find_problems(
  annotation: Mapping[str, Any],
  num_keypoints: int | None,
  images: Mapping[int, Any],
) -> Iterator[Problem]:
  """Yields every rule that an annotation breaks; images are by id.

  K is None where only boxes count.
  """
  bbox, area = annotation.get("bbox"), annotation.get("area")
  if not is_id(annotation.get("id")):
    value = annotation.get("id")
    yield Problem("id", f"needs an 'id' (an integer or a text), got {value!r}")
  yield from _image_id_problems(annotation, images)
  # Without keypoints that can be read no box is made of them: their fault.
  if bbox is not None and finite_numbers(bbox, (4,)) is None:
    yield Problem(
      "box",
      f"'bbox' must be four finite numbers (x, y, w, h), got {bbox!r:.60}",
    )
  elif bbox is not None and area is None:  # none is filled in from such a box
    rule = "w and h of 'bbox' must be 0 or more where 'area' is missing"
    yield Problem("box", f"{rule}, got {bbox!r:.60}")
  number = finite_numbers(area, ())
  # Without a box that can be read, a missing area is no fault of its own.
  if (number is None or number < 0) and area is not None:
    yield Problem(
      "area",
      "'area' (of the body, px²) must be a finite number of 0 or more, got "
      f"{area!r:.60}; drop the field, and it is {AREA_SHARE} * w * h of the "
      "box, which is what bodies cover on average in COCO",
    )
  if num_keypoints is not None:
    yield from _keypoint_problems(annotation, num_keypoints)
  if annotation.get("iscrowd") not in (None, 0, 1):
    value = annotation["iscrowd"]
    yield Problem("crowd", f"'iscrowd' must be 0 or 1, got {value!r:.60}")
  if finite_numbers(annotation.get("score", 1.0), ()) is None:
    rule = "(of the box) must be a finite number, got"
    fix = "drop the field, and it is 1"
    yield Problem("score", f"'score' {rule} {annotation['score']!r:.60}; {fix}")


def _image_id_problems(annotation, images) -> Iterator[Problem]:
  image_id = annotation.get("image_id")
  if not is_id(image_id) or image_id not in images:
    own = describe_id(annotation.get("image_id_in_file", image_id))
    first = [describe_id(id_in_file(image)) for image in [*images.values()][:1]]
    others = f"the first is {first[0]}" if first else "there are none"
    yield Problem(
      "image",
      f"image_id {own} is not among the ids of 'images' ({others}); add the "
      "image or drop the annotation",
    )


def _keypoint_problems(annotation, num_keypoints: int) -> Iterator[Problem]:
  keypoints = annotation.get("keypoints")
  if keypoints is None or (isinstance(keypoints, list) and not keypoints):
    return  # nothing is labelled
  numbers = _to_numbers(keypoints)
  if numbers is None or numbers.shape != (3 * num_keypoints,):
    yield Problem(
      "keypoints",
      f"'keypoints' must hold x, y, visibility of the category's K="
      f"{num_keypoints} keypoints ({3 * num_keypoints} numbers), got "
      f"{_describe_keypoints(keypoints, num_keypoints)}",
    )
  elif not (np.abs(numbers) <= LARGEST_NUMBER).all():
    yield Problem(
      "keypoints",
      "'keypoints' holds NaN, infinity or a number beyond float32; give a "
      "point that is not labelled as 0, 0, 0",
    )
  elif not np.isin(numbers[2::3], (0, 1, 2)).all():
    flags = sorted({*numbers[2::3].tolist()})
    yield Problem(
      "visibility",
      "visibility must be 0 (not labelled), 1 (hidden) or 2 (visible), got "
      f"{', '.join(f'{flag:g}' for flag in flags[:5])}",
    )


def _describe_keypoints(keypoints: Any, num_keypoints: int) -> str:
  if not isinstance(keypoints, list):
    return f"{str(keypoints)[:40]!r}"
  wrong = [k for k in keypoints if type(k) not in (int, float)]
  if wrong:
    return f"{wrong[0]!r:.60} ({type(wrong[0]).__name__}) among them"
  if len(keypoints) == 2 * num_keypoints:
    return f"{len(keypoints)}: visibility is missing, write x, y, 2 or 0, 0, 0"
  points = (
    f" ({len(keypoints) // 3} keypoints)" if len(keypoints) % 3 == 0 else ""
  )
  return f"{len(keypoints)} numbers{points}"


def finite_numbers(
  value: Any, shape: tuple[int, ...], *, largest: float = LARGEST_NUMBER
) -> np.ndarray | None:
  """Returns a float64 array of a shape, None for any other value of json."""
  numbers = _to_numbers(value)
  if numbers is None or numbers.shape != shape:
    return None
  return numbers if (np.abs(numbers) <= largest).all() else None  # not NaN


def _to_numbers(value: Any) -> np.ndarray | None:
  """Returns a float64 array, None for a value with text, flags or gaps."""
  values = value if isinstance(value, list | tuple) else [value]
  if not {bool, str}.isdisjoint(map(type, values)):
    return None
  try:
    return np.asarray(value).astype(np.float64)
  except (OverflowError, TypeError, ValueError):
    return None

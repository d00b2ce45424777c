"""Reading and validation of COCO-format annotations.

Errors are ValueErrors with the file, the ids and the fix.

Reference: https://cocodataset.org/#format-data.
"""

import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from darkjax.runtime.json_file import read_json

SECTIONS = ("images", "annotations", "categories")
LARGEST_ID = 2**63 - 1  # ids are held as int64
LARGEST_NUMBER = float(np.finfo(np.float32).max)  # and coordinates as float32

# Of a file; None for annotations that were not read from one.
FilePath = str | os.PathLike[str] | None

_SHOWN = 5


class Problem(NamedTuple):
  """A rule that one annotation breaks; the text says the fix."""

  rule: Literal[
    "id", "image", "box", "area", "keypoints", "visibility", "score"
  ]
  text: str


def read_sections(
  annotations: str | os.PathLike[str] | Mapping[str, Any],
  sections: Sequence[str] = SECTIONS,
  *,
  path: FilePath = None,
) -> Mapping[str, Any]:
  """Returns the content of a json; sections and categories are valid.

  `sections` are required lists of dictionaries; `path` names a content in
  messages.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json or sections, or an invalid id.
  """
  content = annotations
  if not isinstance(annotations, Mapping):
    path = annotations
    if not pathlib.Path(path).is_file():
      raise FileNotFoundError(
        f"no annotation file {path}; give the path of a COCO-format keypoint "
        "json"
      )
    content = read_json(path)
  if not isinstance(content, Mapping):
    raise ValueError(
      f"{path} must hold a dictionary with 'images', 'annotations' and "
      f"'categories', got a {type(content).__name__}"
    )
  for key in sections:
    value = content.get(key)
    if key == "annotations" and value is None:
      raise ValueError(
        f"{path or 'the file'} has no 'annotations', so no labels to train on "
        "or to score; `python -m darkjax.evaluate` with the --boxes of a "
        "detector and --results writes what is found in the images of such a "
        "file"
      )
    if not isinstance(value, list) or not all(
      isinstance(item, Mapping) for item in value
    ):
      raise ValueError(
        f"{path or 'the annotations'}: {key!r} must be a list of dictionaries, "
        f"got {type(value).__name__}; a COCO keypoint file has 'images', "
        "'annotations' and 'categories'"
      )
  raise_problems([*_category_problems(content, sections)], path)
  return content


def _category_problems(content, sections) -> Iterator[str]:
  for category in content["categories"] if "categories" in sections else ():
    keypoints, category_id = category.get("keypoints"), category.get("id")
    if keypoints and not (isinstance(keypoints, list) and is_id(category_id)):
      yield (
        f"category {category.get('name')!r} needs an 'id' (an integer) and a "
        f"list of names as its 'keypoints', got {category_id!r} and "
        f"{keypoints!r}"
      )
  for item in content["annotations"] if "annotations" in sections else ():
    category_id = item.get("category_id")
    if category_id is not None and not is_id(category_id):
      yield (
        f"annotation {item.get('id')!r}: 'category_id' must be an integer, got "
        f"{category_id!r}"
      )


def index_images(
  images: Sequence[Mapping[str, Any]], path: FilePath, *, named: bool = True
) -> dict[int, Mapping[str, Any]]:
  """Returns the images by id; a ValueError without one id and name each."""
  problems = [
    f"image {image.get('id')!r} needs an integer 'id' and a 'file_name'"
    for image in images
    if not isinstance(image.get("id"), int)
    or (named and not image.get("file_name"))
  ]
  raise_problems(problems, path)
  raise_problems(_repeated("image", images), path)
  return {image["id"]: image for image in images}


def check_annotations(
  annotations: Sequence[Mapping[str, Any]],
  num_keypoints: int,
  images: Mapping[int, Any],
  path: FilePath,
  *,
  ids: bool = True,
) -> None:
  """Raises a ValueError for annotations that break a rule of `find_problems`.

  They are of one category with K = `num_keypoints`; images are by id, `path` is
  for messages, `ids` says whether each annotation needs an id of its own.
  """
  problems = []
  for item in annotations:
    for problem in find_problems(item, num_keypoints, images):
      if ids or problem.rule != "id":
        problems.append(f"annotation {item.get('id')!r}: {problem.text}")
        break
  raise_problems(problems, path)
  if ids:
    raise_problems(_repeated("annotation", annotations), path)


def _repeated(kind: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
  counts = Counter(item["id"] for item in items)
  return [
    f"{kind} id {i} is used more than once" for i in counts if counts[i] > 1
  ]


def raise_problems(problems: Sequence[str], path: FilePath) -> None:
  """Raises a ValueError of the first problems, if there are any."""
  if problems:
    more = len(problems) - _SHOWN
    shown = "\n  ".join(problems[:_SHOWN])
    raise ValueError(
      (f"{path}: " if path else "")
      + f"{len(problems)} problem(s) in the annotations:\n  {shown}"
      + (f"\n  and {more} more" if more > 0 else "")
      + (f"\n{check_hint(path)}" if path else "")
    )


def check_hint(path: FilePath) -> str:
  """Returns the sentence that ends messages about a bad file."""
  return f"`python -m darkjax.data.check {path}` lists everything and the fixes"


def find_problems(
  annotation: Mapping[str, Any], num_keypoints: int, images: Mapping[int, Any]
) -> Iterator[Problem]:
  """Yields every rule that an annotation breaks, see `check_annotations`."""
  value, image_id = annotation.get("id"), annotation.get("image_id")
  bbox, area = annotation.get("bbox"), annotation.get("area")
  if not isinstance(value, int) or abs(value) > LARGEST_ID:
    yield Problem("id", f"needs an integer 'id' of 64 bits, got {value!r}")
  if not isinstance(image_id, int | float) or image_id not in images:
    rule = "is not among 'images'; add the image or drop the annotation"
    yield Problem("image", f"image_id {image_id!r} {rule}")
  elif abs(image_id) > LARGEST_ID:
    rule = "exceeds 64 bits; number the images anew"
    yield Problem("image", f"image_id {image_id} {rule}")
  if finite_numbers(bbox, (4,)) is None:
    yield Problem(
      "box", f"'bbox' must be four finite numbers (x, y, w, h), got {bbox!r}"
    )
  number = finite_numbers(area, ())
  if number is None or number < 0:
    yield Problem(
      "area",
      f"'area' (of the body, px²) must be a finite number, got {area!r}; OKS "
      "needs it. Where no mask is known, 0.53 * w * h of the box is what "
      "bodies cover on average in COCO",
    )
  yield from _keypoint_problems(annotation, num_keypoints)
  if finite_numbers(annotation.get("score", 1.0), ()) is None:
    rule = "(of the box) must be a finite number, got"
    fix = "drop the field, and it is 1"
    yield Problem("score", f"'score' {rule} {annotation['score']!r}; {fix}")


def _keypoint_problems(annotation, num_keypoints: int) -> Iterator[Problem]:
  keypoints = annotation.get("keypoints")
  if keypoints is None and annotation.get("iscrowd"):
    return
  numbers = _to_numbers(keypoints)
  if numbers is None or numbers.shape != (3 * num_keypoints,):
    got = "nothing" if keypoints is None else f"{np.size(keypoints)} numbers"
    yield Problem(
      "keypoints",
      f"'keypoints' must hold x, y, visibility of the category's K="
      f"{num_keypoints} keypoints ({3 * num_keypoints} numbers), got {got}",
    )
  elif not (np.abs(numbers) <= LARGEST_NUMBER).all():
    yield Problem(
      "keypoints",
      "'keypoints' holds NaN or infinity; give a point that is not labelled "
      "as 0, 0, 0",
    )
  elif not np.isin(numbers[2::3], (0, 1, 2)).all():
    flags = sorted({*numbers[2::3].tolist()})
    yield Problem("visibility", f"visibility must be 0, 1 or 2, got {flags}")


def is_id(value: Any) -> bool:
  """Returns whether a value can be an id; some files write it as text."""
  return isinstance(value, int | float | str)


def finite_numbers(
  value: Any, shape: tuple[int, ...], *, largest: float = LARGEST_NUMBER
) -> np.ndarray | None:
  """Returns a float64 array of a shape, None for any other value of json."""
  numbers = _to_numbers(value)
  if numbers is None or numbers.shape != shape:
    return None
  return numbers if (np.abs(numbers) <= largest).all() else None  # not NaN


def _to_numbers(value: Any) -> np.ndarray | None:
  """Returns a float64 array, None for a value of json with text or gaps."""
  try:
    numbers = np.asarray(value)
    return None if numbers.dtype.kind in "US" else numbers.astype(np.float64)
  except (OverflowError, TypeError, ValueError):
    return None

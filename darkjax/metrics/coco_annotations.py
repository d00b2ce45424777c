"""Reading and validation of COCO-format annotations.

Errors are ValueErrors with the file, the ids and the fix.

Reference: https://cocodataset.org/#format-data.
"""

import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.metrics.coco_fields import (
  LARGEST_ID,
  id_in_file,
  is_id,
  read_annotation,
  read_id,
  read_image,
)
from darkjax.metrics.coco_problems import find_problems, finite_numbers
from darkjax.runtime.json_file import read_json

SECTIONS = ("images", "annotations", "categories")

# Of a file; None for annotations that were not read from one.
FilePath = str | os.PathLike[str] | None

_SHOWN = 5


def read_sections(
  annotations: str | os.PathLike[str] | Mapping[str, Any],
  sections: Sequence[str] = SECTIONS,
  *,
  path: FilePath = None,
) -> Mapping[str, Any]:
  """Returns the content of a json, its fields read as in coco_fields.py.

  `sections` are required lists of dictionaries; `path` names a content in
  messages. Ids of images and annotations that are text, or too large for 64
  bits, become free numbers; `id_in_file` keeps the file's own.

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
        f"got {_describe_list(value)}; a COCO keypoint file has 'images', "
        "'annotations' and 'categories'"
      )
  read = {
    **content,
    **{
      section: [_READERS[section](item) for item in content[section]]
      for section in sections
    },
  }
  raise_problems([*_category_problems(read, sections)], path)
  _number_ids(*(read[s] if s in sections else [] for s in SECTIONS[:2]))
  return read


def _describe_list(value: Any) -> str:
  if not isinstance(value, list):
    return type(value).__name__
  wrong = next(item for item in value if not isinstance(item, Mapping))
  return f"a list with {wrong!r:.60} in it"


def image_ids_in_file(path: str | os.PathLike[str]) -> dict[int, int | str]:
  """Returns the file's own id of each image, by the one in `read_sections`."""
  images = read_sections(path, ("images",))["images"]
  return {image["id"]: id_in_file(image) for image in images}


def _read_category(category: Mapping[str, Any]) -> dict[str, Any]:
  return {**category, "id": read_id(category.get("id"))}


_READERS = {
  "images": read_image,
  "annotations": read_annotation,
  "categories": _read_category,
}


def _number_ids(images: list[dict], annotations: list[dict]) -> None:
  """Numbers images and annotations whose ids are not integers of 64 bits."""
  numbers = _number(images)
  _number(annotations)
  for annotation in annotations if numbers else ():
    image_id = annotation.get("image_id")
    annotation["image_id_in_file"] = image_id
    annotation["image_id"] = numbers.get(image_id) if is_id(image_id) else None


def _number(items: list[dict[str, Any]]) -> dict[Any, int]:
  """Returns new ids by the old; none where these can stay or are wrong."""
  ids: list[Any] = [item.get("id") for item in items]
  kept = set(filter(_is_integer, ids))
  if len(kept) == len(ids) or not all(map(is_id, ids)):
    return {}
  free = itertools.filterfalse(kept.__contains__, itertools.count())
  numbers: dict[Any, int] = {}
  for old, item in zip(ids, items, strict=True):
    if old not in numbers:
      numbers[old] = old if old in kept else next(free)
    if old not in kept:
      item["id"], item["id_in_file"] = numbers[old], old
  return numbers


def _is_integer(value: Any) -> bool:
  return type(value) is int and abs(value) <= LARGEST_ID


def _category_problems(content, sections) -> Iterator[str]:
  categories = content["categories"] if "categories" in sections else []
  ids = [category.get("id") for category in categories]
  for category_id in {i for i in ids if is_id(i) and ids.count(i) > 1}:
    yield f"category id {category_id!r} is used {ids.count(category_id)} times"
  for category in categories:
    keypoints, category_id = category.get("keypoints"), category.get("id")
    if keypoints and not (isinstance(keypoints, list) and is_id(category_id)):
      yield (
        f"category {category.get('name')!r} needs an 'id' and a "
        f"list of names as its 'keypoints', got {category_id!r} and "
        f"{keypoints!r}"
      )
  for item in content["annotations"] if "annotations" in sections else ():
    category_id = item.get("category_id")
    if category_id is not None and not is_id(category_id):
      yield (
        f"annotation {item.get('id')!r}: 'category_id' must be an integer or a "
        f"text, got {category_id!r}"
      )


def index_images(
  images: Sequence[Mapping[str, Any]], path: FilePath, *, named: bool = True
) -> dict[int, Mapping[str, Any]]:
  """Returns the images by id; a ValueError without one id and name each."""
  raise_problems([*_image_problems(images, named)], path)
  raise_problems(_repeated("image", images), path)
  return {image["id"]: image for image in images}


def _image_problems(images, named: bool) -> Iterator[str]:
  for image in images:
    name = f"image {id_in_file(image)!r}"
    if not is_id(image.get("id")) or (named and not image.get("file_name")):
      yield f"{name} needs an 'id' (an integer or a text) and a 'file_name'"
    for field in ("width", "height"):
      value = image.get(field)
      number = finite_numbers(0 if value is None else value, ())
      if number is None or not float(number).is_integer():
        yield f"{name}: {field!r} must be a whole number of px, got {value!r}"


def check_annotations(
  annotations: Sequence[Mapping[str, Any]],
  num_keypoints: int | None,
  images: Mapping[int, Any],
  path: FilePath,
  *,
  ids: bool = True,
) -> None:
  """Raises a ValueError for annotations that break a rule of `find_problems`.

  They are of one category with K = `num_keypoints`, None if only their boxes
  count; images are by id, `path` is for messages, `ids` says whether each
  annotation needs an id of its own.
  """
  problems = []
  for position, item in enumerate(annotations):
    for problem in find_problems(item, num_keypoints, images):
      if ids or problem.rule != "id":
        problems.append(f"{_name(item, position)}: {problem.text}")
        break
  raise_problems(problems, path)
  if ids:
    raise_problems(_repeated("annotation", annotations), path)


def _name(annotation: Mapping[str, Any], position: int) -> str:
  value = id_in_file(annotation)
  return f"annotation {f'number {position}' if value is None else repr(value)}"


def _repeated(kind: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
  counts = Counter(id_in_file(item) for item in items)
  return [
    f"{kind} id {i!r} is used {counts[i]} times"
    for i in counts
    if counts[i] > 1
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

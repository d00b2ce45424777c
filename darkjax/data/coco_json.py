"""COCO-format keypoint json, read and checked before anything is built.

The format is described at https://cocodataset.org/#format-data. Every problem
is a ValueError that names the file and the annotation ids and says the fix;
up to `_SHOWN` of them at once.
"""

import dataclasses
import json
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Annotations:
  """What a COCO-format keypoint json says.

  Attributes:
    path: of the json.
    skeleton: of the category that has keypoints.
    images: one dictionary per image, in file order: image_id, file_name, size
      ((height, width) px or None where the json does not say), and people: a
      list of dictionaries as in the records (see coco.py), crowds and people
      without labels included.
  """

  path: pathlib.Path
  skeleton: skeletons.Skeleton
  images: tuple[Mapping[str, Any], ...] = dataclasses.field(repr=False)


def read_annotations(
  path: str | pathlib.Path,
  *,
  category: str | None = None,
  keep_empty_images: bool = False,
) -> Annotations:
  """Reads and checks a COCO-format keypoint json.

  Args:
    path: the json.
    category: name of the category to read; needed only where several
      categories have keypoints that differ.
    keep_empty_images: whether images without an annotation of the category
      are listed too.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, no categories with keypoints, K mismatch, image
      id without image, repeated ids, coordinates that are not finite, missing
      area or box.
  """
  path = pathlib.Path(path)
  content = _load(path)
  chosen = _choose_category(content["categories"], category, path)
  annotations = [
    item for item in content["annotations"] if item.get("category_id") in chosen
  ]
  skeleton = _skeleton(next(iter(chosen.values())), path)
  images = {image["id"]: image for image in _images(content["images"], path)}
  _check_annotations(annotations, skeleton, images, path)
  people: dict[int, list] = {image_id: [] for image_id in images}
  for annotation in annotations:
    person = _person(annotation, skeleton.num_keypoints)
    people[annotation["image_id"]].append(person)
  return Annotations(
    path=path,
    skeleton=skeleton,
    images=tuple(
      _image(image, people[image_id])
      for image_id, image in images.items()
      if people[image_id] or keep_empty_images
    ),
  )


def _load(path: pathlib.Path) -> dict[str, list]:
  if not path.is_file():
    raise FileNotFoundError(
      f"no annotation file {path}; give the path of a COCO-format keypoint json"
    )
  try:
    content = json.loads(path.read_bytes())
  except ValueError as error:  # JSONDecodeError, UnicodeDecodeError
    raise ValueError(
      f"{path} is not valid json ({error}); it may be cut short: write or "
      "download it again"
    ) from error
  if not isinstance(content, dict):
    raise ValueError(
      f"{path} must hold a dictionary with 'images', 'annotations' and "
      f"'categories', got a {type(content).__name__}"
    )
  for key in ("images", "annotations", "categories"):
    _check_list(content.get(key), key, path)
  return content


def _check_list(value, key: str, path: pathlib.Path) -> None:
  if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
    raise ValueError(
      f"{path}: {key!r} must be a list of dictionaries, got "
      f"{type(value).__name__}; a COCO keypoint file has 'images', "
      "'annotations' and 'categories'"
    )


def _choose_category(
  categories: Sequence[Mapping], name: str | None, path: pathlib.Path
) -> dict[int, Mapping]:
  """The categories to read by id; more than one only if the keypoints agree."""
  candidates = [
    c
    for c in categories
    if c.get("keypoints") and (name is None or c.get("name") == name)
  ]
  known = [(c.get("name"), len(c.get("keypoints") or ())) for c in categories]
  if not candidates:
    raise ValueError(
      f"{path}: no category{f' {name!r}' if name else ''} with 'keypoints'; "
      f"categories and their number of keypoints: {known}. A plain instances "
      "file has none: use the person_keypoints file, or list the names of the "
      "keypoints under the category's 'keypoints'"
    )
  if len({tuple(c["keypoints"]) for c in candidates}) > 1:
    raise ValueError(
      f"{path}: several categories with different keypoints: {known}; say "
      "which one with category="
    )
  return {c["id"]: c for c in candidates}


def _skeleton(
  category: Mapping[str, Any], path: pathlib.Path
) -> skeletons.Skeleton:
  """The built-in skeleton of the same names, else what the category says."""
  names = tuple(category["keypoints"])
  for known in (skeletons.COCO, skeletons.LSP, skeletons.MPII):
    own = category.get("sigmas") or category.get("flip_pairs")
    if known.keypoint_names == names and not own:
      return known
  try:
    return skeletons.from_coco_category(category)
  except (TypeError, ValueError) as error:
    raise ValueError(f"{path}: {error}") from error


def _images(images: Sequence[Mapping], path: pathlib.Path) -> Sequence[Mapping]:
  problems = [
    f"image {image.get('id')!r} needs an integer 'id' and a 'file_name'"
    for image in images
    if not isinstance(image.get("id"), int) or not image.get("file_name")
  ]
  _raise(problems, path)
  repeated = _repeated(image["id"] for image in images)
  _raise([f"image id {i} is used more than once" for i in repeated], path)
  return images


def _repeated(ids) -> list[int]:
  return [i for i, count in Counter(ids).items() if count > 1]


def _raise(problems: Sequence[str], path: pathlib.Path) -> None:
  if problems:
    more = len(problems) - _SHOWN
    shown = "\n  ".join(problems[:_SHOWN])
    raise ValueError(
      f"{path}: {len(problems)} problem(s) in the annotations:\n  {shown}"
      + (f"\n  and {more} more" if more > 0 else "")
    )


def _check_annotations(
  annotations: Sequence[Mapping],
  skeleton: skeletons.Skeleton,
  images: Mapping[int, Mapping],
  path: pathlib.Path,
) -> None:
  problems = []
  for annotation in annotations:
    problem = _problem(annotation, skeleton.num_keypoints, images)
    if problem:
      problems.append(f"annotation {annotation.get('id')!r}: {problem}")
  _raise(problems, path)
  repeated = _repeated(annotation["id"] for annotation in annotations)
  _raise([f"annotation id {i} is used more than once" for i in repeated], path)


def _problem(
  annotation: Mapping[str, Any], num_keypoints: int, images: Mapping
) -> str | None:
  """What is wrong with an annotation, and the fix."""
  if not isinstance(annotation.get("id"), int):
    return "needs an integer 'id'"
  if annotation.get("image_id") not in images:
    return (
      f"image_id {annotation.get('image_id')!r} is not among 'images'; add the "
      "image or drop the annotation"
    )
  return (
    _box_problem(annotation.get("bbox"))
    or _area_problem(annotation.get("area"))
    or _keypoints_problem(annotation, num_keypoints)
  )


def _box_problem(bbox) -> str | None:
  numbers = _numbers(bbox)
  if numbers is None or numbers.shape != (4,) or not np.isfinite(numbers).all():
    return f"'bbox' must be four finite numbers (x, y, w, h), got {bbox}"
  return None


def _area_problem(area) -> str | None:
  numbers = _numbers(area)
  if numbers is None or numbers.shape != () or not 0 <= numbers < np.inf:
    return (
      f"'area' (of the body, px²) must be a finite number, got {area}; OKS "
      "needs it. Where no mask is known, 0.53 * w * h of the box is what "
      "bodies cover on average in COCO"
    )
  return None


def _keypoints_problem(annotation, num_keypoints: int) -> str | None:
  keypoints = annotation.get("keypoints")
  if keypoints is None and annotation.get("iscrowd"):
    return None
  numbers = _numbers(keypoints)
  if numbers is None or numbers.shape != (3 * num_keypoints,):
    got = "nothing" if keypoints is None else f"{np.size(keypoints)} numbers"
    return (
      f"'keypoints' must hold x, y, visibility of the category's K="
      f"{num_keypoints} keypoints ({3 * num_keypoints} numbers), got {got}"
    )
  if not np.isfinite(numbers).all():
    return (
      "'keypoints' holds NaN or infinity; give a point that is not labelled "
      "as 0, 0, 0"
    )
  if not np.isin(numbers[2::3], (0, 1, 2)).all():
    return f"visibility must be 0, 1 or 2, got {sorted({*numbers[2::3]})}"
  return None


def _numbers(value) -> np.ndarray | None:
  """A float64 array, or None where the value is not made of numbers."""
  try:
    return None if value is None else np.asarray(value, np.float64)
  except (TypeError, ValueError):
    return None


def _person(annotation: Mapping[str, Any], num_keypoints: int) -> dict:
  keypoints = annotation.get("keypoints") or [0.0] * (3 * num_keypoints)
  keypoints = np.asarray(keypoints, np.float32).reshape(num_keypoints, 3)
  return {
    "annotation_id": annotation["id"],
    "bbox": np.asarray(annotation["bbox"], np.float32),
    "area": np.float32(annotation["area"]),
    "keypoints": keypoints,
    "iscrowd": bool(annotation.get("iscrowd", 0)),
    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
    "score": np.float32(annotation.get("score", 1.0)),
  }


def _image(image: Mapping[str, Any], people: list) -> dict[str, Any]:
  size = (image.get("height"), image.get("width"))
  return {
    "image_id": image["id"],
    "file_name": str(image["file_name"]),
    "size": size if all(isinstance(n, int) for n in size) else None,
    "people": people,
  }

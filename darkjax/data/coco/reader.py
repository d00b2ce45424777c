"""COCO-format keypoint json, read and checked before anything is built.

The format is described at https://cocodataset.org/#format-data. Every problem
is a ValueError that names the file and the annotation ids and says the fix;
up to `_SHOWN` of them at once.
"""

import dataclasses
import itertools
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.coco import categories, rules, sections

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Annotations:
  """What a COCO-format keypoint json says.

  Attributes:
    path: of the json.
    skeleton: of the category that has keypoints.
    category_ids: of the category, or of all with the same keypoints.
    images: one dictionary per image, in file order: image_id, file_name, size
      ((height, width) px or None where the json does not say), and people: a
      list of dictionaries as in the records (see coco_records.py), crowds and
      people without labels included.
  """

  path: pathlib.Path
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...]
  images: tuple[Mapping[str, Any], ...] = dataclasses.field(repr=False)


def read_annotations(
  path: str | pathlib.Path,
  *,
  category: str | None = None,
  skeleton: skeletons.Skeleton | None = None,
  keep_empty_images: bool = False,
) -> Annotations:
  """Reads and checks a COCO-format keypoint json.

  Args:
    path: the json.
    category: name of the category to read; needed only where several
      categories have keypoints that differ.
    skeleton: whose keypoints decide then, where no category is named.
    keep_empty_images: whether images without an annotation of the category
      are listed too.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, no categories with keypoints or several that
      differ, K mismatch, image id without image, repeated ids, coordinates
      that are not finite, missing area or box.
  """
  content = read_content(path, category=category, skeleton=skeleton)
  path, skeleton, images = content.path, content.skeleton, content.images
  _check_annotations(content)
  people: dict[int, list] = {image_id: [] for image_id in images}
  for annotation in content.annotations:
    person = to_person(annotation, skeleton.num_keypoints)
    people[annotation["image_id"]].append(person)
  return Annotations(
    path=path,
    skeleton=skeleton,
    category_ids=tuple(content.category_ids),
    images=tuple(
      _image(image, people[image_id])
      for image_id, image in images.items()
      if people[image_id] or keep_empty_images
    ),
  )


@dataclasses.dataclass(frozen=True)
class Content:
  """A json whose outline is right; its annotations are not checked yet.

  Attributes:
    path: of the json.
    category: the category that has keypoints, as it stands in the file; the
      first of several with the same keypoints.
    category_ids: of all of these, which count as one.
    skeleton: what it describes.
    images: by id, as they stand in the file.
    annotations: of the category (or categories), as they stand in the file.
  """

  path: pathlib.Path
  category: Mapping[str, Any]
  category_ids: Sequence[int]
  skeleton: skeletons.Skeleton
  images: Mapping[int, Mapping[str, Any]] = dataclasses.field(repr=False)
  annotations: Sequence[Mapping[str, Any]] = dataclasses.field(repr=False)


def read_content(
  path: str | pathlib.Path,
  *,
  category: str | None = None,
  skeleton: skeletons.Skeleton | None = None,
) -> Content:
  """Reads a COCO-format keypoint json and checks all but its annotations.

  Args:
    path: the json.
    category: see `read_annotations`.
    skeleton: likewise.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, no categories with keypoints or several that
      differ, images without
      id or file name, repeated ids of images.
  """
  path = pathlib.Path(path)
  content = sections.read(path)
  _raise([*rules.category_problems(content["categories"])], path)
  _raise([*rules.membership_problems(content["annotations"])], path)
  try:
    chosen = categories.choose(
      content["categories"], name=category, skeleton=skeleton
    )
    first = next(iter(chosen.values()))
    described = categories.skeleton_of(first)
  except (TypeError, ValueError) as error:
    raise ValueError(f"{path}: {error}") from error
  return Content(
    path=path,
    category=first,
    category_ids=list(chosen),
    skeleton=described,
    images={image["id"]: image for image in _images(content["images"], path)},
    annotations=[
      item
      for item in content["annotations"]
      if item.get("category_id") in chosen
    ],
  )


def read_unlabelled(
  path: str | pathlib.Path,
  *,
  skeleton: skeletons.Skeleton,
  category: str | None = None,
) -> Annotations:
  """The images of a json without labels, such as those of COCO's test sets.

  Args:
    path: the json.
    skeleton: of the people to find, since the json need not say it.
    category: see `categories.of_boxes`.

  Returns:
    All images, with nobody in them.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, no images, no category that fits.
  """
  path = pathlib.Path(path)
  content = sections.read(path, ("images", "categories"))
  try:
    ids = categories.of_boxes(content["categories"], skeleton, name=category)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error
  images = [_image(image, []) for image in _images(content["images"], path)]
  if not images:
    raise ValueError(f"{path} lists no images")
  return Annotations(path, skeleton, ids, tuple(images))


def leaves_a_choice(path: str | pathlib.Path) -> bool:
  """Whether a json has categories with different keypoints.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json.
  """
  path = pathlib.Path(path)
  listed = sections.read(path)["categories"]
  _raise([*rules.category_problems(listed)], path)
  return categories.differ(listed)


def hint(path: pathlib.Path) -> str:
  """The sentence that ends messages about a bad file."""
  return f"`python -m darkjax.data.check {path}` lists everything and the fixes"


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
      + f"\n{hint(path)}"
    )


def _check_annotations(content: Content) -> None:
  num_keypoints = content.skeleton.num_keypoints
  broken = []
  for annotation in content.annotations:
    found = rules.problems(annotation, num_keypoints, content.images)
    for problem in itertools.islice(found, 1):
      broken.append(f"annotation {annotation.get('id')!r}: {problem.text}")
  _raise(broken, content.path)
  repeated = _repeated(annotation["id"] for annotation in content.annotations)
  _raise(
    [f"annotation id {i} is used more than once" for i in repeated],
    content.path,
  )


def to_person(annotation: Mapping[str, Any], num_keypoints: int) -> dict:
  """A person of a record, see coco_records.py, of a sound annotation."""
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
  return {
    "image_id": image["id"],
    "file_name": str(image["file_name"]),
    "size": image_size(image),
    "people": people,
  }


def image_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
  """(height, width), px, of an image of the json, None where it lacks one."""
  size = (image.get("height"), image.get("width"))
  return size if all(isinstance(n, int) for n in size) else None

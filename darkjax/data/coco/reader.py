"""Reading of COCO-format keypoint jsons, checked before anything is built."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.coco import categories
from darkjax.metrics import coco_annotations

_WITHOUT_LABELS = ("images", "categories")  # sections


@dataclasses.dataclass(frozen=True)
class Annotations:
  """The checked labels of a COCO-format keypoint json.

  Each image is a dictionary of image_id, file_name, size ((height, width) px or
  None) and people: dictionaries as in records.py, with crowds and unlabelled.
  """

  path: pathlib.Path
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...]  # with these keypoints
  images: tuple[Mapping[str, Any], ...] = dataclasses.field(repr=False)

  @property
  def file_names(self) -> dict[int, str]:
    """By image id."""
    return {image["image_id"]: image["file_name"] for image in self.images}


def read_annotations(
  path: str | os.PathLike[str],
  *,
  category: str | None = None,
  skeleton: skeletons.Skeleton | None = None,
  keep_empty_images: bool = False,
) -> Annotations:
  """Reads and checks a COCO-format keypoint json.

  For category and skeleton see `categories.choose`; `keep_empty_images` lists
  images without annotations too.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, categories that cannot be chosen from, or an
      annotation or image that breaks a rule of `coco_annotations`.
  """
  content = read_content(path, category=category, skeleton=skeleton)
  images, num_keypoints = content.images, content.skeleton.num_keypoints
  coco_annotations.check_annotations(
    content.annotations, num_keypoints, images, content.path
  )
  people: dict[int, list] = {image_id: [] for image_id in images}
  for annotation in content.annotations:
    person = to_person(annotation, num_keypoints)
    people[annotation["image_id"]].append(person)
  listed = tuple(
    _image(image, people[image_id])
    for image_id, image in images.items()
    if people[image_id] or keep_empty_images
  )
  ids = tuple(content.category_ids)
  return Annotations(content.path, content.skeleton, ids, listed)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
  """Adds the path to the message of an error."""
  try:
    yield
  except (TypeError, ValueError) as error:
    raise ValueError(f"{path}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Content:
  """A json whose annotations are not checked yet; all else is.

  `category` is the first of those with the same keypoints, `category_ids` are
  the ids of these; `images` by id, and their `annotations`, are as in the file.
  """

  path: pathlib.Path
  category: Mapping[str, Any]
  category_ids: Sequence[int]
  skeleton: skeletons.Skeleton
  images: Mapping[int, Mapping[str, Any]] = dataclasses.field(repr=False)
  annotations: Sequence[Mapping[str, Any]] = dataclasses.field(repr=False)

  @property
  def file_names(self) -> dict[int, str]:
    """By image id."""
    return {i: str(image["file_name"]) for i, image in self.images.items()}


def read_content(
  path: str | os.PathLike[str],
  *,
  category: str | None = None,
  skeleton: skeletons.Skeleton | None = None,
) -> Content:
  """Reads a COCO-format keypoint json and checks all but its annotations.

  Arguments and errors are those of `read_annotations`.
  """
  path = pathlib.Path(path)
  content = coco_annotations.read_sections(path)
  with _naming(path):
    chosen = categories.choose(
      content["categories"], name=category, skeleton=skeleton
    )
    first = next(iter(chosen.values()))
    described = categories.skeleton_of(first)
  return Content(
    path=path,
    category=first,
    category_ids=list(chosen),
    skeleton=described,
    images=coco_annotations.index_images(content["images"], path),
    annotations=[
      a for a in content["annotations"] if a.get("category_id") in chosen
    ],
  )


def read_unlabelled(
  path: str | os.PathLike[str],
  *,
  skeleton: skeletons.Skeleton,
  category: str | None = None,
) -> Annotations:
  """Reads the images of a json without labels, as COCO's test sets have.

  For arguments and errors see `categories.choose_for_boxes`.
  """
  path = pathlib.Path(path)
  content = coco_annotations.read_sections(path, _WITHOUT_LABELS)
  with _naming(path):
    ids = categories.choose_for_boxes(
      content["categories"], skeleton, name=category
    )
  images = coco_annotations.index_images(content["images"], path).values()
  if not images:
    raise ValueError(f"{path} lists no images")
  return Annotations(path, skeleton, ids, tuple(_image(i, []) for i in images))


def has_labels(path: str | os.PathLike[str]) -> bool:
  """Returns whether a json has annotations, of whatever kind."""
  content = coco_annotations.read_sections(path, _WITHOUT_LABELS)
  return bool(content.get("annotations"))


def has_different_keypoints(path: str | os.PathLike[str]) -> bool:
  """Returns whether a json has categories with different keypoints."""
  content = coco_annotations.read_sections(path)
  return categories.have_different_keypoints(content["categories"])


def to_person(annotation: Mapping[str, Any], num_keypoints: int) -> dict:
  """Returns the person of a record (see records.py) of a valid annotation."""
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
  """Returns (height, width), px, of an image, None where the json has none."""
  height, width = image.get("height"), image.get("width")
  if isinstance(height, int) and isinstance(width, int):
    return height, width
  return None

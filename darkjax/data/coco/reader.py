"""Reading of COCO-format keypoint jsons, checked before anything is built."""

import contextlib
import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.coco import categories
from darkjax.metrics import coco_annotations, coco_fields

_LOG = logging.getLogger(__name__)

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
  if content.unlisted:
    _LOG.warning("%s: %s; they are left out", path, content.unlisted)
  warn_of_filled(content.annotations, path)
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
def naming(path: pathlib.Path) -> Iterator[None]:
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
  unlisted: str = ""  # annotations of categories that the file does not list

  @property
  def image_ids_in_file(self) -> dict[int, int | str]:
    """The file's own id of each image, by that of `images`."""
    return {i: coco_fields.id_in_file(m) for i, m in self.images.items()}


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
  with naming(path):
    chosen = categories.choose(
      content["categories"], name=category, skeleton=skeleton
    )
    first = next(iter(chosen.values()))
    described = categories.skeleton_of(first)
    annotations = [
      a for a in content["annotations"] if a.get("category_id") in chosen
    ]
    unlisted = categories.describe_unlisted(content, chosen)
    if unlisted and not annotations:
      raise ValueError(f"{unlisted}; write the same id in both")
  return Content(
    path=path,
    category=first,
    category_ids=list(chosen),
    skeleton=described,
    images=coco_annotations.index_images(content["images"], path),
    annotations=annotations,
    unlisted=unlisted,
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
  content = read_unlabelled_content(path, skeleton=skeleton, category=category)
  images = tuple(_image(image, []) for image in content.images.values())
  ids = tuple(content.category_ids)
  return Annotations(content.path, skeleton, ids, images)


def read_unlabelled_content(
  path: str | os.PathLike[str],
  *,
  skeleton: skeletons.Skeleton,
  category: str | None = None,
) -> Content:
  """Returns what `read_unlabelled` reads, in the form of `read_content`."""
  path = pathlib.Path(path)
  content = coco_annotations.read_sections(path, _WITHOUT_LABELS)
  with naming(path):
    ids = categories.choose_for_boxes(
      content["categories"], skeleton, name=category
    )
  images = coco_annotations.index_images(content["images"], path)
  if not images:
    raise ValueError(f"{path} lists no images")
  return Content(path, {}, ids, skeleton, images, [])


def read_images(path: str | os.PathLike[str]) -> dict[int, dict[str, Any]]:
  """Returns the images of a json by id, as in `Annotations`, without people."""
  images = coco_annotations.read_sections(path, ("images",))["images"]
  index = coco_annotations.index_images(images, path)
  return {i: _image(image, []) for i, image in index.items()}


def warn_of_filled(
  annotations: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]
) -> None:
  """Logs of how many labelled people the box or the area was missing."""
  labelled = [a for a in annotations if any(a["keypoints"][2::3])]
  for field, rule in coco_fields.FILLED.items():
    count = sum(field in a.get("filled", ()) for a in labelled)
    if count:
      _LOG.warning(
        "%s: %d annotations have no %r, it is taken as %s",
        path, count, field, rule,
      )  # fmt: skip


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
  keypoints = annotation["keypoints"] or [0.0] * (3 * num_keypoints)
  keypoints = np.asarray(keypoints, np.float32).reshape(num_keypoints, 3)
  return {
    "annotation_id": annotation["id"],
    "bbox": np.asarray(annotation["bbox"], np.float32),
    "area": np.float32(annotation["area"]),
    "keypoints": keypoints,
    "iscrowd": bool(annotation["iscrowd"]),
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
  if height is None or width is None:
    return None
  return int(height), int(width)

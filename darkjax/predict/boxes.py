"""Boxes of people from json files: detections, or labels in COCO's format."""

import collections
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.data.coco import categories as categories_lib
from darkjax.data.coco import reader
from darkjax.data.coco.box_file import (
  Box,
  parse_boxes,
  warn_of_units,
)
from darkjax.data.images.names import FileNames
from darkjax.data.images.spelling import with_slashes
from darkjax.metrics import coco_annotations
from darkjax.metrics.coco_fields import describe_id, id_in_file
from darkjax.runtime.json_file import read_json
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BoxFile:
  """Boxes read from a json file."""

  # (boxes [N, 4], image px, scores [N]) by image id or, without ids, file name.
  people: Mapping[Any, tuple[np.ndarray, np.ndarray]]
  names: Mapping[str, set[Any]]  # keys in `people`, by file name
  category: int | str = 1  # of results
  # (height, width), px, by image id, where the file has them.
  sizes: Mapping[Any, tuple[int, int]] = dataclasses.field(default_factory=dict)
  # The file's own image ids, by key in `people`, where they are others.
  image_ids: Mapping[Any, int | str] = dataclasses.field(default_factory=dict)

  def of(self, key: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes [N, 4] and scores [N] of an image; N is 0 for others."""
    return self.people.get(key, (np.zeros((0, 4)), np.zeros(0)))

  def image_id(self, key: str | int | None) -> int | str | None:
    """Returns the image id of a key; None where the file has none."""
    return self.image_ids.get(key, key if isinstance(key, int) else None)

  @functools.cached_property
  def _file_names(self) -> FileNames:
    return FileNames(self.names)

  @functools.cached_property
  def _named(self) -> set[Any]:
    return {key for keys in self.names.values() for key in keys}

  def key(self, path: pathlib.Path) -> str | int | None:
    """Returns the key of a photograph in `people`; None where it has none.

    It is the image of the same name, see `FileNames.find`; of ids without a
    name it is the number in 000000000139.jpg.

    Raises:
      ValueError: several images could be meant.
    """
    number = int(path.stem) if path.stem.isdecimal() else None
    if not self.names:
      return number
    fitting = self._file_names.find_all(path.resolve().as_posix())
    keys = {key for name in fitting for key in self.names[name]}
    if len(keys) > 1:
      ids = sorted((describe_id(self.image_id(key)) for key in keys), key=str)
      raise ValueError(
        f"{path} may be any of {sorted(fitting)[:3]} in the json of boxes, "
        f"with the image ids {', '.join(ids[:3])}; give it under one of these "
        "folders, or merge the images in the json"
      )
    unnamed = number in self.people and number not in self._named
    return next(iter(keys), number if unnamed else None)

  def hint(self, path: pathlib.Path) -> str:
    """Returns what a message says about a photograph without boxes."""
    if not self.people:
      return "the json has no boxes, or none with a size"
    if not self.names:
      return f"the json has the image ids {list(self.people)[:3]}"
    if self.key(path) is not None:
      return "the json has the image, but no box in it"
    return f"in the json {self._file_names.hint(path.name)}"


def read(
  path: str | pathlib.Path,
  *,
  skeleton: Skeleton,
  min_score: float = 0.0,
  category: str | None = None,
) -> BoxFile:
  """Reads boxes from a file of detections, or of labels in COCO's format.

  Detections are a list of {"image_id" or "file_name", "bbox": [x, y, w, h]},
  perhaps with "score" and "category_id". A video's frames have the image_id
  0, 1, and so on. Labels are checked as for training. Crowds, boxes without a
  positive size, of lower scores and of other categories are left out.

  Args:
    path: of the file.
    skeleton: the network's keypoints, which choose among labels' categories.
    min_score: lowest score of a box.
    category: name or id of the people; by default those with keypoints or, in
      detections, 1 or the only one.

  Raises:
    FileNotFoundError: no such file.
    ValueError: neither of the two formats, labels that break a rule, or all
      boxes are left out.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file of boxes {path}; check --boxes")
  content = read_json(path)
  if isinstance(content, list):
    return _read_detections(path, content, min_score, category)
  if not isinstance(content, Mapping) or "images" not in content:
    got = f"with {list(content)[:4]}" if isinstance(content, Mapping) else ""
    raise ValueError(
      f"{path}: boxes are a list of detections, or an object with images, "
      f"annotations and categories, got {type(content).__name__} {got}"
    )
  return _read_labels(path, content, skeleton, min_score, category)


def _read_detections(path, content, min_score, category) -> BoxFile:
  boxes = parse_boxes(content, path)
  counts = collections.Counter(
    1 if box.category_id is None else box.category_id for box in boxes
  )
  if category is not None:
    ids = [i for i in counts if str(i) == category]
  else:
    ids = [1] if 1 in counts else list(counts) if len(counts) == 1 else []
  if boxes and not ids:
    raise ValueError(
      f"{path}: none of its {len(boxes)} boxes is of category "
      f"{category or 1}; their categories are {sorted(counts, key=str)}: name "
      "that of people, --category"
    )
  if 0 in counts and 0 not in ids:
    _LOG.warning(
      "%s: %d boxes of category 0 are left out, %d of category %s are taken; "
      "for a detector that counts from 0, give --category=0",
      path, counts[0], counts[ids[0]], ids[0],
    )  # fmt: skip
  people = [b for b in boxes if b.category_id is None or b.category_id in ids]
  keys = {_key(box): box.image_id for box in people}
  own_ids = {k: i for k, i in keys.items() if i is not None}
  return BoxFile(
    _group(people, min_score, path), _names({}, boxes), next(iter(ids), 1),
    image_ids=own_ids,
  )  # fmt: skip


def _read_labels(path, content, skeleton, min_score, category) -> BoxFile:
  content = coco_annotations.read_sections(content, path=path)
  images = coco_annotations.index_images(content["images"], path)
  with reader.naming(path):
    chosen = _choose(content["categories"], skeleton, category)
    unlisted = categories_lib.describe_unlisted(content, chosen)
  annotations = [
    a for a in content["annotations"] if a.get("category_id") in chosen
  ]
  if unlisted and not annotations:
    raise ValueError(f"{path}: {unlisted}; write the same id in both")
  first = next(iter(chosen.values()))
  count = len(first.get("keypoints") or ())
  coco_annotations.check_annotations(annotations, count or None, images, path)
  reader.warn_of_filled(annotations, path)
  _LOG.info(
    "%s: boxes of category %s (%s) are people",
    path, " and ".join(map(str, chosen)), first.get("name"),
  )  # fmt: skip
  sizes = {
    image_id: size
    for image_id, image in images.items()
    if (size := reader.image_size(image))
  }
  boxes = parse_boxes(annotations, path)
  own_ids = {i: id_in_file(image) for i, image in images.items()}
  return BoxFile(
    _group(boxes, min_score, path), _names(images, ()), first["id"], sizes,
    own_ids,
  )  # fmt: skip


def _choose(listed, skeleton: Skeleton, category: str | None):
  """The categories of people, by id."""
  if category is not None:
    named = {
      c["id"]: c for c in listed if category in (c.get("name"), str(c["id"]))
    }
    if not named:
      known = [(c.get("id"), c.get("name")) for c in listed]
      raise ValueError(f"no category {category!r}; (id, name): {known}")
    return named
  if any(c.get("keypoints") for c in listed):
    return categories_lib.choose(listed, skeleton=skeleton)
  ids = categories_lib.choose_for_boxes(listed, skeleton)
  return {c["id"]: c for c in listed if c.get("id") in ids}


def _names(images, boxes: Sequence[Box]) -> dict[str, set[Any]]:
  """See `BoxFile.names`."""
  names = collections.defaultdict(set)
  for image_id, image in images.items():
    names[with_slashes(str(image["file_name"]))].add(image_id)
  for box in boxes:
    key = _key(box)
    if box.file_name or isinstance(key, str):
      names[box.file_name or str(key)].add(key)
  return dict(names)


def _key(box: Box) -> str | int | None:
  """The image id, or what names the file: Ultralytics writes its stem."""
  if isinstance(box.image_id, str):
    return box.file_name or box.image_id
  return box.file_name if box.image_id is None else box.image_id


def _group(boxes: Sequence[Box], min_score: float, path: pathlib.Path):
  """(boxes [N, 4], scores [N]) by the key of each image."""
  boxes = [box for box in boxes if not box.iscrowd]
  scored = [box for box in boxes if box.score >= min_score]
  if boxes and not scored:
    raise ValueError(
      f"{path}: none of its {len(boxes)} boxes of people has a score of "
      f"{min_score:g} or more, the best is {max(b.score for b in boxes):g}"
    )
  sized = [box for box in scored if (box.bbox[2:] > 0).all()]
  if len(sized) < len(scored):
    count = len(scored) - len(sized)
    _LOG.warning("%s: %d boxes without a size are left out", path, count)
  warn_of_units(sized, path)
  grouped = collections.defaultdict(list)
  for box in sized:
    grouped[_key(box)].append((box.bbox, box.score))
  return {
    key: tuple(map(np.array, zip(*group, strict=True)))
    for key, group in grouped.items()
  }

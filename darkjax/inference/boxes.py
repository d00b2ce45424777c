"""Boxes (x, y, w, h) of people in image px: validation, and files of them."""

import collections
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.data.coco.box_file import Box, parse_boxes, with_slashes
from darkjax.data.coco.reader import image_size
from darkjax.data.images.names import FileNames
from darkjax.metrics import coco_annotations
from darkjax.runtime.json_file import read_json

_LOG = logging.getLogger(__name__)


def check(boxes: Any, image_size: tuple[int, int], name: str) -> np.ndarray:
  """Returns the boxes of one image as an array; the whole image for None.

  Args:
    boxes: [N, 4] (x, y, w, h), image px; empty for nobody; or None.
    image_size: (height, width), px.
    name: of the image, for messages.

  Raises:
    ValueError: another shape, NaN, no positive size, or wholly outside.
  """
  height, width = image_size
  if boxes is None:
    return np.array([[0, 0, width, height]], np.float64)
  try:
    boxes = np.asarray(boxes, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"{name}: boxes are numbers [N, 4] (x, y, w, h), got {str(boxes)[:120]}"
    ) from error
  if boxes.size == 0:
    return boxes.reshape(0, 4)
  if boxes.ndim != 2 or boxes.shape[1] != 4:
    raise ValueError(
      f"{name}: boxes are [N, 4] (x, y, w, h), got shape {boxes.shape}; wrap a "
      "single box in a list"
    )
  x, y, w, h = boxes.T
  positive = np.isfinite(boxes).all(1) & (w > 0) & (h > 0)
  inside = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
  for usable, rule in (
    (positive, "is finite with a width and a height above 0"),
    (inside, f"overlaps the image of {width} x {height} px"),
  ):
    if not usable.all():
      n = int(np.argmin(usable))
      raise ValueError(
        f"{name}: a box (x, y, w, h) {rule}, got {boxes[n].tolist()} as box "
        f"{n}; check the order of the numbers and the image they belong to"
      )
  return boxes


@dataclasses.dataclass(frozen=True)
class BoxFile:
  """Boxes read from a json file."""

  # (boxes [N, 4], image px, scores [N]) by image id or, without ids, file name.
  people: Mapping[Any, tuple[np.ndarray, np.ndarray]]
  names: Mapping[str, set[Any]]  # keys in `people`, by file name
  category: int | str = 1
  # (height, width), px, by image id, where the file has them.
  sizes: Mapping[Any, tuple[int, int]] = dataclasses.field(default_factory=dict)

  def of(self, key: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes [N, 4] and scores [N] of an image; N is 0 for others."""
    return self.people.get(key, (np.zeros((0, 4)), np.zeros(0)))

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
      raise ValueError(
        f"{path} may be any of {sorted(fitting)[:3]} in the json of boxes; "
        "give it under that folder"
      )
    unnamed = number in self.people and number not in self._named
    return next(iter(keys), number if unnamed else None)

  def hint(self, path: pathlib.Path) -> str:
    """Returns what a message says about a photograph without boxes."""
    if not self.names:
      return f"the json has the image ids {list(self.people)[:3]}"
    return f"in the json {self._file_names.hint(path.name)}"


def read(
  path: str | pathlib.Path,
  *,
  min_score: float = 0.0,
  category: int | str | None = None,
) -> BoxFile:
  """Reads boxes from a COCO file of detections or of annotations.

  Detections are a list of {"image_id" or "file_name", "bbox": [x, y, w, h]},
  perhaps with "score" and "category_id". A video's frames have the image_id
  0, 1, and so on. Crowds, boxes without a positive size, of lower scores and of
  other categories are left out. `category` is by default the first that the
  file lists with keypoints, the one named person, 1, or the only one.

  Raises:
    FileNotFoundError: no such file.
    ValueError: neither of the two formats, or all boxes are left out.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file of boxes {path}; check --boxes")
  content = records = read_json(path)
  images, categories = {}, []
  if isinstance(content, Mapping):
    sections = ("images", "annotations")
    content = coco_annotations.read_sections(content, sections, path=path)
    images = coco_annotations.index_images(content["images"], path)
    categories, records = content.get("categories", []), content["annotations"]
  elif not isinstance(content, list):
    raise ValueError(
      f"{path}: boxes are a list of detections, or an object with images and "
      f"annotations, got {type(content).__name__}"
    )
  boxes = parse_boxes(records, path)
  if category is None:
    category = _choose_category(boxes, categories, path)
  chosen = [
    box
    for box in boxes
    if box.category_id in (None, category)
    and box.score >= min_score
    and not box.iscrowd
  ]
  if boxes and not chosen:
    ids = {b.category_id for b in boxes if b.category_id is not None}
    listed = sorted(ids, key=str)
    raise ValueError(
      f"{path}: none of its {len(boxes)} boxes is of category {category} "
      f"with a score of {min_score:g} or more; their categories are {listed}"
    )
  sizes = {
    image_id: size
    for image_id, image in images.items()
    if (size := image_size(image))
  }
  names = _names(images, boxes)
  return BoxFile(_group(chosen, path), names, category, sizes)


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
    if box.file_name:
      return box.file_name
    return int(box.image_id) if box.image_id.isdecimal() else box.image_id
  return box.file_name if box.image_id is None else box.image_id


def _choose_category(boxes: Sequence[Box], categories, path) -> int | str:
  """The category with keypoints, the one named person, 1, or the only one."""
  ids = {1 if box.category_id is None else box.category_id for box in boxes}
  chosen = [c for c in categories if c.get("keypoints")]
  chosen = chosen or [c for c in categories if c.get("name") == "person"]
  if chosen:
    _LOG.info(
      "%s: boxes of category %s (%s) are people",
      path, chosen[0]["id"], chosen[0].get("name"),
    )  # fmt: skip
    return chosen[0]["id"]
  return ids.pop() if len(ids) == 1 else 1


def _group(boxes: Sequence[Box], path: pathlib.Path):
  """(boxes [N, 4], scores [N]) by the key of each image."""
  sized = [box for box in boxes if (box.bbox[2:] > 0).all()]
  if len(sized) < len(boxes):
    count = len(boxes) - len(sized)
    _LOG.warning("%s: %d boxes without a size are left out", path, count)
  grouped = collections.defaultdict(list)
  for box in sized:
    grouped[_key(box)].append((box.bbox, box.score))
  return {
    key: tuple(map(np.array, zip(*group, strict=True)))
    for key, group in grouped.items()
  }

"""Where people are: boxes (x, y, w, h) in image px, checked and from files."""

import itertools
import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

_LOG = logging.getLogger(__name__)


def check(boxes: Any, image_size: tuple[int, int], name: str) -> np.ndarray:
  """Boxes of one image as an array; the whole image for None.

  Args:
    boxes: [N, 4] (x, y, w, h), image px; empty for nobody; or None.
    image_size: (height, width), px.
    name: of the image, for messages.

  Returns:
    [N, 4] float64.

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


class BoxFile(NamedTuple):
  """Boxes read from a json file.

  Attributes:
    people: (boxes [N, 4] in image px, scores [N]) by image id or, where the
      file tells none, by file name.
    names: the images of each file name without folders, as pairs of the whole
      file name and the key in `people`.
    category: the one that the boxes are of.
  """

  people: dict[str | int, tuple[np.ndarray, np.ndarray]]
  names: dict[str, set[tuple[str, str | int]]]
  category: int = 1

  def of(self, key: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] and scores [N] of an image; none where it is not listed."""
    return self.people.get(key, (np.zeros((0, 4)), np.zeros(0)))

  def key(self, path: pathlib.Path) -> str | int | None:
    """What the file knows a photograph by; None for one it does not know.

    That is the image of the same file name, of several the one that shares
    most folders with the path. Only where the file tells no names is it the
    number that the photograph is named by, as in 000000000139.jpg.

    Raises:
      ValueError: several images could be meant.
    """
    if not self.names:
      return int(path.stem) if path.stem.isdecimal() else None
    shared = {
      image: _shared_parts(path, image[0])
      for image in self.names.get(path.name, ())
    }
    best = [i for i in shared if shared[i] == max(shared.values())]
    if len(best) > 1:
      raise ValueError(
        f"{path} may be any of {sorted(name for name, _ in best)[:3]} in the "
        "json of boxes; give it under that folder"
      )
    return best[0][1] if best else None


def _shared_parts(path: pathlib.Path, name: str) -> int:
  """How many parts, from the last one on, a path and a name have in common."""
  ours = reversed(path.resolve().parts)
  theirs = reversed(pathlib.PurePosixPath(name).parts)
  same = (mine == other for mine, other in zip(ours, theirs, strict=False))
  return sum(1 for _ in itertools.takewhile(bool, same))


def read(
  path: str | pathlib.Path,
  *,
  min_score: float = 0.0,
  category: int | None = None,
) -> BoxFile:
  """Reads boxes from a COCO file of detections or of annotations.

  Detections are a list of {"image_id" or "file_name", "bbox": [x, y, w, h]}
  with optional "score" (else 1) and "category_id". Annotations are
  {"images": [{"id", "file_name"}], "annotations": [{"image_id", "bbox"}]}, of
  which crowds are left out. A video's frames are known by image_id, from 0.
  Boxes without a positive size are left out, with a warning.

  Args:
    path: of the json.
    min_score: detections below it are left out.
    category: records of other categories are left out. By default COCO's
      person, 1; where nobody is of it, the first category that the file lists
      with keypoints, or the only one there is.

  Returns:
    The boxes of every image, in the order of the file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: neither of the two formats, the message says where; or a file
      of boxes that are all left out.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file of boxes {path}; check --boxes")
  content = _parse(path)
  records, images = content, {}
  if isinstance(content, Mapping):
    records = content["annotations"]
    images = dict(_read_image(i, path) for i in content["images"])
  records = [_read_record(r, path, n) for n, r in enumerate(records)]
  if category is None:
    category = _category(content, records)
  chosen = [
    record
    for record in records
    if record.category in (None, category)
    and record.score >= min_score
    and not record.crowd
  ]
  if records and not chosen:
    listed = sorted({r.category for r in records if r.category is not None})
    raise ValueError(
      f"{path}: none of its {len(records)} boxes is of category {category} "
      f"with a score of {min_score:g} or more; their categories are {listed}"
    )
  names = {}
  told = {(r.file_name, r.key) for r in records if r.file_name is not None}
  for name, key in told | {(name, n) for n, name in images.items()}:
    base = pathlib.PurePosixPath(name).name
    names.setdefault(base, set()).add((name, key))
  return BoxFile(_by_key(chosen, path), names, category)


class _Record(NamedTuple):
  """A box of the file."""

  key: str | int  # the image id or, without one, the file name
  file_name: str | None
  bbox: np.ndarray  # [4]
  score: float
  category: int | None
  crowd: bool


def _category(content, records) -> int:
  ids = {
    1 if record.category is None else record.category for record in records
  }
  listed = content["categories"] if "categories" in content else []
  listed = [c["id"] for c in listed if c.get("keypoints")]
  if 1 in ids:
    return 1
  if listed:
    return listed[0]
  return ids.pop() if len(ids) == 1 else 1


def _parse(path: pathlib.Path) -> Any:
  try:
    content = json.loads(path.read_text())
  except (UnicodeDecodeError, json.JSONDecodeError) as error:
    raise ValueError(f"{path} is not json ({error}); write it again") from error
  annotations = isinstance(content, Mapping) and {
    "images",
    "annotations",
  } <= set(content)
  if not annotations and not isinstance(content, list):
    raise ValueError(
      f"{path}: boxes are a list of detections, or an object with images and "
      f"annotations, got {type(content).__name__}"
      + (f" with {sorted(content)[:5]}" if isinstance(content, Mapping) else "")
    )
  return content


def _by_key(records, path):
  """(boxes [N, 4], scores [N]) by the key of each image."""
  grouped, unusable = {}, 0
  for record in records:
    if not (np.isfinite(record.bbox).all() and (record.bbox[2:] > 0).all()):
      unusable += 1
      continue
    found = grouped.setdefault(record.key, [])
    found.append((record.bbox, record.score))
  if unusable:
    _LOG.warning("%s: %d boxes without a size are left out", path, unusable)
  return {
    key: tuple(
      np.array(column, np.float64) for column in zip(*found, strict=True)
    )
    for key, found in grouped.items()
  }


def _read_image(image, path) -> tuple[int, str]:
  try:
    return int(image["id"]), _slashes(image["file_name"])
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"{path}: an image has a number as id and a file_name, got "
      f"{str(image)[:120]}"
    ) from error


def _read_record(record, path, n) -> _Record:
  try:
    name = _slashes(record["file_name"]) if "file_name" in record else None
    number = record.get("image_id")
    if name is None and number is None:
      raise KeyError("image_id")
    key = name if number is None else int(number)
    return _Record(
      key,
      name,
      np.array(record["bbox"], np.float64).reshape(4),
      float(record.get("score", 1.0)),
      record.get("category_id"),
      bool(record.get("iscrowd", 0)),
    )
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"{path}: a record has bbox [x, y, w, h], image_id (a number) or "
      f"file_name, and perhaps score (a number), got {str(record)[:120]} as "
      f"person {n}"
    ) from error


def _slashes(file_name: str) -> str:
  """The name with "/" between folders, also where Windows wrote it."""
  return file_name.replace("\\", "/")

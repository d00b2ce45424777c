"""Where people are: boxes (x, y, w, h) in image px, checked and from files."""

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
  boxes = np.asarray(boxes, np.float64)
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
    people: by file name or image id, (boxes [N, 4] in image px, scores [N]).
    image_ids: image id by file name, where the file tells it.
  """

  people: dict[str | int, tuple[np.ndarray, np.ndarray]]
  image_ids: dict[str, int]

  def of(self, name: str, image_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] and scores [N] of an image; none where it is not listed."""
    nobody = np.zeros((0, 4)), np.zeros(0)
    return self.people.get(name, self.people.get(image_id, nobody))


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
  which crowds are left out. Files are known by their name without folders; a
  video's frames by image_id, from 0. Boxes without a positive size are left
  out, with a warning.

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
    ValueError: neither of the two formats; the message says where.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file of boxes {path}; check --boxes")
  content = _parse(path)
  records, names = content, {}
  if isinstance(content, Mapping):
    records = content["annotations"]
    names = {
      image["id"]: _base(image["file_name"]) for image in content["images"]
    }
  if category is None:
    category = _category(content, records)
  chosen = [
    record
    for record in records
    if record.get("category_id", category) == category
    and record.get("score", 1.0) >= min_score
    and not record.get("iscrowd", 0)
  ]
  people = _by_image(chosen, names, path)
  return BoxFile(people, {name: n for n, name in names.items()})


def _category(content, records) -> int:
  ids = {record.get("category_id", 1) for record in records}
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


def _by_image(records, names, path):
  """(boxes [N, 4], scores [N]) by file name where known, else image id."""
  grouped, unusable = {}, 0
  for n, record in enumerate(records):
    bbox, key = _read_record(record, names, path, n)
    if not (np.isfinite(bbox).all() and (bbox[2:] > 0).all()):
      unusable += 1
      continue
    grouped.setdefault(key, []).append((bbox, record.get("score", 1.0)))
  if unusable:
    _LOG.warning("%s: %d boxes without a size are left out", path, unusable)
  return {
    key: tuple(
      np.array(column, np.float64) for column in zip(*found, strict=True)
    )
    for key, found in grouped.items()
  }


def _read_record(record, names, path, n):
  try:
    bbox = np.array(record["bbox"], np.float64).reshape(4)
    if "file_name" in record:
      return bbox, _base(record["file_name"])
    return bbox, names.get(record["image_id"], record["image_id"])
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"{path}: a record has bbox [x, y, w, h] and image_id or file_name, got "
      f"{str(record)[:120]} as person {n}"
    ) from error


def _base(file_name: str) -> str:
  return pathlib.PurePosixPath(file_name).name

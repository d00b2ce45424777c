"""Ultralytics' YOLO-pose folders: images, a text file for each, a data.yaml.

The yaml's `train`, `val` and `test` are the splits. A line of a text file is
the class, the box (center and size) and K keypoints, all divided by the size of
the image: x, y, visibility or, where `kpt_shape` has 2 numbers to a keypoint,
x, y; of these 0, 0 and negative ones are not labelled. Keypoints have the names
of `kpt_names` (or sleap-io's `node_names`); without, those of COCO where there
are 17 with COCO's `flip_idx`, else numbers. `flip_idx` gives the flip pairs.

px are the numbers times width and height, which gives back the coordinates that
Ultralytics' own converter divided by them; it knows no half pixel.

Reference: docs.ultralytics.com/datasets/pose and verify_image_label in
ultralytics/data/utils.py, which ignores images with numbers over 1; here the
people with such numbers are left out.
"""

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from darkjax.convert import extras, splits
from darkjax.convert.formats import yolo_config
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  UNLABELLED,
  VISIBLE,
  Image,
  LeftOut,
  Person,
  Size,
  keypoint_row,
)
from darkjax.convert.project import Project

_BOX = 5  # numbers of a line before its keypoints
_TOLERANCE = 0.01  # of the image's size, as in Ultralytics


def read(project: Project) -> list[Image]:
  """Reads the splits of a data.yaml."""
  source, left_out = project.source, project.left_out
  content = extras.read_yaml(source)
  if not yolo_config.is_yolo(content):
    raise ValueError(
      f"{source}: expected the yaml of a YOLO-pose data set with 'kpt_shape', "
      "such as [17, 3]; data sets of boxes or masks have no keypoints"
    )
  config = yolo_config.read_config(project, content)
  listed = []
  for split in splits.USUAL:
    for path in yolo_config.list_split(project, content, split):
      image = ImageFiles([path.parent], left_out).open(path.name, split=split)
      if image is not None:
        assert image.size is not None
        text = _label_file(path)
        image.people = _read_people(text, image.size, config, left_out)
        listed.append(image)
  if not listed:
    raise ValueError(
      f"{source}: found no images in its train, val and test; give the folder "
      "that they are relative to: --images"
    )
  return listed


def _label_file(path: pathlib.Path) -> pathlib.Path:
  """The text file of an image: below labels/ in place of the last images/."""
  parts = list(path.parts)
  if "images" in parts:
    last = len(parts) - 1 - parts[::-1].index("images")
    parts[last] = "labels"
  return pathlib.Path(*parts).with_suffix(".txt")


def _read_people(
  path: pathlib.Path,
  size: Size,
  config: yolo_config.Config,
  left_out: LeftOut,
) -> list[Person]:
  if not path.is_file():
    return []  # a background
  people = []
  lines = path.read_text(encoding="utf-8-sig").splitlines()
  for number, line in enumerate(lines, start=1):
    if fields := line.split():
      person = _person(fields, f"{path}: line {number}", size, config, left_out)
      people += [] if person is None else [person]
  return people


def _person(
  fields: Sequence[str],
  name: str,
  size: Size,
  config: yolo_config.Config,
  left_out: LeftOut,
) -> Person | None:
  expected = _BOX + config.num_keypoints * config.dimensions
  if len(fields) == _BOX:
    left_out["boxes without keypoints"] += 1
    return None
  if len(fields) != expected:
    raise ValueError(
      f"{name} expected {expected} numbers (class, box, "
      f"{config.num_keypoints} times {config.dimensions}), got {len(fields)}: "
      f"{' '.join(fields)[:80]}"
    )
  numbers = np.array([_number(field, name) for field in fields])
  category = config.categories.get(int(numbers[0]))
  if category is None:
    raise ValueError(
      f"{name} is of class {fields[0]}, but {config.path} names only "
      f"{list(config.categories)}"
    )
  keypoints = numbers[_BOX:].reshape(config.num_keypoints, config.dimensions)
  if max(numbers[1:_BOX].max(), keypoints[:, :2].max()) > 1 + _TOLERANCE:
    left_out["people with coordinates over 1"] += 1
    return None
  height, width = size
  scale = np.array([width, height], np.float64)
  center, extent = numbers[1:3] * scale, numbers[3:5] * scale
  (x, y), (w, h) = (center - extent / 2).tolist(), extent.tolist()
  rows = [_row(point, scale) for point in keypoints]
  return Person(category, np.array(rows), (x, y, w, h))


def _number(field: str, name: str) -> float:
  try:
    number = float(field)
  except ValueError:
    number = math.nan
  if not math.isfinite(number):
    raise ValueError(f"{name} expected finite numbers, got {field!r:.80}")
  return number


def _row(point: np.ndarray, scale: np.ndarray) -> list[float]:
  x, y = point[:2] * scale
  if point.size == 3:
    return keypoint_row(x, y, float(np.clip(np.rint(point[2]), 0, 2)))
  labelled = (point >= 0).all() and point.any()
  return keypoint_row(x, y, VISIBLE if labelled else UNLABELLED)

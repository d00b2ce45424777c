"""MPII's label files: HRNet's json lists, the official .mat, and head boxes.

Everything is as in the files, coordinates from 1; convert.py converts it.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from darkjax.runtime.json_file import read_json

# Shapes of the numbers of a person in a json list.
_SHAPES = {"center": (2,), "scale": (), "joints": (16, 2), "joints_vis": (16,)}


def read_people(path: pathlib.Path) -> list[dict[str, Any]]:
  """Reads the labelled people of a json list or the official .mat, in order.

  Returns:
    Dictionaries of image (file name), center [2] and scale (-1 where unknown),
    keypoints [16, 3] (x, y, visibility: 2 seen, 1 hidden, 0 without a label)
    and, where the file has it, headbox [4] (x1, y1, x2, y2).
  """
  return _read_mat(path) if path.suffix == ".mat" else _read_json(path)


def _read_json(path: pathlib.Path) -> list[dict[str, Any]]:
  try:
    people = read_json(path)
  except ValueError as error:
    raise ValueError(f"{error}; the official labels end in .mat") from error
  if not isinstance(people, list):
    raise ValueError(
      f"{path}: expected HRNet's list of people, got {type(people).__name__}; "
      "a COCO-format file needs no conversion"
    )
  return [
    _json_person(person, f"{path}: person {number}")
    for number, person in enumerate(people)
  ]


def _json_person(person: Any, name: str) -> dict[str, Any]:
  fields = ("image", *_SHAPES)
  if not isinstance(person, Mapping):
    raise ValueError(
      f"{name} expected a dictionary of {fields}, got {type(person).__name__}"
    )
  missing = [field for field in fields if person.get(field) is None]
  if missing:
    raise ValueError(
      f"{name} expected {fields}, missing or null: {missing}, got "
      f"{sorted(person)}; test.json has no labels: use train.json or valid.json"
    )
  numbers = {}
  for field, shape in _SHAPES.items():
    try:
      numbers[field] = np.asarray(person[field], np.float64)
    except (OverflowError, TypeError, ValueError):
      numbers[field] = np.array(np.nan)
    if numbers[field].shape != shape or not np.isfinite(numbers[field]).all():
      raise ValueError(
        f"{name} expected {field!r} of finite numbers in the shape {shape}, "
        f"got {str(person[field])[:80]}"
      )
  labelled = numbers["joints_vis"]
  if not np.isin(labelled, (0, 1)).all():
    raise ValueError(
      f"{name} expected joints_vis of 0 (not labelled) or 1, got "
      f"{sorted({*labelled.tolist()})}"
    )
  return {
    "image": str(person["image"]),
    "center": numbers["center"],
    "scale": float(numbers["scale"]),
    "keypoints": np.column_stack([numbers["joints"], 2.0 * labelled]),
  }


def _read_mat(path: pathlib.Path) -> list[dict[str, Any]]:
  content = _load(path)
  if "RELEASE" not in content:
    raise ValueError(
      f"{path}: expected MPII's RELEASE structure, got {_names(content)}; the "
      "file is mpii_human_pose_v1_u12_1.mat"
    )
  return [
    _mat_person(image, rect, f"{path}: person {number} (in {image})")
    for number, (image, rect) in enumerate(_labelled(content["RELEASE"]))
  ]


def read_headboxes(path: pathlib.Path) -> np.ndarray:
  """Reads the head boxes [N, 4] (x1, y1, x2, y2) of HRNet's gt_valid.mat."""
  content = _load(path)
  boxes = np.asarray(content.get("headboxes_src"))
  if boxes.shape[:2] != (2, 2):
    raise ValueError(
      f"{path}: expected headboxes_src of shape (2, 2, N), got {boxes.shape} "
      f"among {_names(content)}; the file is HRNet's gt_valid.mat"
    )
  return boxes.reshape(4, -1).T  # of [corner, (x, y), person]


def _labelled(release: Any) -> Iterator[tuple[str, Any]]:
  """Yields file name and rectangle of the people that have points."""
  trains = np.atleast_1d(release.img_train)
  for image, train in zip(np.atleast_1d(release.annolist), trains, strict=True):
    # People of the test images, and some others, have no points.
    for rect in np.atleast_1d(image.annorect) if train else ():
      if hasattr(getattr(rect, "annopoints", None), "point"):
        yield str(image.image.name), rect


def _mat_person(image: str, rect: Any, name: str) -> dict[str, Any]:
  position = getattr(rect, "objpos", None)
  try:
    person = {
      "center": np.array([_number(position, "x"), _number(position, "y")]),
      "scale": _number(rect, "scale"),
      "keypoints": _keypoints(np.atleast_1d(rect.annopoints.point)),
    }
    corners = [_number(rect, f, None) for f in ("x1", "y1", "x2", "y2")]
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(f"{name}: {error}") from error
  if None not in corners:
    person["headbox"] = np.array(corners)
  for field, numbers in person.items():
    if not np.isfinite(numbers).all():
      raise ValueError(f"{name} expected {field} of finite numbers")
  return {"image": image, **person}


def _keypoints(points: np.ndarray) -> np.ndarray:
  keypoints = np.zeros((16, 3))
  for point in points:
    number = _number(point, "id")
    if number not in range(16):
      raise ValueError(f"expected ids of points in 0..15, got {number:g}")
    # Only a written 0 means hidden: head top and neck come without a flag.
    visibility = 1.0 if _number(point, "is_visible") == 0 else 2.0
    keypoints[int(number)] = point.x, point.y, visibility
  return keypoints


def _number(struct: Any, field: str, default: float | None = -1.0) -> Any:
  """A field as a number (some are written as text); default if it is empty."""
  value = getattr(struct, field, None)
  return default if value is None or np.size(value) == 0 else float(value)


def _names(content: dict[str, Any]) -> list[str]:
  return sorted(name for name in content if not name.startswith("__"))


def _load(path: pathlib.Path) -> dict[str, Any]:
  from scipy import io  # slow to import, and json lists do without

  try:
    return io.loadmat(path, struct_as_record=False, squeeze_me=True)
  except Exception as error:  # SciPy raises whatever it stumbles on
    raise ValueError(
      f"{path} is not a Matlab file that can be read ({error}); it may be cut "
      "short: download it again"
    ) from error

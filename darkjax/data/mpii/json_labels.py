"""MPII's labels as HRNet's json lists (train.json, valid.json) have them.

Everything is as in the files, coordinates from 1; convert.py converts it.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from darkjax.runtime.json_file import read_json

# Shapes of the numbers of a person.
_SHAPES = {"center": (2,), "scale": (), "joints": (16, 2), "joints_vis": (16,)}


def read_people(path: pathlib.Path) -> list[dict[str, Any]]:
  """Reads the people of a json list, in its order.

  Returns:
    Dictionaries of image (file name), center [2] and scale (-1 where unknown)
    and keypoints [16, 3] (x, y, visibility: 2 or 0).
  """
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
    _person(person, f"{path}: person {number}")
    for number, person in enumerate(people)
  ]


def _person(person: Any, name: str) -> dict[str, Any]:
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

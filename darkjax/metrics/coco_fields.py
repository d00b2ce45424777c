"""How the values of a COCO-format json are read, whatever type they have.

Labelling tools write numbers as text, ids as floats and flags as booleans. Each
field is read in one way here, for checking, training, scoring and prediction
alike; docs/files.md has the table. What cannot be read is left as it is,
for `coco_annotations.find_problems` to say.
"""

import math
from collections.abc import Mapping
from typing import Any

LARGEST_ID = 2**63 - 1  # ids are held as int64
AREA_SHARE = 0.53  # of the box, what bodies cover on average in COCO
# Of a box that is made from keypoints: on every side, of its larger side.
BOX_MARGIN = 0.1

# What a missing field is taken as, in words.
FILLED = {
  "bbox": f"the extent of the labelled keypoints and {BOX_MARGIN:.0%} more",
  "area": f"{AREA_SHARE} * w * h of the box",
}

# What reading adds to an image or annotation.
ADDED = ("id_in_file", "image_id_in_file", "filled")

_NUMBERS = {int, float}


def read_number(value: Any) -> Any:
  """Returns the number that a text such as "12.5" writes; else the value.

  >>> read_number("12.5"), read_number(3), read_number("wide")
  (12.5, 3, 'wide')
  """
  if isinstance(value, str) and "_" not in value:  # Python reads 4_1 as 41
    try:
      number = float(value)
    except ValueError:
      return value
    return int(number) if number.is_integer() and number < 2**53 else number
  return value


def read_id(value: Any) -> Any:
  """Returns the integer that a whole float writes; text stays text.

  >>> read_id(7.0), read_id("7"), read_id(7.5)
  (7, '7', 7.5)
  """
  if isinstance(value, float) and value.is_integer():
    return int(value)
  return value


def is_id(value: Any) -> bool:
  """Returns whether a value of `read_id` is an id: an integer or a text."""
  return isinstance(value, int | str) and not isinstance(value, bool)


def describe_id(value: Any) -> str:
  """Returns an id with its type, for messages.

  >>> describe_id("1"), describe_id(1)
  ("'1' (text)", '1 (number)')
  """
  kind = "text" if isinstance(value, str) else "number"
  return f"{value!r} ({kind})" if is_id(value) else repr(value)


def id_in_file(item: Mapping[str, Any]) -> Any:
  """Returns the id that the file gives an image or annotation."""
  return item.get("id_in_file", item.get("id"))


def read_image(image: Mapping[str, Any]) -> dict[str, Any]:
  """Returns an image of the json with its fields read."""
  read = {**image, "id": read_id(image.get("id"))}
  for field in ("width", "height"):
    if field in image:
      read[field] = read_number(image[field])
  return read


def read_annotation(annotation: Mapping[str, Any]) -> dict[str, Any]:
  """Returns an annotation of the json with its fields read.

  A missing box is that of the labelled keypoints, `BOX_MARGIN` wider on every
  side; a missing area is `AREA_SHARE` of the box; `filled` names what was.
  """
  read = dict(annotation)
  for field in ("id", "image_id", "category_id"):
    if field in read:
      read[field] = read_id(read[field])
  for field in ("area", "score", "num_keypoints"):
    if field in read:
      read[field] = read_number(read[field])
  read["iscrowd"] = _read_flag(annotation.get("iscrowd"))
  read["keypoints"] = _read_keypoints(annotation.get("keypoints"))
  if read.get("score", 0) is None:
    del read["score"]
  filled = [field for field in FILLED if annotation.get(field) is None]
  if "bbox" in filled:
    read["bbox"] = _box_of_keypoints(read["keypoints"])
  else:
    read["bbox"] = _read_list(annotation["bbox"])
  if "area" in filled:
    read["area"] = _area_of_box(read["bbox"])
  if filled:
    read["filled"] = annotation.get("filled", filled)
  return read


def _read_flag(value: Any) -> Any:
  """0 or 1 of true, "0", 1.0 or null; else the value."""
  number = read_number(0 if value is None else value)
  return int(number) if number in (0, 1) else value


def _read_list(values: Any) -> Any:
  if isinstance(values, list) and not _are_numbers(values):
    return [read_number(value) for value in values]
  return values


def _read_keypoints(values: Any) -> Any:
  """A flat list; [] of null, [[x, y, v], ...] in a row, gaps as 0, 0, 0.

  A gap is a keypoint whose visibility is 0, null or NaN and whose place is not
  a number.
  """
  if values is None:
    return []
  if isinstance(values, list) and values and isinstance(values[0], list):
    if all(isinstance(point, list) and len(point) == 3 for point in values):
      values = [number for point in values for number in point]
  values = _read_list(values)
  if not isinstance(values, list) or len(values) % 3:
    return values
  if _are_numbers(values) and all(value == value for value in values):  # no NaN
    return values
  points = zip(values[::3], values[1::3], values[2::3], strict=True)
  return [
    number
    for x, y, flag in points
    for number in ((0, 0, 0) if _is_gap(x, y, flag) else (x, y, flag))
  ]


def _is_gap(x: Any, y: Any, flag: Any) -> bool:
  unlabelled = _is_missing(flag) or (flag == 0 and flag is not False)
  return unlabelled and (_is_missing(x) or _is_missing(y))


def _is_missing(value: Any) -> bool:
  return value is None or (isinstance(value, float) and math.isnan(value))


def _box_of_keypoints(keypoints: Any) -> list[float] | None:
  """[x, y, w, h] around the labelled keypoints; of none [0, 0, 0, 0]."""
  if not _are_numbers(keypoints) or len(keypoints) % 3:
    return None
  points = zip(keypoints[::3], keypoints[1::3], keypoints[2::3], strict=True)
  labelled = [(x, y) for x, y, flag in points if flag > 0]
  if not labelled:
    return [0, 0, 0, 0]
  x, y = zip(*labelled, strict=True)
  margin = BOX_MARGIN * max(max(x) - min(x), max(y) - min(y))
  sides = max(x) - min(x) + 2 * margin, max(y) - min(y) + 2 * margin
  return [min(x) - margin, min(y) - margin, *sides]


def _area_of_box(bbox: Any) -> float | None:
  if not _are_numbers(bbox) or len(bbox) != 4 or min(bbox[2:]) < 0:
    return None
  try:
    return AREA_SHARE * bbox[2] * bbox[3]
  except (
    OverflowError
  ):  # an integer beyond floats, which the box is refused for
    return None


def _are_numbers(values: Any) -> bool:
  return isinstance(values, list) and {*map(type, values)} <= _NUMBERS

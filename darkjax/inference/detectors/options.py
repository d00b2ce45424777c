"""Options of detectors, as arguments or after the "?" of a specification."""

import dataclasses
import pathlib
import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal, get_args

Fit = Literal["corner", "center", "stretch", "none"]
Order = Literal["rgb", "bgr"]
Values = Literal["0-255", "0-1", "imagenet"]

MIN_SCORE = 0.3  # of networks, where no other is given

_CHOICES = {
  "fit": get_args(Fit),
  "order": get_args(Order),
  "values": get_args(Values),
}
# Type and highest value.
_NUMBERS = {
  "person_class": (int, 10_000),
  "min_score": (float, 1),
  "nms": (float, 1),
  "threads": (int, 1024),
}


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of `load_detector`; None is what the network's file says.

  Attributes:
    size: (height, width), px, of the input where the file leaves it open; a
      number is a square, a text "480x640" height and width.
    fit: how a photograph is brought to that size: "corner" and "center" keep
      its shape and pad with grey (114), "stretch" does not, "none" leaves the
      photograph as it is.
    order: of the channels, "rgb" or "bgr".
    values: of the pixels, "0-255", "0-1", or "imagenet": 0-1 less ImageNet's
      mean, divided by its standard deviation.
    person_class: index of the class of people.
    min_score: lowest score of a box; 0.3 by default, 0 for callables.
    nms: see `people.select`, for networks that leave duplicates.
    threads: CPU threads of the network; 0 is one per core.

  Raises:
    ValueError: an option that is unknown or out of range.
  """

  size: Any = None
  fit: Fit | None = None
  order: Order | None = None
  values: Values | None = None
  person_class: int | None = None
  min_score: float | None = None
  nms: float = 0.65
  threads: int = 0

  def __post_init__(self):
    for name, choices in _CHOICES.items():
      value = getattr(self, name)
      if value is not None and value not in choices:
        raise ValueError(
          f"a detector's {name} is one of {list(choices)}, got {value!r}"
        )
    object.__setattr__(self, "size", _read_size(self.size))
    for name, (kind, highest) in _NUMBERS.items():
      if getattr(self, name) is not None:
        number = _read_number(kind, name, getattr(self, name), highest)
        object.__setattr__(self, name, number)

  @classmethod
  def read(cls, options: Mapping[str, Any]) -> "Options":
    """Reads options by name; values may be text."""
    names = [field.name for field in dataclasses.fields(cls)]
    unknown = [name for name in options if name not in names]
    if unknown:
      raise ValueError(
        f"a detector's options are {', '.join(names)}; got {unknown[0]!r}"
      )
    return cls(**options)


def _read_number(kind: type, name: str, value: Any, highest: float) -> Any:
  try:
    number = kind(value)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"a detector's {name} is a number ({kind.__name__}), got {value!r}"
    ) from error
  if not 0 <= number <= highest:
    raise ValueError(
      f"a detector's {name} is between 0 and {highest:g}, got {value}"
    )
  return number


def _read_size(size: Any) -> tuple[int, int] | None:
  """Reads 640, "640", "480x640" and (480, 640) as (height, width)."""
  if size is None:
    return None
  sides = size.split("x") if isinstance(size, str) else size
  try:
    sides = [sides] if isinstance(sides, int) else list(sides)
    height, width = map(int, sides * 2 if len(sides) == 1 else sides)
  except (TypeError, ValueError) as error:
    raise ValueError(
      "a detector's size is a number of pixels or height x width such as "
      f"480x640, got {size!r}"
    ) from error
  if min(height, width) < 1:
    raise ValueError(f"a detector's size is 1 px or more, got {size!r}")
  return height, width


def split(specification: str) -> tuple[str, dict[str, str]]:
  """Splits "NAME?option=value&..." into the name and its options.

  A file whose whole name this is has no options.

  >>> split("yolo.onnx?size=640&order=bgr")
  ('yolo.onnx', {'size': '640', 'order': 'bgr'})
  """
  name, mark, query = specification.rpartition("?")
  in_folder = {"/", "\\"} & set(query)  # the mark is in a folder's name
  if not mark or in_folder or pathlib.Path(specification).is_file():
    return specification, {}
  try:
    pairs = urllib.parse.parse_qsl(query, strict_parsing=True)
  except ValueError as error:
    raise ValueError(
      "options of a detector are name=value, joined by &, got "
      f"{query!r} in {specification!r}"
    ) from error
  return name, dict(pairs)

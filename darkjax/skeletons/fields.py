"""How the fields of a COCO category are read, whatever tool wrote them.

A keypoint is given by its name or its number; numbers may be whole floats or
text. Limbs ("skeleton") count from 1, as in COCO's files; all other fields,
which COCO does not have, from 0. What cannot be read raises a ValueError that
names the category, the field, the entry and the form expected.
"""

import itertools
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")
_SHOWN = 3  # pairs of an example
_REPR = reprlib.Repr()  # shortens what would fill the screen
_REPR.maxstring = 60


class CategoryFields:
  """The fields of a category whose keypoints have K names.

  >>> category = {"name": "cat", "skeleton": [["Ear", "2"], [2.0, 3]]}
  >>> CategoryFields(category, ["ear", "nose", "tail"]).limbs()
  ((0, 1), (1, 2))
  """

  def __init__(self, category: Mapping[str, Any], names: Sequence[str]):
    self._category = category
    self._count = len(names)
    # In any case, where that is not another name.
    self._index = {name.strip().casefold(): i for i, name in enumerate(names)}
    self._index |= {name.strip(): i for i, name in enumerate(names)}

  def limbs(self) -> tuple[tuple[int, int], ...]:
    """Returns the pairs of `skeleton`, counted from 0; () if none or ""."""
    given = self._category.get("skeleton")
    return (self._pairs("skeleton", 1) or ()) if given else ()

  def flip_pairs(self) -> tuple[tuple[int, int], ...] | None:
    """Returns the pairs of `flip_pairs`; None if not given."""
    return self._pairs("flip_pairs", 0)

  def indices(self, field: str) -> tuple[int, ...] | None:
    """Returns the keypoints of `upper_body` or `lower_body`; None likewise."""
    form = f"a list of keypoints, {self._how_given(0)}"
    return self._entries(field, lambda value: self._keypoint(value, 0), form)

  def sigmas(self) -> tuple[float, ...] | None:
    """Returns the K numbers of `sigmas`; None if not given."""
    form = f"K={self._count} positive sigmas, one number for each keypoint"
    sigmas = self._entries("sigmas", _read_sigma, form)
    if sigmas is not None and len(sigmas) != self._count:
      raise self._error("sigmas", f"has {len(sigmas)} entries", form)
    return sigmas

  def _pairs(
    self, field: str, first: int
  ) -> tuple[tuple[int, int], ...] | None:
    values = self._category.get(field)
    meant = _as_pairs(values)
    if not all(self._is_keypoint(end, first) for end in _ends(meant)):
      meant = []
    form = (
      f"pairs [a, b] of keypoints, {self._how_given(first)}, such as "
      f"{meant[:_SHOWN] or [[first, first + 1]]}"
      f"{self._count_again(values, first)}"
    )

    def read(value: Any) -> tuple[int, int]:
      if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("")
      return self._keypoint(value[0], first), self._keypoint(value[1], first)

    return self._entries(field, read, form)

  def _entries(
    self, field: str, read: Callable[[Any], _T], form: str
  ) -> tuple[_T, ...] | None:
    """Reads every entry of a list; ValueErrors of `read` say what is wrong."""
    values = self._category.get(field)
    if values is None:
      return None
    if not isinstance(values, list | tuple):
      raise self._error(field, f"is {_REPR.repr(values)}", form)
    entries = []
    for position, value in enumerate(values, 1):
      try:
        entries.append(read(value))
      except ValueError as error:
        found = (
          f"entry {position} of {len(values)} is {_REPR.repr(value)}{error}"
        )
        raise self._error(field, found, form) from None
    return tuple(entries)

  def _keypoint(self, value: Any, first: int) -> int:
    """Returns the index, from 0, of a keypoint given by name or number."""
    if isinstance(value, str):
      name = value.strip()
      known = self._index.get(name, self._index.get(name.casefold()))
      if known is not None:
        return known
    number = _read_whole(value)
    if number is None or not 0 <= number - first < self._count:
      raise ValueError(f", where {_REPR.repr(value)} is no keypoint")
    return number - first

  def _is_keypoint(self, value: Any, first: int) -> bool:
    try:
      return self._keypoint(value, first) >= 0
    except ValueError:
      return False

  def _how_given(self, first: int) -> str:
    last = first + self._count - 1
    return f"each by its name or its number, counted from {first} to {last}"

  def _count_again(self, values: Any, first: int) -> str:
    """Advice where numbers clearly count from 0 in place of 1, or from 1."""
    numbers = {
      *filter(lambda n: n is not None, map(_read_whole, _ends(values)))
    }
    other = 1 - first
    allowed = range(other, other + self._count)
    if not numbers or not numbers <= {*allowed}:
      return ""
    if numbers <= {*range(first, first + self._count)}:
      return ""
    step = "add 1 to" if first else "subtract 1 from"
    return f"; yours seem to count from {other}: {step} every number"

  def _error(self, field: str, found: str, form: str) -> ValueError:
    name = self._category.get("name")
    return ValueError(f"category {name!r}: {field!r} {found}; expected {form}")


def _read_number(value: Any) -> float | None:
  """A finite number, also of a text; None of anything else."""
  if isinstance(value, bool) or not isinstance(value, int | float | str):
    return None
  try:
    number = float(value)
  except (OverflowError, ValueError):
    return None
  return number if math.isfinite(number) else None


def _read_whole(value: Any) -> int | None:
  number = _read_number(value)
  return None if number is None or number % 1 else int(number)


def _read_sigma(value: Any) -> float:
  number = _read_number(value)
  if number is None or number <= 0:
    raise ValueError("")
  return number


def _ends(values: Any) -> Iterator[Any]:
  """Both ends of every pair, as far as there are any."""
  pairs = values if isinstance(values, list | tuple) else ()
  for pair in pairs:
    yield from pair if isinstance(pair, list | tuple) else ()


def _as_pairs(values: Any) -> list[list[Any]]:
  """What a flat list, or lists of more than two, may have meant."""
  if not isinstance(values, list | tuple):
    return []
  longer = [v for v in values if isinstance(v, list | tuple) and len(v) > 2]
  if longer:
    return [list(p) for chain in longer for p in itertools.pairwise(chain)]
  nested = any(isinstance(value, list | tuple) for value in values)
  if nested or len(values) % 2:
    return []
  return [list(pair) for pair in zip(values[::2], values[1::2], strict=True)]

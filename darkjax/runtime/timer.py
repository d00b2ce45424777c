"""Wall-clock seconds of the parts of a program, by name."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


class Timer:
  """Adds up the seconds of named parts; entering one again adds to it.

  >>> timer = Timer()
  >>> with timer("NMS"):
  ...   pass
  >>> list(timer.seconds)
  ['NMS']
  """

  def __init__(self) -> None:
    self.seconds: dict[str, float] = {}

  @contextlib.contextmanager
  def __call__(self, name: str) -> Iterator[None]:
    """Counts the time inside the `with`."""
    start = time.perf_counter()
    try:
      yield
    finally:
      spent = time.perf_counter() - start
      self.seconds[name] = self.seconds.get(name, 0.0) + spent

  def waiting(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
    """Yields the items; counts the time until each comes."""
    items = iter(items)
    while True:
      try:
        with self(name):
          item = next(items)
      except StopIteration:
        return
      yield item

  def describe(self) -> str:
    """Returns one line, in the order in which the parts were entered first."""
    parts = (f"{name} {s:.1f} s" for name, s in self.seconds.items())
    return ", ".join(parts)

"""Where the time goes: wall-clock seconds by the name of a stage."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


class Stages:
  """Adds up the seconds of stages; entering one again adds to it.

  >>> stages = Stages()
  >>> with stages("NMS"):
  ...   pass
  >>> list(stages.seconds)
  ['NMS']
  """

  def __init__(self):
    self.seconds: dict[str, float] = {}

  @contextlib.contextmanager
  def __call__(self, name: str) -> Iterator[None]:
    """Counts the time inside the `with` to the stage."""
    start = time.perf_counter()
    try:
      yield
    finally:
      self._add(name, time.perf_counter() - start)

  def waiting(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
    """The items; the time until each comes counts to the stage."""
    items = iter(items)
    while True:
      try:
        with self(name):
          item = next(items)
      except StopIteration:
        return
      yield item

  def describe(self) -> str:
    """One line, in the order of the stages."""
    parts = (f"{name} {s:.1f} s" for name, s in self.seconds.items())
    return ", ".join(parts)

  def _add(self, name: str, seconds: float) -> None:
    self.seconds[name] = self.seconds.get(name, 0.0) + seconds

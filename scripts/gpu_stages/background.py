"""Work beside the cells: compiling what a later one trains."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

_pool = futures.ThreadPoolExecutor(8)
_begun: list[futures.Future] = []


def begin(function: Callable[[], Any]) -> futures.Future:
  """Runs a function in a thread of its own."""
  _begun.append(_pool.submit(function))
  return _begun[-1]


def wait(seconds: float | None = None) -> None:
  """Waits until all is done, as timing should: the machine is quiet then."""
  futures.wait(_begun, seconds)

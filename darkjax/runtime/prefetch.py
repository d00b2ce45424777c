"""Calls of a function by threads, ahead of their use."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
  function: Callable[[Item], Result],
  items: Iterable[Item],
  *,
  ahead: int,
  threads: int | None = 1,
) -> Iterator[Result]:
  """Yields function(item) of each item, in order.

  Closing the iterator waits for the calls that have begun. What the function
  raises is raised in the item's place.

  Args:
    function: called in threads.
    items: may be endless.
    ahead: calls that are made before their results are asked for; bounds the
      memory.
    threads: None for a few more than there are cores.
  """
  items = iter(items)
  with futures.ThreadPoolExecutor(threads, "darkjax-ahead") as pool:

    def submit(count: int) -> list[futures.Future[Result]]:
      return [pool.submit(function, i) for i in itertools.islice(items, count)]

    pending = collections.deque(submit(ahead))
    try:
      while pending:
        result = pending.popleft().result()
        pending.extend(submit(1))
        yield result
    finally:
      pool.shutdown(cancel_futures=True)

"""Calls ahead of their use: order, bound, errors, and the end of threads."""

import itertools
import threading
import time
from concurrent import futures

import pytest

from darkjax.runtime.prefetch import map_ahead


@pytest.mark.parametrize("threads", [1, 3, None])
def test_results_come_in_order(threads):
  def slow_first(n: int) -> int:
    time.sleep(0.02 if n % 3 == 0 else 0)
    return n * n

  squares = list(map_ahead(slow_first, range(10), ahead=4, threads=threads))
  assert squares == [n * n for n in range(10)]
  assert list(map_ahead(slow_first, [], ahead=4, threads=threads)) == []


def test_so_many_calls_are_ahead_and_no_more():
  called = []
  results = map_ahead(called.append, itertools.count(), ahead=3)
  next(results)
  results.close()
  # One that was taken, and three ahead of it.
  assert 1 <= len(called) <= 4
  assert called == list(range(len(called)))


def test_errors_come_in_the_place_of_the_item():
  results = map_ahead(lambda n: 1 / n, [2, 1, 0, 4], ahead=2)
  assert [next(results), next(results)] == [0.5, 1.0]
  with pytest.raises(ZeroDivisionError):
    next(results)


def test_closing_ends_the_threads():
  results = map_ahead(lambda n: n, itertools.count(), ahead=2, threads=2)
  next(results)
  results.close()
  names = [thread.name for thread in threading.enumerate()]
  assert not any("darkjax-ahead" in name for name in names)


def test_closing_drops_the_calls_that_have_not_begun(monkeypatch):
  called, release = [], threading.Event()
  shutdown = futures.ThreadPoolExecutor.shutdown

  def shut_down(pool, wait=True, **options):
    shutdown(pool, wait=False, **options)
    release.set()
    shutdown(pool, wait=wait, **options)

  def wait_after_the_first(n: int) -> None:
    called.append(n)
    if n:
      release.wait(60)

  results = map_ahead(wait_after_the_first, range(99), ahead=30)
  next(results)
  monkeypatch.setattr(futures.ThreadPoolExecutor, "shutdown", shut_down)
  results.close()
  # One at a time: the first, and the second if it had begun.
  assert called in ([0], [0, 1])

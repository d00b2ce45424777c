"""Seconds by name, on a clock that the test moves."""

import types

import pytest

from darkjax.runtime import timer as timer_lib
from darkjax.runtime.timer import Timer


@pytest.fixture
def clock(monkeypatch):
  """A list whose only entry is the time."""
  now = [0.0]
  its_time = types.SimpleNamespace(perf_counter=lambda: now[0])
  monkeypatch.setattr(timer_lib, "time", its_time)
  return now


def test_a_part_adds_up(clock):
  timer = Timer()
  for seconds in (1.0, 2.5):
    with timer("NMS"):
      clock[0] += seconds
    clock[0] += 100.0  # outside
  with timer("AP"):
    clock[0] += 0.25
  assert timer.seconds == {"NMS": 3.5, "AP": 0.25}
  assert timer.describe() == "NMS 3.5 s, AP 0.2 s"


def test_waiting_counts_what_making_an_item_takes(clock):
  def slowly():
    for item in "ab":
      clock[0] += 2.0
      yield item

  timer, items = Timer(), []
  for item in timer.waiting("crops", slowly()):
    items.append(item)
    clock[0] += 50.0  # the work on an item
  assert items == ["a", "b"]
  assert timer.seconds == {"crops": 4.0}


def test_a_failing_part_counts_and_fails(clock):
  timer = Timer()

  def fail():
    with timer("AP"):
      clock[0] += 3.0
      raise ValueError

  with pytest.raises(ValueError):  # noqa: PT011, it is ours
    fail()
  assert timer.seconds == {"AP": 3.0}

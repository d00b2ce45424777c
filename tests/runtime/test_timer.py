"""Seconds by stage, on a clock that the test turns."""

import pytest

from darkjax.runtime import timer as stages_lib
from darkjax.runtime.timer import Stages


@pytest.fixture
def clock(monkeypatch):
  """A list whose only entry is the time."""
  now = [0.0]
  monkeypatch.setattr(stages_lib.time, "perf_counter", lambda: now[0])
  return now


def test_a_stage_adds_up(clock):
  stages = Stages()
  for seconds in (1.0, 2.5):
    with stages("NMS"):
      clock[0] += seconds
    clock[0] += 100.0  # outside
  with stages("AP"):
    clock[0] += 0.25
  assert stages.seconds == {"NMS": 3.5, "AP": 0.25}
  assert stages.describe() == "NMS 3.5 s, AP 0.2 s"


def test_waiting_counts_what_making_an_item_takes(clock):
  def slowly():
    for item in "ab":
      clock[0] += 2.0
      yield item

  stages, items = Stages(), []
  for item in stages.waiting("crops", slowly()):
    items.append(item)
    clock[0] += 50.0  # the work on an item
  assert items == ["a", "b"]
  assert stages.seconds == {"crops": 4.0}


def test_a_failing_stage_counts_and_fails(clock):
  stages = Stages()

  def fail():
    with stages("AP"):
      clock[0] += 3.0
      raise ValueError

  with pytest.raises(ValueError):  # noqa: PT011, it is ours
    fail()
  assert stages.seconds == {"AP": 3.0}

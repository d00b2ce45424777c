"""Tracks of boxes: who is who from frame to frame."""

import sys

import numpy as np
import pytest

from darkjax.predict import tracks


def _step(tracker, boxes, seconds, scores=None):
  scores = np.ones(len(boxes)) if scores is None else np.array(scores)
  return tracker.update(np.array(boxes, float).reshape(-1, 4), scores, seconds)


def test_boxes_that_overlap_are_one_person_whatever_their_order():
  tracker = tracks.OverlapTracker()
  left, right = [0, 0, 20, 40], [50, 0, 20, 40]
  assert _step(tracker, [left, right], 0.0) == [0, 1]
  assert _step(tracker, [right, left], 0.1) == [1, 0]


def test_overlaps_bridge_short_gaps_only():
  tracker = tracks.OverlapTracker()
  box, far = [0, 0, 20, 40], [100, 0, 20, 40]
  for seconds, boxes, expected in (
    (0.0, [box], [0]),
    (0.1, [], []),
    (0.2, [far], [1]),
    (0.4, [box], [0]),  # missed for 0.4 s
    (1.0, [box], [2]),  # missed for 0.6 s
  ):
    assert _step(tracker, boxes, seconds) == expected


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_tracks_last_in_videos_of_few_frames(rate):
  tracker = tracks.OverlapTracker(rate)
  box = [0, 0, 20, 40]
  times = np.array([0, 1, 3, 6]) / rate  # one frame missed, then two
  ids = [_step(tracker, [box], seconds)[0] for seconds in times]
  assert ids == [0, 0, 0, 1]


def test_match_takes_the_largest_overlaps_first():
  before = np.array([[0, 0, 10, 10], [4, 0, 10, 10]], float)
  now = np.array([[3, 0, 10, 10], [40, 0, 10, 10]], float)
  # Overlaps of the first: 7/13 and 9/11; the second touches nobody.
  assert tracks.match(before, now, min_overlap=0.3) == {0: 1}
  assert tracks.match(before, now, min_overlap=0.9) == {}
  assert tracks.match(before[:0], now, min_overlap=0.3) == {}


def _cross(tracker, rate=25.0):
  """Ids of two who walk through each other; behind, the second is not seen."""
  ids = []
  for t in range(45):
    first, second = 10.0 + 4 * t, 190.0 - 4 * t
    boxes = [[first, 0, 20, 60], [second, 4, 20, 60]]
    if abs(first - second) < 14:
      boxes = boxes[:1]
    flipped = t % 2 and len(boxes) == 2
    found = _step(tracker, boxes[::-1] if flipped else boxes, t / rate)
    ids.append(found[::-1] if flipped else found)
  return ids


@pytest.fixture
def byte_tracker():
  return tracks.ByteTracker(25.0)


def test_people_who_cross_keep_their_ids(byte_tracker):
  ids = _cross(byte_tracker)
  assert ids[0] == [None, None]
  assert {tuple(pair) for pair in ids[1:]} == {(0, 1), (0,)}


def test_overlap_alone_loses_who_is_hidden():
  assert _cross(tracks.OverlapTracker())[-1] != [0, 1]


def test_boxes_of_low_scores_continue_tracks_but_start_none(byte_tracker):
  sure, weak = [0, 0, 20, 40], [100, 0, 20, 40]
  for t, scores in enumerate([(0.9, 0.3), (0.9, 0.3), (0.3, 0.3)]):
    ids = _step(byte_tracker, [sure, weak], t / 25, scores)
  assert ids == [0, None]


def test_tracks_of_a_second_ago_have_ended(byte_tracker):
  box = [0, 0, 20, 40]
  times = [0.0, 0.04, 0.9, 0.94, 2.2, 2.24]
  ids = [_step(byte_tracker, [box], time)[0] for time in times]
  assert ids[:4] == [None, 0, 0, 0]
  assert ids[4:] == [None, 1]


def test_frames_with_nobody_have_no_ids(byte_tracker):
  assert _step(byte_tracker, [], 0.0) == []
  assert _step(byte_tracker, [[0, 0, 20, 40]], 0.04) == [None]
  assert _step(byte_tracker, [], 0.08) == []


def test_missing_trackers_name_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "trackers", None)
  with pytest.raises(ImportError, match=r"trackers: .*darkjax\[track\]"):
    tracks.ByteTracker(25.0)

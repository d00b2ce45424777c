"""Tracks of the people of a video: which boxes are of the same person."""

import itertools
from typing import Any, NamedTuple, Protocol

import numpy as np

from darkjax.runtime import extras


class Tracker(Protocol):
  """Gives the boxes of a video, frame by frame, the ids of their tracks."""

  def update(
    self, boxes: np.ndarray, scores: np.ndarray, seconds: float
  ) -> list[int | None]:
    """Returns the ids of a frame's N boxes, None for one without a track.

    Args:
      boxes: [N, 4] (x, y, w, h), image px.
      scores: [N] of the boxes, 0 to 1.
      seconds: the frame's time, later than that of the frame before.
    """


def max_gap(rate: float | None) -> float:
  """Returns the seconds without a person after which another one begins.

  Half a second, or two and a half frames where there are fewer than 5 a second.
  `rate` is the mean, frames/s; None for more.
  """
  return max(0.5, 2.5 / rate) if rate else 0.5


class _Track(NamedTuple):
  track_id: int
  bbox: np.ndarray
  seconds: float


class OverlapTracker:
  """Tracks by overlap alone, whatever the scores; ids count from 0.

  A box continues the track whose last box overlaps most, if by more than
  `MIN_OVERLAP`; a track that is not continued for `max_gap` seconds ends.
  """

  MIN_OVERLAP = 0.3

  def __init__(self, rate: float | None = None):
    """Starts without tracks; `rate` is as for `max_gap`."""
    self._max_gap = max_gap(rate)
    self._tracks: list[_Track] = []
    self._ids = itertools.count()

  def update(
    self, boxes: np.ndarray, scores: np.ndarray, seconds: float
  ) -> list[int | None]:
    """See `Tracker.update`; every box has a track."""
    del scores
    alive = [t for t in self._tracks if seconds - t.seconds <= self._max_gap]
    matches = match(
      np.array([track.bbox for track in alive]).reshape(-1, 4),
      np.asarray(boxes).reshape(-1, 4),
      min_overlap=self.MIN_OVERLAP,
    )
    current = []
    for n, bbox in enumerate(boxes):
      found = n in matches
      track_id = alive[matches[n]].track_id if found else next(self._ids)
      current.append(_Track(track_id, bbox, seconds))
    lost = [t for i, t in enumerate(alive) if i not in matches.values()]
    self._tracks = current + lost
    return [track.track_id for track in current]


class ByteTracker:
  """ByteTrack of the package trackers, the extra `darkjax[track]`.

  Boxes are predicted by a Kalman filter, so that people who pass each other
  keep their ids. A track starts at a box with a score of 0.7 and has its id
  from the second frame on; lower boxes continue tracks. A track that is not
  continued for a second ends.

  Reference: Zhang et al., ByteTrack, arXiv:2110.06864.
  """

  def __init__(self, rate: float):
    """Starts without tracks; `rate` is the video's mean, frames/s."""
    supervision, trackers = (  # trackers brings supervision
      extras.load(name, extra="track", purpose="--track")
      for name in ("supervision", "trackers")
    )
    self._detections = supervision.Detections
    self._tracker: Any = trackers.ByteTrackTracker(frame_rate=rate)

  def update(
    self, boxes: np.ndarray, scores: np.ndarray, seconds: float
  ) -> list[int | None]:
    """See `Tracker.update`."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)
    found = self._tracker.update(
      self._detections(
        xyxy=corners,
        confidence=np.asarray(scores, np.float64),
        data={"index": np.arange(len(boxes))},  # it changes the order
      ),
      timestamp=seconds,
    )
    ids: list[int | None] = [None] * len(boxes)
    for n, track_id in zip(
      found.data.get("index", ()), found.tracker_id, strict=True
    ):
      ids[n] = int(track_id) if track_id >= 0 else None
    return ids


def match(
  before: np.ndarray, now: np.ndarray, *, min_overlap: float
) -> dict[int, int]:
  """Returns the index in `before` of each box in `now` that has a match.

  Boxes are [M, 4] and [N, 4] (x, y, w, h), px. Those that overlap most are
  matched first, if their intersection over union exceeds `min_overlap`.
  """
  overlaps = _intersection_over_union(before, now)
  pairs: dict[int, int] = {}
  for flat in np.argsort(-overlaps, axis=None, kind="stable"):
    m, n = np.unravel_index(flat, overlaps.shape)
    if overlaps[m, n] <= min_overlap:
      break
    if n not in pairs and m not in pairs.values():
      pairs[int(n)] = int(m)
  return pairs


def _intersection_over_union(before, now) -> np.ndarray:
  """Returns [M, N]."""
  before, now = before[:, None], now[None]
  low = np.maximum(before[..., :2], now[..., :2])
  ends = [boxes[..., :2] + boxes[..., 2:] for boxes in (before, now)]
  shared = np.maximum(np.minimum(*ends) - low, 0).prod(-1)
  return shared / (before[..., 2:].prod(-1) + now[..., 2:].prod(-1) - shared)

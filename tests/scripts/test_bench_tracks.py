"""The benchmark of tracks: who walks where, and what is counted."""

import bench_tracks
import numpy as np
import pytest


def _walker(height, width):
  keypoints = np.array([[3.0, 4.0]])
  bbox = np.array([0.0, 0, width, height])
  pixels = np.full((height, width, 3), 200, np.uint8)
  return bench_tracks.Walker(pixels, keypoints, bbox)


def test_walkers_cross_and_stay_in_the_picture():
  walkers = [_walker(160, 90), _walker(200, 70)]
  offsets = bench_tracks.walk(walkers, 300)
  sizes = np.array([[90, 160], [70, 200]])
  assert (offsets >= 0).all()
  assert (offsets + sizes <= (640, 270)).all()
  steps = np.abs(np.diff(offsets[..., 0], axis=0))
  assert (steps.max(0) == [3, 4]).all()
  order = offsets[:, 0, 0] < offsets[:, 1, 0]
  assert order[0]
  assert np.diff(order).sum() >= 2


def test_the_last_walker_is_in_front():
  walkers = [_walker(160, 90), _walker(160, 90)]
  walkers[1].pixels[:] = 20
  (frame,) = bench_tracks.draw_frames(walkers, np.array([[[0, 0], [40, 0]]]))
  # Grey levels: the mean of noise of 4 over many pixels.
  assert frame[:160, :40].mean() == pytest.approx(200, abs=1)
  assert frame[:160, 40:130].mean() == pytest.approx(20, abs=1)
  assert frame[:, 140:].mean() == pytest.approx(120, abs=1)


@pytest.mark.parametrize(
  ("ids", "count"),
  [([], 0), ([1, 1, None, 1], 0), ([None, 2, 3, None, 2], 2)],
)
def test_switches_are_changes_of_an_id(ids, count):
  assert bench_tracks.count_switches(ids) == count


def test_jitter_is_the_second_difference_of_frames_in_a_row():
  path = {t: np.array([[0.0, y]]) for t, y in ((0, 0), (1, 3), (2, 0), (5, 99))}
  still = {t: np.array([[t, 0.0]]) for t in range(3)}
  # By hand: 6 px of the first, 0 of the second.
  assert bench_tracks.jitter([path, still]) == 3.0


def test_who_is_hidden_is_behind_a_later_one():
  boxes = np.array([[0, 0, 10, 10], [5, 0, 20, 20], [9, 5, 10, 5]], float)
  # By hand: half of the first, 50 of 400 px² of the second.
  np.testing.assert_allclose(bench_tracks.hidden(boxes), [0.5, 0.125, 0])

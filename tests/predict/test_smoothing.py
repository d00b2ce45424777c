"""The One-Euro filter against hand-made motions."""

import numpy as np
import pytest

from darkjax.predict import smoothing

RATE = 30.0
WIDTH = 8.0  # px, of a clean peak


def _run(measured, *, settings=None, covariances=None):
  """Smoothed [T, K, 2] of measured [T, K, 2]."""
  settings = settings or smoothing.OneEuro()
  state = settings.start(measured[0], 0.0)
  path = [state.keypoints]
  for t, keypoints in enumerate(measured[1:], 1):
    state = settings.update(
      state,
      keypoints,
      t / RATE,
      peak_width=WIDTH,
      covariances=None if covariances is None else covariances[t],
    )
    path.append(state.keypoints)
  return np.array(path)


def _plain_one_euro(x, *, min_cutoff, beta, velocity_cutoff, unit):
  """The published filter for one coordinate, as a loop."""

  def alpha(cutoff):
    return 1 / (1 + RATE / (2 * np.pi * cutoff))

  smooth, velocity, path = x[0], 0.0, [x[0]]
  for value in x[1:]:
    a = alpha(velocity_cutoff)
    velocity = a * (value - smooth) * RATE + (1 - a) * velocity
    a = alpha(min_cutoff + beta * abs(velocity) / unit)
    smooth = a * value + (1 - a) * smooth
    path.append(smooth)
  return np.array(path)


def test_equals_the_published_filter_without_covariances(rng):
  settings = smoothing.OneEuro(min_cutoff=1.3, beta=0.2, velocity_cutoff=0.8)
  x = np.cumsum(rng.normal(size=50)) * 5
  # Along one axis only, where the speed is |dx|.
  measured = np.stack([x, np.full(50, 7.0)], -1)[:, None]
  smooth = _run(measured, settings=settings)
  expected = _plain_one_euro(
    x, min_cutoff=1.3, beta=0.2, velocity_cutoff=0.8, unit=WIDTH
  )
  np.testing.assert_allclose(smooth[:, 0, 0], expected, rtol=1e-12)
  np.testing.assert_allclose(smooth[:, 0, 1], 7.0, rtol=1e-12)


def test_clean_peaks_are_filtered_plainly(rng):
  measured = rng.normal(size=(20, 3, 2)) * 10
  clean = np.broadcast_to(np.eye(2) * WIDTH**2, (20, 3, 2, 2))
  np.testing.assert_allclose(
    _run(measured, covariances=clean), _run(measured), rtol=1e-9
  )


def test_less_jitter_at_rest_and_little_lag_in_motion(rng):
  rest = np.array([100.0, 50.0]) + rng.normal(size=(300, 1, 2))
  smooth = _run(rest)[30:]
  # Gain 2π/30/(1 + 2π/30) = 0.17 leaves √(α/(2−α)) = 0.31 of white noise; the
  # speed that noise feigns costs a little.
  assert smooth.std(0).mean() < 0.55
  # 240 px/s is 30 widths/s: the cutoff rises to 31 Hz, the lag falls to 5 ms.
  time = np.arange(90) / RATE
  motion = np.stack([240 * time, 0 * time], -1)[:, None]
  lag = (motion - _run(motion))[-1, 0, 0] / 240
  still = smoothing.OneEuro(beta=0.0)
  assert lag < 0.01
  # Without beta: (1−α)/α frames.
  assert (motion - _run(motion, settings=still))[-1, 0, 0] / 240 > 0.15


def test_broad_peaks_count_less_along_their_breadth():
  settings = smoothing.OneEuro(beta=0.0)
  state = settings.start(np.zeros((2, 2)), 0.0)
  broad = np.array([np.eye(2), np.diag([9.0, 1.0])]) * WIDTH**2
  moved = settings.update(
    state,
    np.full((2, 2), 10.0),
    1 / RATE,
    peak_width=WIDTH,
    covariances=broad,
  ).keypoints
  alpha = 1 / (1 + RATE / (2 * np.pi))
  # From the formula of the module: α, and α/(α + 9 (1−α)) along x.
  np.testing.assert_allclose(moved[0], 10 * alpha)
  np.testing.assert_allclose(moved[1, 1], 10 * alpha)
  np.testing.assert_allclose(
    moved[1, 0], 10 * alpha / (alpha + 9 * (1 - alpha))
  )


def test_covariances_turn_with_the_picture(rng):
  turn = np.array([[0.6, -0.8], [0.8, 0.6]])
  measured = rng.normal(size=(15, 2, 2)) * 20
  shape = rng.normal(size=(15, 2, 2, 2))
  covariances = WIDTH**2 * (shape @ shape.swapaxes(-1, -2) + np.eye(2))
  straight = _run(measured, covariances=covariances)
  turned = _run(measured @ turn.T, covariances=turn @ covariances @ turn.T)
  np.testing.assert_allclose(turned, straight @ turn.T, rtol=1e-9, atol=1e-9)


def test_outliers_with_broad_peaks_do_less_harm(rng):
  still = np.zeros((60, 1, 2))
  covariances = np.tile(np.eye(2) * WIDTH**2, (60, 1, 1, 1))
  outliers = np.arange(10, 60, 10)
  still[outliers] = 40.0
  covariances[outliers] *= 16
  weighted = np.abs(_run(still, covariances=covariances)).max()
  assert weighted < np.abs(_run(still)).max() / 4


def test_keypoints_without_a_peak_hardly_move():
  settings = smoothing.OneEuro()
  state = settings.start(np.zeros((1, 2)), 0.0)
  nan = np.full((1, 2, 2), np.nan)
  moved = settings.update(
    state, np.full((1, 2), 50.0), 0.03, peak_width=WIDTH, covariances=nan
  )
  assert np.isfinite(moved.keypoints).all()
  assert (np.abs(moved.keypoints) < 0.5).all()


def test_time_must_advance():
  state = smoothing.OneEuro().start(np.zeros((1, 2)), 2.0)
  with pytest.raises(ValueError, match=r"2\.0 s after"):
    smoothing.OneEuro().update(state, np.zeros((1, 2)), 2.0, peak_width=1.0)


@pytest.mark.parametrize("name", ["min_cutoff", "beta", "velocity_cutoff"])
def test_settings_are_finite_and_not_negative(name):
  for value in (-0.1, np.nan, np.inf):
    with pytest.raises(ValueError, match=f"{name} is a number of 0 or more"):
      smoothing.OneEuro(**{name: value})
  still = smoothing.OneEuro(**{name: 0.0})
  assert np.isfinite(_run(np.zeros((3, 1, 2)), settings=still)).all()


def _step(smoother, track_ids, x, time):
  """x [N] after a frame of one keypoint (x, 5) per person."""
  keypoints = np.array([[[value, 5.0]] for value in x]).reshape(-1, 1, 2)
  smooth = smoother.update(
    track_ids, keypoints, time, peak_widths=np.full(len(x), WIDTH)
  )
  assert smooth.shape == keypoints.shape
  return smooth[:, 0, 0].tolist()


def test_people_are_smoothed_by_their_ids_whatever_their_order():
  smoother = smoothing.Smoother()
  assert _step(smoother, [4, 9], [5, 60], 0.0) == [5, 60]
  right, left = _step(smoother, [9, 4], [61, 6], 0.1)
  # Each moves a part of one pixel towards its own measurement.
  assert 60 < right < 61
  assert 5 < left < 6


def test_people_without_an_id_are_not_smoothed():
  smoother = smoothing.Smoother()
  assert _step(smoother, [None, 3], [5, 60], 0.0) == [5, 60]
  without, smooth = _step(smoother, [None, 3], [9, 64], 0.1)
  assert without == 9
  assert 60 < smooth < 64


def test_filters_start_anew_after_a_gap():
  smoother = smoothing.Smoother()
  _step(smoother, [0], [10], 0.0)
  assert _step(smoother, [], [], 0.2) == []
  (near,) = _step(smoother, [0], [20], 0.4)  # missed for 0.4 s
  assert near < 20
  assert _step(smoother, [0], [40], 1.0) == [40]  # missed for 0.6 s


def test_videos_of_few_frames_are_smoothed_too():
  smoother = smoothing.Smoother(rate=1.0)
  _step(smoother, [0], [10], 0.0)
  (next_one,) = _step(smoother, [0], [20], 1.0)
  assert 10 < next_one < 20
  assert _step(smoother, [0], [40], 4.0) == [40]  # two frames missed

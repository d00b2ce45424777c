"""One-Euro filter for keypoints in videos, weighted by their covariances.

The One-Euro filter is an exponential average whose cutoff frequency rises with
speed: little jitter at rest, little lag in motion. An exponential average of
gain α is also the steady state of a Kalman filter whose prediction has the
variance R₀ α/(1−α), where R₀ is the variance of its measurements; a measurement
of covariance R then has the gain

  K = α (α I + (1−α) R/R₀)⁻¹,

which is α for R = R₀, less along the directions in which a peak is broad.

Reference: Casiez, Roussel, Vogel, "1€ Filter", CHI 2012,
doi:10.1145/2207676.2208639. The covariance weighting is ours.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darkjax.predict import tracks

# R/R₀ of a keypoint without a peak: ten times as wide as a clean one, so that
# it moves slowly.
_NO_PEAK = 100.0


class State(NamedTuple):
  """State of the filter for one person."""

  keypoints: np.ndarray  # [K, 2] smoothed, image px
  velocity: np.ndarray  # [K, 2] smoothed, image px per second
  time: float  # seconds


@dataclasses.dataclass(frozen=True)
class OneEuro:
  """The filter and its settings.

  The defaults reduce the jitter (second differences) of a trained network's
  keypoints at rest to a quarter, with an error below 1.6 px from 0 to 200 px/s
  where a clean peak is 10 px wide; measured on one noisy clip of 50 frames at
  25 frames/s.

  Attributes:
    min_cutoff: Hz, at rest; lower is steadier.
    beta: Hz by which the cutoff rises per unit of speed, where a unit is one
      `peak_width` per second; higher lags less.
    velocity_cutoff: Hz, of the velocity's own average.

  Raises:
    ValueError: a setting that is negative or not finite.
  """

  min_cutoff: float = 1.0
  beta: float = 1.0
  velocity_cutoff: float = 1.0

  def __post_init__(self):
    for name, value in dataclasses.asdict(self).items():
      if not 0 <= value < math.inf:
        raise ValueError(
          f"the filter's {name} is a number of 0 or more, got {value!r}"
        )

  def start(self, keypoints: np.ndarray, time: float) -> State:
    """Returns the state after the first frame, for its keypoints [K, 2]."""
    keypoints = np.asarray(keypoints, np.float64)
    return State(keypoints, np.zeros_like(keypoints), time)

  def update(
    self,
    state: State,
    keypoints: np.ndarray,
    time: float,
    *,
    peak_width: float,
    covariances: np.ndarray | None = None,
  ) -> State:
    """Returns the state after the next frame.

    Args:
      state: after the frame before.
      keypoints: [K, 2] as predicted, image px.
      time: of the frame, seconds; later than the state's, or a ValueError.
      peak_width: √R₀, px, see `Pose.peak_width`; the unit of length, so that
        settings suit people of any size.
      covariances: [K, 2, 2], image px², nan for little weight; None for the
        plain One-Euro filter.
    """
    interval = time - state.time
    if not interval > 0:
      raise ValueError(
        f"the frames of a video follow each other in time, got {time} s after "
        f"{state.time} s; start a new state for another video"
      )
    noise = _relative(covariances, peak_width, len(state.keypoints))
    innovation = np.asarray(keypoints, np.float64) - state.keypoints
    change = innovation / interval - state.velocity
    steady = np.full(len(innovation), self.velocity_cutoff)
    velocity = state.velocity + _weighted(change, steady, interval, noise)
    speed = np.linalg.norm(velocity, axis=-1) / peak_width
    cutoff = self.min_cutoff + self.beta * speed
    step = _weighted(innovation, cutoff, interval, noise)
    return State(state.keypoints + step, velocity, time)


def _relative(covariances, peak_width: float, count: int) -> np.ndarray:
  """Returns R/R₀ [K, 2, 2]."""
  identity = np.broadcast_to(np.eye(2), (count, 2, 2))
  if covariances is None:
    return identity
  noise = np.asarray(covariances, np.float64) / peak_width**2
  has_peak = np.isfinite(noise).all((-1, -2), keepdims=True)
  return np.where(has_peak, noise, _NO_PEAK * identity)


def _weighted(innovation, cutoff, interval, noise) -> np.ndarray:
  """Returns K · innovation [K, 2], for the cutoff frequencies [K], Hz."""
  period = 2 * np.pi * cutoff * interval
  alpha = (period / (1 + period))[:, None, None]
  gain = alpha * np.linalg.inv(alpha * np.eye(2) + (1 - alpha) * noise)
  return (gain @ innovation[..., None])[..., 0]


class Smoother:
  """Smoothing of all people of a video, each by a filter of its own.

  A filter that gets nothing for `tracks.max_gap` seconds starts anew.
  """

  def __init__(
    self, settings: OneEuro | None = None, rate: float | None = None
  ):
    """Starts without people; the default settings suit 25 to 60 frames/s."""
    self._filter = settings or OneEuro()
    self._max_gap = tracks.max_gap(rate)
    self._states: dict[int, State] = {}

  def update(
    self,
    track_ids: Sequence[int | None],
    keypoints: np.ndarray,
    time: float,
    *,
    peak_widths: np.ndarray,
    covariances: np.ndarray | None = None,
  ) -> np.ndarray:
    """Returns the smoothed keypoints [N, K, 2] of a frame.

    Those of people without an id are returned as they are; the other arguments
    are as in `OneEuro.update` with a leading axis N.
    """
    self._states = {
      track_id: state
      for track_id, state in self._states.items()
      if time - state.time <= self._max_gap
    }
    smoothed = np.array(keypoints, np.float64)
    for n, track_id in enumerate(track_ids):
      if track_id is None:
        continue
      if track_id in self._states:
        state = self._filter.update(
          self._states[track_id],
          keypoints[n],
          time,
          peak_width=peak_widths[n],
          covariances=None if covariances is None else covariances[n],
        )
      else:
        state = self._filter.start(keypoints[n], time)
      self._states[track_id] = state
      smoothed[n] = state.keypoints
    return smoothed

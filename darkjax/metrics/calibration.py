"""Probability and error of a keypoint, from its score and covariance.

A score is a heatmap's maximum, not a probability. Two maps fitted on labelled
people read it as one: a logistic one to the probability that the keypoint is
within a tolerance (Platt scaling), and a log-linear one to its median error.
Both are linear in u = log(s / (1 − s)) of the score s, cut to 0.02..0.98, and
in v = log(√(tr Σ / 2) / (0.05 L)), the width of the peak. Lengths are shares of
the larger side L of the person's box, so that the maps do not depend on the
image's size.

Reference: Platt, Advances in Large Margin Classifiers, 1999.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

NUM_FEATURES = 4
# Scores are cut to this distance from 0 and 1, where the logit is infinite.
_LIMIT = 0.02
_TYPICAL_WIDTH = 0.05  # of a peak, share of the box; centres the feature


@dataclasses.dataclass(frozen=True)
class Calibration:
  """Maps from score and covariance to probability and error.

  Attributes:
    method: the decoder it was fitted for.
    flip_test: whether mirrored crops were averaged.
    tolerance: share of the larger side of the person's box.
    probability: coefficients of (1, u, v, 1 where there is no covariance) in
      the logit of the probability, see the module.
    error: likewise, in the logarithm of the median error's share of the box.
    report: figures of the cross-validation, see calibration_fit.py.
  """

  method: str
  flip_test: bool
  tolerance: float
  probability: tuple[float, ...]
  error: tuple[float, ...]
  report: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def probabilities(
    self, scores: np.ndarray, covariances: np.ndarray, bbox: np.ndarray
  ) -> np.ndarray:
    """Returns the probability of being within the tolerance.

    Args:
      scores: [..., K].
      covariances: [..., K, 2, 2] image px²; nan where there is none.
      bbox: [..., 4] (x, y, w, h) of the person, image px.

    Returns:
      [..., K] float32 in 0..1; nan where the score is.
    """
    inputs = features(scores, relative_widths(covariances, bbox))
    return sigmoid(inputs @ np.array(self.probability)).astype(np.float32)

  def errors(
    self, scores: np.ndarray, covariances: np.ndarray, bbox: np.ndarray
  ) -> np.ndarray:
    """Returns median errors [..., K] float32, image px, as `probabilities`."""
    inputs = features(scores, relative_widths(covariances, bbox))
    length = np.asarray(bbox, np.float64)[..., 2:].max(-1, keepdims=True)
    shares = np.exp(inputs @ np.array(self.error))
    return (length * shares).astype(np.float32)

  def to_json(self) -> dict[str, Any]:
    """Returns a dictionary that `from_json` reads back."""
    return dataclasses.asdict(self)


def from_json(fields: Mapping[str, Any]) -> Calibration:
  """Reads what `Calibration.to_json` gives.

  Raises:
    TypeError: other fields.
    ValueError: other numbers of coefficients, or no numbers.
  """
  fields = dict(fields)
  for name in ("probability", "error"):
    fields[name] = tuple(float(value) for value in fields[name])
    if len(fields[name]) != NUM_FEATURES:
      raise ValueError(
        f"calibration.{name} has {NUM_FEATURES} numbers, got {fields[name]}"
      )
  return Calibration(**fields)


def relative_widths(covariances: np.ndarray, bbox: np.ndarray) -> np.ndarray:
  """Returns √(tr Σ / 2) / L [..., K] of [..., K, 2, 2] and [..., 4]."""
  covariances = np.asarray(covariances, np.float64)
  variances = np.trace(covariances, axis1=-2, axis2=-1) / 2
  length = np.asarray(bbox, np.float64)[..., 2:].max(-1, keepdims=True)
  return np.sqrt(np.where(variances > 0, variances, np.nan)) / length


def features(scores: np.ndarray, widths: np.ndarray) -> np.ndarray:
  """Returns (1, u, v, 1 where there is no width) [..., 4], see the module."""
  scores = np.clip(np.asarray(scores, np.float64), _LIMIT, 1 - _LIMIT)
  has_width = np.isfinite(widths)
  widths = np.where(has_width, widths, _TYPICAL_WIDTH)
  return np.stack(
    [
      np.ones_like(scores),
      np.log(scores / (1 - scores)),
      np.log(widths / _TYPICAL_WIDTH),
      1.0 - has_width,
    ],
    axis=-1,
  )


def sigmoid(logits: np.ndarray) -> np.ndarray:
  """Returns 1 / (1 + exp(−x)), without overflow."""
  return (1 + np.tanh(logits / 2)) / 2

"""Fit of a calibration on labelled keypoints, and its figures.

The expected calibration error (ECE) is the mean over keypoints of |share within
the tolerance − mean probability| of their bin of probability; the Brier score
is the mean squared difference of probability and outcome.

Reference: Guo et al., ICML 2017 (arXiv:1706.04599), Eq. 3.
"""

from typing import NamedTuple

import numpy as np

from darkjax.metrics.calibration import (
  Calibration,
  features,
  relative_widths,
  sigmoid,
)
from darkjax.metrics.pck import box_length

BINS = 15  # of probabilities, of equal width
FEWEST = 100  # labelled keypoints
_SMALLEST = 1e-6  # share of the box; the logarithm of 0 is infinite
_RIDGE = np.array([1e-6, 1.0, 1.0, 1.0])  # none of the constant


class Observations(NamedTuple):
  """N labelled keypoints of any people; lengths are shares of the box."""

  scores: np.ndarray  # [N]
  widths: np.ndarray  # [N] of the peaks, nan for none
  errors: np.ndarray  # [N]
  image_ids: np.ndarray  # [N]


def observe(
  *,
  keypoints: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  scores: np.ndarray,
  covariances: np.ndarray,
  bbox: np.ndarray,
  image_ids: np.ndarray,
) -> Observations:
  """Collects the labelled keypoints of M people.

  Args:
    keypoints: [M, K, 2] predicted, image px.
    truth: [M, K, 2] labelled.
    visible: [M, K], above 0 where labelled.
    scores: [M, K].
    covariances: [M, K, 2, 2], image px².
    bbox: [M, 4] (x, y, w, h), image px.
    image_ids: [M].
  """
  distances = np.linalg.norm(keypoints - np.asarray(truth, np.float64), axis=-1)
  labelled = np.asarray(visible) > 0
  ids = np.broadcast_to(np.asarray(image_ids)[:, None], labelled.shape)
  return Observations(
    np.asarray(scores)[labelled],
    relative_widths(covariances, bbox)[labelled],
    (distances / box_length(bbox)[:, None])[labelled],
    ids[labelled],
  )


def fit(
  observations: Observations, *, method: str, flip_test: bool, tolerance: float
) -> Calibration:
  """Fits a calibration on all observations, and cross-validates it.

  The images are halved; each half is read by the maps fitted on the other.

  Args:
    observations: of one decoder.
    method: the decoder.
    flip_test: whether mirrored crops were averaged.
    tolerance: share of the larger side of the box, above 0.

  Returns:
    The calibration. Its report, all of it on images that were not fitted:
    ece_before and brier_before of the scores, cut to 0..1, as probabilities;
    ece_after and brier_after; error_coverage, the share of keypoints nearer
    than their median error, 0.5 at best; and the number of keypoints, and
    within, the share of them within the tolerance.

  Raises:
    ValueError: a tolerance of 0 or less; fewer than `FEWEST` keypoints, images
      or keypoints on one side of the tolerance in a half; or a score of nan.
  """
  if not 0 < tolerance < np.inf:
    raise ValueError(
      f"tolerance is a share of the box above 0, got {tolerance}"
    )
  if not np.isfinite(observations.scores).all():
    raise ValueError("scores are not finite: check the weights")
  within = observations.errors <= tolerance
  inputs = features(observations.scores, observations.widths)
  probabilities, errors = np.zeros(len(within)), np.zeros(len(within))
  second = _second_half(observations.image_ids)
  for held_out in (second, ~second):
    _check_fittable(within[~held_out], tolerance)
    coefficients = _fit_maps(inputs, within, observations.errors, ~held_out)
    probabilities[held_out] = sigmoid(inputs[held_out] @ coefficients[0])
    errors[held_out] = np.exp(inputs[held_out] @ coefficients[1])
  everything = np.ones(len(within), bool)
  probability, error = _fit_maps(
    inputs, within, observations.errors, everything
  )
  before = np.clip(observations.scores, 0, 1)
  report = {
    "ece_before": expected_calibration_error(before, within),
    "ece_after": expected_calibration_error(probabilities, within),
    "brier_before": float(np.mean((before - within) ** 2)),
    "brier_after": float(np.mean((probabilities - within) ** 2)),
    "error_coverage": float(np.mean(observations.errors <= errors)),
    "keypoints": len(within),
    "within": float(within.mean()),
  }
  return Calibration(
    method,
    flip_test,
    float(tolerance),
    tuple(probability.tolist()),
    tuple(error.tolist()),
    report,
  )


def expected_calibration_error(
  probabilities: np.ndarray, outcomes: np.ndarray
) -> float:
  """Returns the ECE of N probabilities and outcomes, over `BINS` bins.

  >>> round(expected_calibration_error([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0]), 6)
  0.25
  """
  probabilities = np.asarray(probabilities, np.float64)
  bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
  gaps = np.bincount(bins, probabilities - np.asarray(outcomes, np.float64))
  return float(np.abs(gaps).sum() / len(probabilities))


def _second_half(image_ids) -> np.ndarray:
  """[N] bool: every other image, in the order of their ids."""
  _, position = np.unique(image_ids, return_inverse=True)
  return position % 2 == 1


def _check_fittable(within, tolerance) -> None:
  if len(within) < FEWEST:
    raise ValueError(
      f"a half of the images has {len(within)} labelled keypoints, and "
      f"{FEWEST} are needed to fit on: label more images"
    )
  if within.all() or not within.any():
    which = "all" if within.all() else "none"
    raise ValueError(
      f"{which} of {len(within)} keypoints are within {tolerance:g} of the "
      "box, which says nothing of the scores; choose another --tolerance"
    )


def _fit_maps(inputs, within, errors, rows) -> tuple[np.ndarray, np.ndarray]:
  """Coefficients [4] of the probability and of the error."""
  inputs, errors = inputs[rows], np.maximum(errors[rows], _SMALLEST)
  probability = _fit_logistic(inputs, within[rows].astype(np.float64))
  target = inputs.T @ np.log(errors)
  error = np.linalg.solve(inputs.T @ inputs + np.diag(_RIDGE), target)
  # From the mean of the logarithm to the median.
  error[0] += np.median(np.log(errors) - inputs @ error)
  return probability, error


def _fit_logistic(inputs, outcomes) -> np.ndarray:
  """Coefficients of the greatest likelihood, by Newton's method, with a ridge.

  A step that would lower it is halved.
  """

  def loss(some):
    logits = inputs @ some
    likelihood = outcomes * logits - np.logaddexp(0, logits)
    return (_RIDGE * some**2).sum() / 2 - likelihood.sum()

  coefficients = np.zeros(len(_RIDGE))
  for _ in range(100):
    fitted = sigmoid(inputs @ coefficients)
    gradient = inputs.T @ (fitted - outcomes) + _RIDGE * coefficients
    weights = (fitted * (1 - fitted))[:, None]
    step = np.linalg.solve(
      inputs.T @ (weights * inputs) + np.diag(_RIDGE), gradient
    )
    while loss(coefficients - step) > loss(coefficients) + 1e-9:
      step /= 2
    coefficients = coefficients - step
    if np.abs(step).max() < 1e-9:
      break
  return coefficients

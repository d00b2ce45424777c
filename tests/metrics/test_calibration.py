"""Calibrations: what was put into made keypoints is found again."""

import json

import numpy as np
import pytest

from darkjax.metrics import calibration, calibration_fit

# Coefficients of (1, u, v, no covariance).
PROBABILITY = np.array([0.5, 1.5, -1.0, -2.0])
ERROR = np.array([-3.5, -0.5, 0.7, 0.4])
TOLERANCE = 0.05


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def make(rng, count=40_000):
  """Keypoints whose errors follow the two maps; every 20th has no width."""
  scores = rng.uniform(0.02, 0.98, count)
  widths = 0.05 * np.exp(rng.normal(0, 0.5, count))
  widths[::20] = np.nan
  v = np.where(np.isfinite(widths), np.log(widths / 0.05), 0.0)
  features = np.stack(
    [np.ones(count), np.log(scores / (1 - scores)), v, np.isnan(widths)], -1
  )
  image_ids = np.arange(count) // 4
  # Skewed also in the logarithm, whose median of 0 is not its mean.
  noise = rng.exponential(1, count) - np.log(2)
  errors = np.exp(features @ ERROR + noise)
  return features, calibration_fit.Observations(
    scores, widths, errors, image_ids
  )


def fit(observations, tolerance=TOLERANCE):
  return calibration_fit.fit(
    observations, method="dark", flip_test=True, tolerance=tolerance
  )


def test_finds_the_map_to_probabilities(rng):
  features, observations = make(rng)
  within = rng.random(len(features)) < sigmoid(features @ PROBABILITY)
  observations = observations._replace(errors=np.where(within, 0.01, 0.2))
  found = fit(observations)
  # Four standard errors of 40,000 draws, and of the 2,000 without a width.
  np.testing.assert_allclose(found.probability[:3], PROBABILITY[:3], atol=0.1)
  np.testing.assert_allclose(found.probability[3], PROBABILITY[3], atol=0.3)
  assert found.report["ece_after"] < 0.012 < 0.05 < found.report["ece_before"]
  assert found.report["brier_after"] < found.report["brier_before"] - 0.01
  assert found.report["keypoints"] == 40_000
  np.testing.assert_allclose(found.report["within"], within.mean())


def test_finds_the_median_error(rng):
  _, observations = make(rng)
  found = fit(observations)
  np.testing.assert_allclose(found.error, ERROR, atol=0.1)
  # Two standard errors are 0.005.
  np.testing.assert_allclose(found.report["error_coverage"], 0.5, atol=0.01)


def test_the_report_is_of_images_that_were_not_fitted(rng):
  """What is only true of one half does not show in the other."""
  _, observations = make(rng, 4_000)
  second = observations.image_ids % 2 == 1
  low = observations.scores < 0.5
  # In one half low scores are right, in the other high ones.
  errors = np.where(low == second, 0.01, 0.2)
  found = fit(observations._replace(errors=errors))
  assert found.report["ece_after"] > 0.6


def person(score, variance, box):
  covariances = np.full((1, 1, 2, 2), np.nan)
  if variance:
    covariances[:] = variance * np.eye(2)
  return np.array([[score]]), covariances, np.array([box])


def test_probabilities_and_errors_of_people():
  used = calibration.Calibration(
    "dark", True, TOLERANCE, tuple(PROBABILITY), tuple(ERROR)
  )
  # By hand: u = log(0.8 / 0.2) and v = log(10 / 200 / 0.05) = 0.
  case = person(0.8, 100.0, [3, 4, 120, 200])
  probability = sigmoid(0.5 + 1.5 * np.log(4))
  np.testing.assert_allclose(used.probabilities(*case), [[probability]], 1e-6)
  error = 200 * np.exp(-3.5 - 0.5 * np.log(4))
  np.testing.assert_allclose(used.errors(*case), [[error]], 1e-6)
  # An image twice as large: the same probability, twice the error.
  case = person(0.8, 400.0, [6, 8, 240, 400])
  np.testing.assert_allclose(used.probabilities(*case), [[probability]], 1e-6)
  np.testing.assert_allclose(used.errors(*case), [[2 * error]], 1e-6)
  # Twice the width.
  wide = person(0.8, 400.0, [3, 4, 120, 200])
  expected = sigmoid(0.5 + 1.5 * np.log(4) - np.log(2))
  np.testing.assert_allclose(used.probabilities(*wide), [[expected]], 1e-6)
  without = person(0.8, None, [3, 4, 120, 200])
  expected = sigmoid(0.5 + 1.5 * np.log(4) - 2)
  np.testing.assert_allclose(used.probabilities(*without), [[expected]], 1e-6)


def test_scores_of_any_size_give_probabilities():
  used = calibration.Calibration(
    "dark", True, TOLERANCE, tuple(PROBABILITY), tuple(ERROR)
  )
  scores = np.array([[-0.1, 0.0, 0.3, 1.0, 1.2, np.nan]])
  covariances = np.full((1, 6, 2, 2), np.nan)
  result = used.probabilities(scores, covariances, np.array([[0, 0, 9, 9]]))
  assert result.dtype == np.float32
  assert np.isnan(result[0, 5])
  assert ((result[0, :5] > 0) & (result[0, :5] < 1)).all()
  assert (np.diff(result[0, :5]) >= 0).all()
  nobody = used.errors(
    np.zeros((0, 6)), np.zeros((0, 6, 2, 2)), np.zeros((0, 4))
  )
  assert nobody.shape == (0, 6)


def test_observations_are_the_labelled_keypoints():
  found = calibration_fit.observe(
    keypoints=np.array([[[3.0, 4.0], [9.0, 9.0]], [[1.0, 1.0], [2.0, 2.0]]]),
    truth=np.zeros((2, 2, 2)),
    visible=np.array([[2, 0], [1, 1]]),
    scores=np.array([[0.9, 0.8], [0.7, 0.6]]),
    covariances=np.tile(np.diag([3.0, 5.0]), (2, 2, 1, 1)),
    bbox=np.array([[0, 0, 50, 100], [0, 0, 10, 5]]),
    image_ids=np.array([7, 8]),
  )
  np.testing.assert_array_equal(found.scores, [0.9, 0.7, 0.6])
  np.testing.assert_allclose(found.widths, [0.02, 0.2, 0.2])
  # 5 of 100 px; √2 and 2√2 of 10, as √50 = 5√2.
  np.testing.assert_allclose(
    found.errors, [0.05, 0.02 * 50**0.5, 0.04 * 50**0.5]
  )
  np.testing.assert_array_equal(found.image_ids, [7, 8, 8])


def test_json_holds_a_calibration(rng):
  _, observations = make(rng, 4_000)
  found = fit(observations)
  text = json.dumps(found.to_json())
  assert calibration.from_json(json.loads(text)) == found
  with pytest.raises(ValueError, match="error has 4 numbers"):
    calibration.from_json(found.to_json() | {"error": [1, 2]})


@pytest.mark.parametrize("tolerance", [0, -1, np.nan, np.inf])
def test_tolerances_are_positive(rng, tolerance):
  with pytest.raises(ValueError, match="share of the box above 0"):
    fit(make(rng, 400)[1], tolerance)


def test_too_few_labels_are_refused(rng):
  _, observations = make(rng, 190)
  with pytest.raises(ValueError, match=r"9\d labelled .* 100 are needed"):
    fit(observations)


@pytest.mark.parametrize(
  ("tolerance", "which"), [(1e3, "all of 200"), (1e-9, "none of 200")]
)
def test_a_tolerance_that_says_nothing_is_refused(rng, tolerance, which):
  _, observations = make(rng, 400)
  with pytest.raises(ValueError, match=f"{which} keypoints are within"):
    fit(observations, tolerance)


def test_scores_that_are_nan_are_refused(rng):
  _, observations = make(rng, 400)
  observations.scores[7] = np.nan
  with pytest.raises(ValueError, match="not finite: check the weights"):
    fit(observations)


def test_perfectly_separated_keypoints_are_fitted(rng):
  _, observations = make(rng, 400)
  errors = np.where(observations.scores > 0.5, 0.01, 0.2)
  found = fit(observations._replace(errors=errors))
  assert np.isfinite(found.probability).all()
  assert found.report["ece_after"] < found.report["ece_before"]

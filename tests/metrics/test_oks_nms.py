"""OKS and NMS against slow loops, and where they must differ."""

import metrics_reference
import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from darkjax.metrics import oks, oks_nms

K = 5
SIGMAS = (0.026, 0.079, 0.072, 0.107, 0.05)


def _people(rng, count):
  """`count` poses in clusters of near duplicates, with scores and areas."""
  centres = rng.uniform(0, 300, (max(count // 4, 1), K, 2))
  people = centres[rng.integers(0, len(centres), count)]
  people += rng.normal(
    0, rng.choice([0.5, 3, 10], (count, 1, 1)), (count, K, 2)
  )
  areas = rng.uniform(2_000, 9_000, count)
  return people, rng.uniform(0, 1, count), areas


def test_oks_equals_loop(rng):
  predicted, truth = rng.uniform(0, 60, (2, 4, K, 2))
  truth = truth[:3]
  visible = rng.integers(0, 3, (3, K))
  visible[1] = 0  # nobody labelled
  area = rng.uniform(900, 9_000, 3)
  got = oks.oks(predicted, truth, visible, area, SIGMAS)
  want = [
    [
      metrics_reference.oks(p, t, v, a, SIGMAS)
      for t, v, a in zip(truth, visible, area, strict=True)
    ]
    for p in predicted
  ]
  # float64 sums of 5 terms in another order.
  np.testing.assert_allclose(got, want, atol=1e-14)
  assert got.shape == (4, 3)
  assert (got[:, 1] == 0).all()


def test_oks_equals_pycocotools(rng):
  predicted, truth = rng.uniform(0, 60, (2, 3, K, 2))
  visible = np.maximum(rng.integers(0, 3, (3, K)), np.eye(3, K, dtype=int))
  area = rng.uniform(900, 9_000, 3)
  theirs = COCOeval(iouType="keypoints")
  theirs.params.kpt_oks_sigmas = np.asarray(SIGMAS)
  theirs._gts[0, 1] = [
    {"keypoints": np.c_[t, v].ravel(), "area": a, "bbox": [0, 0, 1, 1]}
    for t, v, a in zip(truth, visible, area, strict=True)
  ]
  theirs._dts[0, 1] = [
    {"keypoints": np.c_[p, np.ones(K)].ravel(), "score": -i}
    for i, p in enumerate(predicted)
  ]
  got = oks.oks(predicted, truth, visible, area, SIGMAS)
  np.testing.assert_allclose(got, theirs.computeOks(0, 1), atol=1e-14)


def test_oks_of_a_keypoint_one_standard_deviation_away():
  """At d = s k, a single keypoint has exp(-1/2), by hand."""
  area, sigma = 400.0, 0.05
  predicted = [[[20 * 2 * sigma, 0.0]]]
  got = oks.oks(predicted, [[[0.0, 0.0]]], [[1]], [area], [sigma])
  assert got[0, 0] == pytest.approx(0.6065306597126334, abs=1e-14)


def test_oks_rejects_scores_and_wrong_counts():
  points = np.zeros((1, K, 2))
  with pytest.raises(ValueError, match="drop a third column"):
    oks.oks(np.zeros((1, K, 3)), points, np.ones((1, K)), [1], SIGMAS)
  with pytest.raises(ValueError, match="sigmas come from the skeleton"):
    oks.oks(points, points, np.ones((1, K)), [1.0], SIGMAS[:-1])


@pytest.mark.parametrize("threshold", [0.3, 0.9])
@pytest.mark.parametrize("count", [0, 1, 7, 40])
def test_oks_nms_equals_loop(rng, count, threshold):
  people, scores, areas = _people(rng, count)
  got = oks_nms.oks_nms(people, scores, areas, SIGMAS, threshold=threshold)
  want = metrics_reference.oks_nms(people, scores, areas, SIGMAS, threshold)
  assert got.tolist() == want
  assert count < 40 or 1 < len(got) < count  # something is dropped and kept


@pytest.mark.parametrize(
  ("count", "limit"), [(0, 20), (7, 20), (40, 20), (9, 4)]
)
def test_soft_oks_nms_equals_loop(rng, count, limit):
  people, scores, areas = _people(rng, count)
  got = oks_nms.soft_oks_nms(people, scores, areas, SIGMAS, max_people=limit)
  want = metrics_reference.soft_oks_nms(
    people, scores, areas, SIGMAS, 0.9, limit
  )
  assert got.tolist() == want
  by_score = np.argsort(-scores)[:limit].tolist()
  assert count < 40 or got.tolist() != by_score  # the decay changes the order


def test_soft_nms_survives_a_vanishing_decay(rng):
  """exp(-1/1e-4) is 0 in float64: nobody is kept twice, nothing is NaN."""
  people, scores, areas = _people(rng, 6)
  people[:] = people[0]
  got = oks_nms.soft_oks_nms(people, scores, areas, SIGMAS, threshold=1e-4)
  assert sorted(got.tolist()) == list(range(6))


def test_nms_keeps_the_first_of_equals_and_uses_the_mean_area():
  """d² = 50, k = 0.2, so OKS = exp(-50 / (2 · 0.04 · area)).

  With the areas' mean of 2,500 it is exp(-0.25) = 0.78; with 1,000 alone
  0.54, with 4,000 alone 0.86.
  """
  people = np.zeros((2, 1, 2))
  people[1] = 5.0
  areas = np.array([1_000.0, 4_000.0])
  for threshold, kept in ((0.77, [0]), (0.79, [0, 1])):
    got = oks_nms.oks_nms(people, [1, 1], areas, [0.1], threshold=threshold)
    assert got.tolist() == kept


def test_nms_rejects_scores_of_other_people():
  with pytest.raises(ValueError, match="one score per person"):
    oks_nms.oks_nms(np.zeros((2, K, 2)), [1.0], [1.0, 1.0], SIGMAS)

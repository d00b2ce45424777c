"""Soft-argmax against moments in float64, and what its score promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax.heatmaps import soft_argmax

SIZE = (9, 7)  # height, width


def moments(heatmap, radius):
  """Mean, covariance and score of one map [H, W], pixel by pixel, float64."""
  heatmap = np.asarray(heatmap, np.float64)
  points = np.array([(x, y) for y, x in np.ndindex(heatmap.shape)], float)
  mass = heatmap.ravel() / heatmap.sum()
  mean = (mass[:, None] * points).sum(0)
  offsets = points - mean
  covariance = np.einsum("n,ni,nj->ij", mass, offsets, offsets)
  near = np.exp(-(offsets**2).sum(1) / (2 * radius**2))
  return mean, covariance, (mass * near).sum()


def softmax(logits):
  exponential = np.exp(np.asarray(logits, np.float64) - np.max(logits))
  return exponential / exponential.sum()


def gaussian_logits(point, sigma, size):
  """[H, W, 1], the logarithm of a Gaussian up to a constant."""
  ys, xs = np.mgrid[: size[0], : size[1]]
  square = (xs - point[0]) ** 2 + (ys - point[1]) ** 2
  return jnp.asarray(-square[..., None] / (2 * sigma**2), jnp.float32)


def one_hot(*pixels, size=SIZE):
  """[H, W, 1] with mass 1 at each (x, y)."""
  heatmap = np.zeros((*size, 1), np.float32)
  for x, y in pixels:
    heatmap[y, x] = 1.0
  return jnp.asarray(heatmap)


def test_equals_the_moments_of_the_softmax_in_float64(rng):
  logits = 2 * rng.normal(size=(2, 3, *SIZE, 4)).astype(np.float32)
  result = soft_argmax.soft_argmax(jnp.asarray(logits), radius=1.5)
  assert result.keypoints.shape == (2, 3, 4, 2)
  for index in np.ndindex(2, 3, 4):
    heatmap = softmax(logits[(*index[:2], slice(None), slice(None), index[2])])
    mean, covariance, score = moments(heatmap, 1.5)
    # 2e-6 px and px²: float32 sums of 63 terms up to 8 and 64, error 1e-7 each.
    np.testing.assert_allclose(result.keypoints[index], mean, atol=2e-6)
    np.testing.assert_allclose(
      result.covariances[index], covariance, atol=2e-6, rtol=2e-6
    )
    np.testing.assert_allclose(result.scores[index], score, rtol=2e-6)


def test_gaussian_gives_its_centre_its_variance_and_the_closed_score():
  # 7 sigma from every border the sums over pixels are the integrals: the
  # sampled Gaussian's error is exp(-2 pi² sigma²), 3e-15 at 1.3 px.
  logits = gaussian_logits((11.3, 14.8), 1.3, (32, 24))
  result = soft_argmax.soft_argmax(logits, radius=2.0)
  # 1e-5 px, px²: float32. An axis swap is 3.5 px away, argmax 0.3 px.
  np.testing.assert_allclose(result.keypoints, [[11.3, 14.8]], atol=1e-5)
  np.testing.assert_allclose(
    result.covariances[0], [[1.69, 0.0], [0.0, 1.69]], atol=1e-5
  )
  # Mean of one Gaussian under another: radius² / (radius² + sigma²).
  assert float(result.scores[0]) == pytest.approx(4.0 / 5.69, abs=1e-6)


def test_score_and_rescoring_threshold():
  # COCO's rescoring counts keypoints above 0.2. The maximum of a Gaussian of
  # the training sigma, 1 px, does not reach that, the score is 4 / (4 + 1).
  narrow = gaussian_logits((11.3, 14.8), 1.0, (32, 24))
  assert float(soft_argmax.softmax_heatmaps(narrow).max()) < 0.16
  score = soft_argmax.soft_argmax(narrow, radius=2.0).scores
  assert float(score[0]) == pytest.approx(0.8, abs=1e-5)
  # s = 2 radius gives 0.2: 4.5 px are out, 3.5 px are in. 96 x 72 holds both.
  wide = [gaussian_logits((36, 48), s, (96, 72)) for s in (3.5, 4.5)]
  inside, outside = (
    soft_argmax.soft_argmax(x, radius=2.0).scores for x in wide
  )
  assert float(inside[0]) > 0.2 > float(outside[0])
  flat = soft_argmax.soft_argmax(jnp.zeros((32, 24, 1)), radius=2.0)
  # 2 pi radius² of 768 pixels.
  assert float(flat.scores[0]) == pytest.approx(8 * np.pi / 768, rel=1e-3)


def test_score_of_a_point_mass_is_one_and_between_two_modes_zero():
  sure = soft_argmax.integrate_heatmaps(one_hot((4, 6)), radius=1.0)
  np.testing.assert_array_equal(sure.keypoints, [[4.0, 6.0]])
  np.testing.assert_array_equal(sure.scores, [1.0])
  np.testing.assert_array_equal(sure.covariances, np.zeros((1, 2, 2)))
  torn = soft_argmax.integrate_heatmaps(one_hot((0, 0), (6, 8)), radius=1.0)
  np.testing.assert_array_equal(torn.keypoints, [[3.0, 4.0]])
  # Both modes are 5 px away: exp(-25 / 2).
  assert float(torn.scores[0]) == pytest.approx(np.exp(-12.5), rel=1e-5)
  # ±(3, 4) with equal mass: the outer product.
  np.testing.assert_allclose(torn.covariances[0], [[9, 12], [12, 16]])


def test_similarity_of_any_keypoint():
  heatmaps = one_hot((0, 0), (6, 8))
  at_mode = soft_argmax.expected_similarity(
    heatmaps, jnp.array([[6.0, 8.0]]), radius=1.0
  )
  # Half of the mass is there, the other half 10 px away.
  assert float(at_mode[0]) == pytest.approx(0.5, abs=1e-6)
  with pytest.raises(ValueError, match=r"\(1, 2\), got \(2, 2\)"):
    soft_argmax.expected_similarity(heatmaps, jnp.zeros((2, 2)), radius=1.0)


def test_maps_need_no_unit_sum(rng):
  maps = jnp.asarray(rng.random((*SIZE, 3)), jnp.float32)
  one = soft_argmax.integrate_heatmaps(maps)
  other = soft_argmax.integrate_heatmaps(maps * 37.0)
  for a, b in zip(one, other, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # float32


def test_large_logits_neither_overflow_nor_leave_the_map(rng):
  logits = jnp.asarray(rng.normal(size=(50, *SIZE, 2)) * 1e4, jnp.float32)
  result = soft_argmax.soft_argmax(logits + 1e6)
  assert all(bool(jnp.isfinite(part).all()) for part in result)
  assert (result.keypoints >= 0).all()
  assert (result.keypoints <= jnp.array([6.0, 8.0]).reshape(1, 1, 2)).all()
  sums = soft_argmax.softmax_heatmaps(logits).sum((-3, -2))
  np.testing.assert_allclose(sums, np.ones((50, 2)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_input_is_computed_in_float32(rng, dtype):
  logits = jnp.asarray(rng.normal(size=(*SIZE, 3)), dtype)
  narrow = soft_argmax.soft_argmax(logits)
  wide = soft_argmax.soft_argmax(logits.astype(jnp.float32))
  for a, b in zip(narrow, wide, strict=True):
    assert a.dtype == jnp.float32
    np.testing.assert_array_equal(a, b)


def test_nan_stays_in_its_map_and_out_of_the_keypoint(rng):
  logits = rng.normal(size=(*SIZE, 3)).astype(np.float32)
  spoilt = logits.copy()
  spoilt[4, 2, 1] = np.nan
  result = soft_argmax.soft_argmax(jnp.asarray(spoilt))
  clean = soft_argmax.soft_argmax(jnp.asarray(logits))
  np.testing.assert_array_equal(np.isnan(result.scores), [False, True, False])
  assert np.isnan(result.covariances[1]).all()
  # The middle of 9 x 7.
  np.testing.assert_allclose(result.keypoints[1], [3.0, 4.0], atol=1e-5)
  np.testing.assert_array_equal(result.keypoints[::2], clean.keypoints[::2])
  np.testing.assert_array_equal(result.scores[::2], clean.scores[::2])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_mass_counts_as_uniform(value):
  result = soft_argmax.integrate_heatmaps(jnp.full((*SIZE, 1), value))
  uniform = soft_argmax.integrate_heatmaps(jnp.ones((*SIZE, 1)))
  for a, b in zip(result, uniform, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)  # float32


def test_gradient_is_the_probability_times_the_offset(rng):
  logits = jnp.asarray(rng.normal(size=(*SIZE, 1)), jnp.float32)
  gradient = jax.grad(lambda z: soft_argmax.soft_argmax(z).keypoints[0, 0])(
    logits
  )
  mean, _, _ = moments(softmax(logits[..., 0]), 1.0)
  by_hand = softmax(logits[..., 0]) * (np.arange(7) - mean[0])  # dx / dz
  np.testing.assert_allclose(gradient[..., 0], by_hand, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_every_gradient_is_finite(rng, scale):
  logits = jnp.asarray(rng.normal(size=(*SIZE, 2)) * scale, jnp.float32)

  def total(z):
    return sum(part.sum() for part in soft_argmax.soft_argmax(z))

  assert bool(jnp.isfinite(jax.grad(total)(logits)).all())


def test_under_jit_and_vmap(rng):
  logits = jnp.asarray(rng.normal(size=(3, *SIZE, 2)), jnp.float32)
  plain = soft_argmax.soft_argmax(logits)
  for lifted in (
    jax.jit(soft_argmax.soft_argmax),
    jax.vmap(soft_argmax.soft_argmax),
  ):
    for a, b in zip(plain, lifted(logits), strict=True):
      # 1e-5: another order of the sums, float32.
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_no_people_give_no_keypoints():
  result = soft_argmax.soft_argmax(jnp.zeros((0, *SIZE, 2)))
  assert result.keypoints.shape == (0, 2, 2)
  assert result.scores.shape == (0, 2)


@pytest.mark.parametrize("shape", [(9, 7), (0, 7, 1), (9, 0, 1)])
def test_wrong_shapes_are_refused(shape):
  with pytest.raises(ValueError, match=r"\[..., H, W, K\]"):
    soft_argmax.soft_argmax(jnp.zeros(shape))


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_wrong_radius_is_refused(radius):
  with pytest.raises(ValueError, match="radius is a positive number"):
    soft_argmax.soft_argmax(jnp.zeros((9, 7, 1)), radius=radius)

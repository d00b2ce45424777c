"""The losses against closed forms and slow NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax import losses

SIZE = (9, 7)  # height, width
LN2 = np.log(2.0)


def official_mse(predicted, target, weights):
  """Per keypoint ½·MSE over people and pixels of weighted maps, then the mean.

  The loop of the authors' loss as a description gives it: [B, H, W, K] maps,
  [B, K] weights, float64.
  """
  count = predicted.shape[-1]
  total = 0.0
  for k in range(count):
    weight = weights[:, None, None, k]
    difference = weight * predicted[..., k] - weight * target[..., k]
    total += 0.5 * np.mean(difference**2)
  return total / count


def peaked(*pixels):
  """[H, W, K] logits with nearly all mass of map k at pixel k (x, y)."""
  logits = np.full((*SIZE, len(pixels)), -200.0, np.float32)
  for k, (x, y) in enumerate(pixels):
    logits[y, x, k] = 0.0
  return jnp.asarray(logits)


def ones(count):
  return jnp.ones((count,))


def test_mse_of_a_constant_error():
  target = jnp.zeros((*SIZE, 3))
  result = losses.heatmap_mse(target + 0.2, target, jnp.array([1.0, 0.0, 2.0]))
  # ½·0.04, nothing where unlabelled, weights squared.
  np.testing.assert_allclose(result, [0.02, 0.0, 0.08], rtol=1e-6)


def test_mean_of_the_mse_is_the_official_loss(rng):
  predicted = rng.normal(size=(5, *SIZE, 3)).astype(np.float32)
  target = rng.random((5, *SIZE, 3)).astype(np.float32)
  # 1.5: the official weights of wrists and ankles, which enter squared.
  weights = rng.choice([0.0, 1.0, 1.5], (5, 3)).astype(np.float32)
  arrays = [predicted, target, weights]
  result = losses.heatmap_mse(*map(jnp.asarray, arrays)).mean()
  expected = official_mse(*(array.astype(np.float64) for array in arrays))
  # 1e-6: means of 945 terms in float32.
  assert float(result) == pytest.approx(expected, rel=1e-6)


def test_mse_in_bfloat16_is_computed_in_float32(rng):
  predicted = jnp.asarray(rng.normal(size=(*SIZE, 2)), jnp.bfloat16)
  target = jnp.asarray(rng.random((*SIZE, 2)), jnp.float32)
  result = losses.heatmap_mse(predicted, target, ones(2))
  wide = losses.heatmap_mse(predicted.astype(jnp.float32), target, ones(2))
  np.testing.assert_array_equal(result, wide)


def test_mse_refuses_maps_of_two_sizes():
  with pytest.raises(ValueError, match=r"\(9, 7, 2\) and \(7, 9, 2\)"):
    losses.heatmap_mse(jnp.zeros((9, 7, 2)), jnp.zeros((7, 9, 2)), ones(2))


def test_hardest_keypoints_by_hand():
  per_keypoint = jnp.array([[1.0, 5.0, 3.0, 2.0], [0.0, 0.0, 4.0, 0.0]])
  result = losses.hardest_keypoints(per_keypoint, count=2)
  np.testing.assert_array_equal(result, [4.0, 2.0])
  everything = losses.hardest_keypoints(per_keypoint, count=4)
  np.testing.assert_array_equal(everything, [2.75, 1.0])


def test_only_the_hardest_keypoints_have_a_gradient():
  per_keypoint = jnp.array([1.0, 5.0, 3.0, 2.0])
  gradient = jax.grad(lambda x: losses.hardest_keypoints(x, count=2))
  np.testing.assert_array_equal(gradient(per_keypoint), [0.0, 0.5, 0.5, 0.0])


@pytest.mark.parametrize("count", [0, 5])
def test_number_of_hardest_keypoints_is_checked(count):
  with pytest.raises(ValueError, match=r"1..K with K=4"):
    losses.hardest_keypoints(jnp.ones(4), count=count)


def test_ipr_is_the_l1_distance_in_pixels():
  logits = peaked((3, 2), (6, 8), (0, 0))
  truth = jnp.array([[1.0, 5.5], [6.0, 8.0], [4.0, 4.0]])
  result = losses.ipr_loss(logits, truth, jnp.array([1.0, 1.0, 0.5]))
  # |3 - 1| + |2 - 5.5|; hit; half of 4 + 4.
  np.testing.assert_allclose(result, [5.5, 0.0, 4.0], atol=1e-5)


def test_ipr_is_blind_to_the_shape_of_the_map():
  flat, truth = jnp.zeros((*SIZE, 1)), jnp.array([[3.0, 4.0]])
  assert float(losses.ipr_loss(flat, truth, ones(1))[0]) < 1e-5  # px, float32


def dsnt_by_hand(logits, truth, sigma, regularization):
  """One map [H, W] and one keypoint in float64, as the paper writes it."""
  height, width = logits.shape
  ys, xs = np.mgrid[:height, :width].astype(float)

  def normalised(x, y):
    return (2 * x + 1) / width - 1, (2 * y + 1) / height - 1

  p = np.exp(logits - logits.max())
  p /= p.sum()
  q = np.exp(-((xs - truth[0]) ** 2 + (ys - truth[1]) ** 2) / (2 * sigma**2))
  q /= q.sum()
  m = (p + q) / 2
  divergence = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
  grid_x, grid_y = normalised(xs, ys)
  true_x, true_y = normalised(*truth)
  x, y = (p * grid_x).sum(), (p * grid_y).sum()
  return np.hypot(x - true_x, y - true_y) + regularization * divergence


@pytest.mark.parametrize("regularization", [0.0, 1.0, 3.0])
def test_dsnt_equals_the_paper_in_float64(rng, regularization):
  logits = rng.normal(size=(2, *SIZE, 3)).astype(np.float32)
  # Inside, at the edge, and a little outside of the map.
  truth = np.array([[2.3, 4.1], [0.0, 8.0], [7.5, -1.0]], np.float32)
  truth = np.stack([truth, truth[::-1]])
  weights = np.array([[1, 1, 0.5], [1, 0, 1]], np.float32)
  result = losses.dsnt_loss(
    jnp.asarray(logits),
    jnp.asarray(truth),
    jnp.asarray(weights),
    sigma=1.2,
    regularization=regularization,
  )
  for b, k in np.ndindex(2, 3):
    expected = weights[b, k] * dsnt_by_hand(
      logits[b, ..., k].astype(np.float64), truth[b, k], 1.2, regularization
    )
    # 2e-6: float32 sums of 63 terms.
    assert float(result[b, k]) == pytest.approx(expected, abs=2e-6)


def test_dsnt_of_the_true_gaussian_is_zero():
  ys, xs = np.mgrid[:32, :24]
  square = (xs - 11.3) ** 2 + (ys - 14.8) ** 2
  logits = jnp.asarray(-square[..., None] / 2.0, jnp.float32)
  truth = jnp.array([[11.3, 14.8]])
  result = losses.dsnt_loss(logits, truth, ones(1), sigma=1.0)
  # 2e-6: the mean is 1e-5 px off in float32, 1e-6 of half the width.
  assert float(result[0]) == pytest.approx(0.0, abs=2e-6)


def test_dsnt_of_a_distant_spike_is_the_distance_and_ln_2():
  logits, truth = peaked((0, 0)), jnp.array([[6.0, 8.0]])
  result = losses.dsnt_loss(logits, truth, ones(1), sigma=0.4)
  # 2·6/7 by 2·8/9; distributions without overlap diverge by ln 2.
  expected = np.hypot(12 / 7, 16 / 9) + LN2
  assert float(result[0]) == pytest.approx(expected, abs=1e-5)


def test_dsnt_with_a_keypoint_far_outside_is_finite():
  truth = jnp.array([[1e4, -1e4]])
  value, gradient = jax.value_and_grad(
    lambda z: losses.dsnt_loss(z, truth, ones(1), sigma=1.0)[0]
  )(peaked((3, 4)))
  assert np.isfinite(value)
  assert bool(jnp.isfinite(gradient).all())


def test_dsnt_has_no_gradient_trap_at_a_hit():
  # The length of the zero vector: its derivative is 0 / 0 if left alone.
  gradient = jax.grad(
    lambda z: losses.dsnt_loss(
      z, jnp.array([[3.0, 4.0]]), ones(1), sigma=1.0, regularization=0.0
    ).sum()
  )(peaked((3, 4)))
  np.testing.assert_array_equal(gradient, jnp.zeros((*SIZE, 1)))


def ipr(logits, truth, weights):
  return losses.ipr_loss(logits, truth, weights)


def dsnt(logits, truth, weights):
  return losses.dsnt_loss(logits, truth, weights, sigma=1.0)


@pytest.mark.parametrize("loss", [ipr, dsnt])
def test_an_unlabelled_keypoint_may_be_anything(rng, loss):
  logits = jnp.asarray(rng.normal(size=(*SIZE, 3)), jnp.float32)
  truth = jnp.array([[1.0, 2.0], [jnp.nan, jnp.inf], [3.0, 4.0]])
  weights = jnp.array([1.0, 0.0, 1.0])
  value, pull = jax.vjp(lambda z: loss(z, truth, weights), logits)
  (gradient,) = pull(ones(3))
  assert float(value[1]) == 0.0
  assert not gradient[..., 1].any()
  assert bool(jnp.isfinite(gradient).all())
  assert gradient[..., ::2].any((0, 1)).all()


@pytest.mark.parametrize("loss", [ipr, dsnt])
def test_a_labelled_nan_keypoint_gives_nan(loss):
  value = loss(peaked((3, 4)), jnp.array([[jnp.nan, 1.0]]), ones(1))
  assert np.isnan(value[0])


@pytest.mark.parametrize("loss", [ipr, dsnt])
@pytest.mark.parametrize(
  ("keypoints", "weights"), [((2, 2), (3,)), ((3, 2), (2,)), ((3, 3), (3,))]
)
def test_coordinate_losses_refuse_other_shapes(loss, keypoints, weights):
  with pytest.raises(ValueError, match=r"keypoints \[..., K, 2\]"):
    loss(jnp.zeros((*SIZE, 3)), jnp.zeros(keypoints), jnp.zeros(weights))

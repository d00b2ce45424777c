"""The training step against NumPy, and over two devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from small_network import GAUSSIAN, RATE, SmallNetwork, advance, forward, start


def expected_losses(params, batch):
  """[B, K] in float64: ½ mean over the map of the weighted squared error."""
  maps = forward(params, batch["image"])[0]
  found = np.zeros(batch["visibility"].shape)
  for b, k in np.ndindex(*found.shape):
    if batch["visibility"][b, k] * batch["mask"][b] > 0:
      target = reference.gaussian_map(
        batch["keypoints_heatmap"][b, k], GAUSSIAN.heatmap_size, 1.0
      )
      found[b, k] = 0.5 * np.mean((maps[b, ..., k] - target) ** 2)
  return found


def test_loss_and_statistics_equal_numpy(batch):
  state = start(SmallNetwork())
  after, metrics = advance(state, batch)
  expected = expected_losses(state.params, batch).mean()
  # 1e-5: float32 through two convolutions and a batch norm.
  assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-5)
  _, mean, variance, count = forward(state.params, batch["image"])
  # Momentum 0.9 from 0 and 1; the unbiased variance, as PyTorch keeps it.
  stats = after.batch_stats["norm"]
  np.testing.assert_allclose(stats["mean"], 0.1 * mean, atol=1e-6)
  unbiased = variance * count / (count - 1)
  np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * unbiased, rtol=1e-5)
  assert int(after.step) == 1


def test_gradient_equals_a_finite_difference(batch):
  state = start(SmallNetwork())
  after, metrics = advance(state, batch)
  gradient = jax.tree.map(
    lambda old, new: np.asarray(old - new, np.float64) / RATE,
    state.params,
    after.params,
  )
  square = sum((g**2).sum() for g in jax.tree.leaves(gradient))
  assert float(metrics["gradient_norm"]) == pytest.approx(
    np.sqrt(square), rel=1e-4
  )

  def loss(distance):
    moved = jax.tree.map(
      lambda p, g: np.asarray(p, np.float64) + distance * g,
      state.params,
      gradient,
    )
    return expected_losses(moved, batch).mean()

  epsilon = 1e-5
  slope = (loss(epsilon) - loss(-epsilon)) / (2 * epsilon)
  # 1e-3: the step is read from float32 parameters of 1e-1, so to 1e-4 of it.
  assert slope == pytest.approx(square, rel=1e-3)


def test_only_the_hardest_keypoints_count(batch):
  state = start(SmallNetwork())
  _, metrics = advance(state, batch, hardest_keypoints=2)
  worst = np.sort(expected_losses(state.params, batch), axis=1)[:, 1:]
  assert float(metrics["loss"]) == pytest.approx(worst.mean(), rel=1e-5)


def test_average_follows_the_parameters(batch):
  state = start(SmallNetwork(), averaged=True)
  jax.tree.map(np.testing.assert_array_equal, state.average, state.params)
  after, _ = advance(state, batch, ema_decay=0.75)
  expected = jax.tree.map(
    lambda old, new: 0.75 * old + 0.25 * new, state.params, after.params
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8),
    after.average,
    expected,
  )
  assert after.variables["params"] is after.average
  again = state.restored(after.variables, after.training)
  jax.tree.map(np.testing.assert_array_equal, again, after)


def test_without_an_average_the_parameters_are_the_variables(batch):
  state = start(SmallNetwork())
  assert state.average is None
  after, _ = advance(state, batch)
  assert after.variables["params"] is after.params
  again = state.restored(after.variables, after.training)
  jax.tree.map(np.testing.assert_array_equal, again, after)


@pytest.mark.parametrize(
  "options", [{"normalised": False}, {"bn_axis_name": "devices"}]
)
def test_two_devices_equal_one_with_the_whole_batch(batch, options):
  batch["mask"][:] = 1.0
  whole = SmallNetwork(**{**options, "bn_axis_name": None})
  state = start(whole)
  one, one_metrics = advance(state, batch, whole)
  split = {n: x.reshape(2, 2, *x.shape[1:]) for n, x in batch.items()}
  mapped = jax.pmap(
    functools.partial(
      advance, model=SmallNetwork(**options), axis_name="devices"
    ),
    axis_name="devices",
  )
  two, two_metrics = mapped(
    jax.tree.map(lambda x: jnp.stack([x, x]), state), split
  )
  # 1e-5: means over halves, then of the two, in float32. A step of SGD is
  # linear in the gradient; Adam's first step would blow up its last digits.
  near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  for device in range(2):
    jax.tree.map(lambda a, b, d=device: near(a[d], b), two, one)
    jax.tree.map(lambda a, b, d=device: near(a[d], b), two_metrics, one_metrics)

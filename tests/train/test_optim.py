"""The optimiser: Adam by hand, the schedule by hand."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from darkjax.train import optim


def config(**changes) -> ml_collections.ConfigDict:
  fields = {
    "learning_rate": 1e-3,
    "rate_batch_size": 128,
    "rate_scaling": "none",
    "milestones": (170, 200),
    "decay": 0.1,
    "warmup_steps": 0,
    "clip_norm": 0.0,
    "ema_decay": 0.0,
  }
  return ml_collections.ConfigDict(fields | changes)


@pytest.mark.parametrize(
  ("epoch", "expected"),
  [(0, 1e-3), (169.9, 1e-3), (170, 1e-4), (199.9, 1e-4), (200, 1e-5)],
)
def test_rate_drops_at_the_first_step_of_a_milestone(epoch, expected):
  schedule = optim.learning_rate_schedule(
    config(), steps_per_epoch=10, batch_size=128
  )
  # Relative 1e-6: products of float32 numbers.
  np.testing.assert_allclose(schedule(int(epoch * 10)), expected, rtol=1e-6)


def test_warmup_rises_linearly_to_the_full_rate():
  schedule = optim.learning_rate_schedule(
    config(warmup_steps=4), steps_per_epoch=10, batch_size=128
  )
  rates = [float(schedule(step)) for step in range(6)]
  expected = [0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3]
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


def steps(changes, gradients, start=2.0) -> float:
  """The parameter after Adam steps on the given gradients."""
  fields = config(**changes)
  schedule = optim.learning_rate_schedule(
    fields, steps_per_epoch=10, batch_size=128
  )
  optimizer = optim.create_optimizer(schedule, clip_norm=fields.clip_norm)
  params = jnp.asarray(start)
  state = optimizer.init(params)
  for gradient in gradients:
    update, state = optimizer.update(jnp.asarray(gradient), state, params)
    params = params + update
  return float(params)


@pytest.mark.usefixtures("optax_promotion")
def test_adam_by_hand_without_weight_decay():
  # Kingma and Ba, algorithm 1, on gradients 0.5 and -0.1 in float64.
  expected, m, v = 2.0, 0.0, 0.0
  for t, gradient in enumerate((0.5, -0.1), start=1):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    mean, square = m / (1 - 0.9**t), v / (1 - 0.999**t)
    expected -= 1e-3 * mean / (np.sqrt(square) + 1e-8)
  # 1e-6: float32 around 2 has steps of 2.4e-7.
  assert steps({}, [0.5, -0.1]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("optax_promotion")
def test_no_gradient_no_change():
  # Weight decay would move it.
  assert steps({}, [0.0, 0.0]) == 2.0


@pytest.mark.usefixtures("optax_promotion")
def test_clipping_bounds_what_adam_sees():
  # After a gradient clipped from 100 to 1, the next of 1 weighs as much.
  clipped = steps({"clip_norm": 1.0}, [100.0, 1.0])
  same = steps({}, [1.0, 1.0])
  assert clipped == pytest.approx(same, abs=1e-6)
  assert abs(steps({}, [100.0, 1.0]) - same) > 1e-4


@pytest.mark.parametrize(
  ("rule", "batch_size", "expected"),
  [
    ("none", 512, 1e-3),
    ("sqrt", 512, 2e-3),
    ("linear", 512, 4e-3),
    ("sqrt", 32, 0.5e-3),
    ("linear", 128, 1e-3),
  ],
)
def test_the_rate_scales_with_the_batch(rule, batch_size, expected):
  """From 128 people: twice for four times as many by the square root."""
  fields = config(rate_scaling=rule)
  assert optim.scaled_rate(fields, batch_size) == pytest.approx(expected)
  schedule = optim.learning_rate_schedule(
    fields, steps_per_epoch=10, batch_size=batch_size
  )
  # Relative 1e-6: float32.
  np.testing.assert_allclose(schedule(0), expected, rtol=1e-6)


def test_an_unknown_rule_is_refused():
  with pytest.raises(ValueError, match="'root'; known: none, sqrt, linear"):
    optim.scaled_rate(config(rate_scaling="root"), 128)

"""Layers against closed forms and slow NumPy loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax.models import layers
from darkjax.models.simple_baseline import deconv


def as_array(values):
  return jnp.asarray(values, jnp.float32)


def train_norm(x, **fields):
  """Output and new statistics of a fresh BatchNorm, scale 1 and bias 0."""
  norm = layers.BatchNorm(use_running_average=False, **fields)
  variables = layers.BatchNorm().init(jax.random.key(0), x)
  y, new = norm.apply(variables, x, mutable=["batch_stats"])
  return y, new["batch_stats"]


def test_batch_norm_keeps_the_unbiased_variance():
  # Hand: values 1, 2, 3, 6 have mean 3, sum of squares 14 about it.
  x = as_array([1.0, 2.0, 3.0, 6.0]).reshape(2, 2, 1, 1)
  y, new = train_norm(x)
  # 1e-6: a few roundings of float32 near 1.
  np.testing.assert_allclose(new["mean"], [0.1 * 3.0], rtol=1e-6)
  np.testing.assert_allclose(new["var"], [0.9 + 0.1 * 14 / 3], rtol=1e-6)
  expected = (np.array([1, 2, 3, 6]) - 3) / np.sqrt(14 / 4 + 1e-5)
  np.testing.assert_allclose(np.ravel(y), expected, rtol=1e-6)


def test_batch_norm_at_test_time_uses_what_it_kept(rng):
  x = as_array(rng.normal(size=(2, 3, 4, 5)))
  scale, var = rng.uniform(0.5, 2, (2, 5))
  bias, mean = rng.normal(size=(2, 5))
  variables = {
    "params": {"scale": as_array(scale), "bias": as_array(bias)},
    "batch_stats": {"mean": as_array(mean), "var": as_array(var)},
  }
  y = layers.BatchNorm().apply(variables, x)
  expected = (np.asarray(x) - mean) / np.sqrt(var + 1e-5) * scale + bias
  # Outputs of size 1-10, the multiply-add is reordered: float32 rounding.
  np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_batch_norm_is_exact_far_from_zero(rng):
  # One pass of E[x²] - E[x]² would lose all digits of the variance here.
  x = as_array(4096.0 + rng.normal(size=(4, 8, 8, 1)))
  _, new = train_norm(x)
  expected = 0.9 + 0.1 * np.var(np.asarray(x, np.float64), ddof=1)
  np.testing.assert_allclose(new["var"], [expected], rtol=1e-4)


def test_synchronised_batch_norm_equals_one_large_batch(rng):
  x = as_array(rng.normal(size=(2, 3, 4, 4, 5)) + np.arange(5))
  whole, expected = train_norm(x.reshape(6, 4, 4, 5))
  mapped = jax.pmap(
    functools.partial(train_norm, axis_name="devices"), axis_name="devices"
  )
  y, new = mapped(x)
  np.testing.assert_allclose(np.reshape(y, whole.shape), whole, atol=1e-5)
  for name in ("mean", "var"):
    np.testing.assert_allclose(new[name][0], expected[name], rtol=1e-5)
    np.testing.assert_array_equal(new[name][0], new[name][1])
  # Unsynchronised, the two devices keep what each of them saw.
  _, alone = jax.pmap(train_norm, axis_name="devices")(x)
  assert np.abs(alone["mean"][0] - alone["mean"][1]).max() > 1e-3


def test_batch_norm_has_the_gradient_of_its_formula(rng):
  """In float64, for a batch of two devices together and for each alone."""
  with jax.enable_x64(True):
    x, weights = jnp.asarray(rng.normal(3.0, 2.0, (2, 2, 3, 4, 4, 5)))
    scale, bias = jnp.asarray(rng.normal(size=(2, 5)))

    def plain(x, scale, bias):
      axes = tuple(range(x.ndim - 1))
      x = x - x.mean(axes, keepdims=True)
      x = x / jnp.sqrt(jnp.square(x).mean(axes, keepdims=True) + 1e-5)
      return x * scale.reshape(1, 1, 1, 5) + bias.reshape(1, 1, 1, 5)

    def ours(x, scale, bias, **fields):
      norm = layers.BatchNorm(
        use_running_average=False, dtype=jnp.float64, **fields
      )
      statistics = {"mean": jnp.zeros(5), "var": jnp.ones(5)}
      variables = {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": statistics,
      }
      return norm.apply(variables, x, mutable=["batch_stats"])[0]

    def gradients(function, x, weights):
      def loss(*arguments):
        return jnp.sum(weights * function(*arguments))

      return jax.grad(loss, argnums=(0, 1, 2))(x, scale, bias)

    def on_devices(x, weights, **fields):
      found = gradients(functools.partial(ours, **fields), x, weights)
      return found[0], jax.lax.psum(found[1:], "devices")

    together = jax.pmap(
      functools.partial(on_devices, axis_name="devices"), axis_name="devices"
    )(x, weights)
    whole = gradients(plain, x.reshape(6, 4, 4, 5), weights.reshape(6, 4, 4, 5))
    alone = jax.pmap(on_devices, axis_name="devices")(x, weights)
    each = [gradients(plain, *pair) for pair in zip(x, weights, strict=True)]
  # 1e-12: roundings of float64 in sums of 96 numbers of size 10.
  close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
  close(together[0].reshape(whole[0].shape), whole[0])
  close(alone[0], [one[0] for one in each])
  for i in (0, 1):
    close(together[1][i][0], whole[1 + i])
    close(alone[1][i][0], each[0][1 + i] + each[1][1 + i])


def test_strided_convolutions_pad_both_sides_like_pytorch():
  # Ramp 0..7, kernel of ones: PyTorch's windows start at -1, 1, 3, 5; "SAME"
  # would start them at 0, 2, 4, 6.
  x = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (1, 8, 8, 1))
  module = layers.conv(1, 3, 2, kernel_init=jax.nn.initializers.ones)
  y = module.init_with_output(jax.random.key(0), x)[0]
  np.testing.assert_array_equal(y[0, 1, :, 0], 3 * np.array([1, 6, 12, 18]))


def test_max_pool_ignores_its_padding():
  x = -jnp.ones((1, 4, 6, 1))
  y = layers.max_pool(x, 3, 2, pad=1)
  assert y.shape == (1, 2, 3, 1)
  np.testing.assert_array_equal(y, -np.ones((1, 2, 3, 1)))


def test_upsampling_repeats_cells():
  x = as_array([[0, 1, 2], [3, 4, 5]]).reshape(1, 2, 3, 1)
  expected = np.repeat(np.repeat(np.asarray(x), 4, 1), 4, 2)
  np.testing.assert_array_equal(layers.upsample_nearest(x, 4), expected)
  np.testing.assert_array_equal(layers.resize_nearest(x, (8, 12)), expected)


def test_resizing_to_an_odd_size_takes_the_floor():
  # i · 2 / 5 floored: 0 0 0 1 1, and 1 -> 3 all zero; as torch's "nearest".
  x = as_array([[0], [1]]).reshape(1, 2, 1, 1)
  y = layers.resize_nearest(x, (5, 3))[0, :, :, 0]
  np.testing.assert_array_equal(y, np.repeat([[0], [0], [0], [1], [1]], 3, 1))


def slow_deconv(x, kernel):
  """Every input cell adds its taps at 2·index - 1 + tap; the rim is cut."""
  batch, height, width, _ = x.shape
  out = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[-1]))
  for m in range(height):
    for n in range(width):
      patch = np.einsum("bc,ijcf->bijf", x[:, m, n], kernel)
      out[:, 2 * m : 2 * m + 4, 2 * n : 2 * n + 4] += patch
  return out[:, 1:-1, 1:-1]


def dilated_deconv(x, kernel):
  return jax.lax.conv_general_dilated(
    x,
    kernel[::-1, ::-1],
    (1, 1),
    ((2, 2), (2, 2)),
    lhs_dilation=(2, 2),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


@pytest.fixture
def deconv_inputs(rng):
  x = as_array(rng.normal(size=(2, 3, 5, 4)))
  return x, as_array(rng.normal(size=(4, 4, 4, 6)))


def test_deconv_equals_its_definition(deconv_inputs):
  x, kernel = deconv_inputs
  expected = slow_deconv(np.asarray(x), np.asarray(kernel))
  assert expected.shape == (2, 6, 10, 6)
  # Sums of 16 products of unit normals in float32.
  np.testing.assert_allclose(deconv(x, kernel), expected, atol=1e-5)


def test_deconv_and_its_gradient_equal_the_dilated_form(deconv_inputs):
  def both(f):
    def energy(x, kernel):
      return jnp.sum(jnp.sin(f(x, kernel)))

    return f(*deconv_inputs), jax.grad(energy, (0, 1))(*deconv_inputs)

  got, expected = both(deconv), both(dilated_deconv)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)  # float32 sums of ~50 terms


def test_pytorch_default_initialisation_fills_its_range():
  x = jnp.zeros((1, 4, 4, 100))
  module = functools.partial(layers.biased_conv, features=200, kernel=3)

  class Net(layers.nn.Module):
    @layers.nn.compact
    def __call__(self, x):
      return module(x, name="conv")

  params = Net().init(jax.random.key(0), x)["params"]["conv"]
  bound = 1 / np.sqrt(3 * 3 * 100)
  for leaf, slack in ((params["kernel"], 1e-3), (params["bias"], 0.05)):
    # The largest of n uniform draws falls short of the bound by 1/n or so.
    assert bound * (1 - slack) < np.abs(leaf).max() <= bound
    assert np.std(leaf) == pytest.approx(bound / np.sqrt(3), rel=0.1)

"""Trained convolutions against XLA's own, in value and both gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from darkjax.models import cpu_convolution

# Float32 sums of at most 9·8·6·5 products of order 1, in another order.
TOLERANCE = 2e-5


def plain(x, kernel, strides, padding):
  return lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=cpu_convolution.DIMENSIONS,
    precision="highest",
  )


@pytest.mark.parametrize(
  ("side", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)]
)
def test_equals_plain_convolution(rng, side, stride):
  x = jnp.asarray(rng.normal(size=(3, 8, 6, 5)), jnp.float32)
  kernel = jnp.asarray(rng.normal(size=(side, side, 5, 4)), jnp.float32)
  strides, padding = (stride, stride), ((side // 2,) * 2,) * 2
  expected, plain_vjp = jax.vjp(
    lambda *args: plain(*args, strides, padding), x, kernel
  )
  result, vjp = jax.vjp(
    lambda *args: cpu_convolution.convolve(*args, strides, padding), x, kernel
  )
  np.testing.assert_allclose(result, expected, rtol=0, atol=TOLERANCE)
  cotangent = jnp.asarray(rng.normal(size=expected.shape), jnp.float32)
  for one, other in zip(vjp(cotangent), plain_vjp(cotangent), strict=True):
    scale = float(jnp.abs(other).max())
    np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("side", [1, 3])
def test_nan_reaches_the_gradients(side):
  x = jnp.zeros((2, 4, 4, 3)).at[0, 0, 0, 0].set(jnp.nan)
  kernel = jnp.ones((side, side, 3, 2))
  padding = ((side // 2,) * 2,) * 2

  def total(kernel):
    return cpu_convolution.convolve(x, kernel, (1, 1), padding).sum()

  assert jnp.isnan(jax.grad(total)(kernel)).any()


def test_transposition_is_not_fused_with_the_input():
  def total(kernel, x):
    x = jax.nn.relu(x * 2 + 1)
    return cpu_convolution.convolve(x, kernel, (1, 1), ((1, 1), (1, 1))).sum()

  arguments = jnp.ones((3, 3, 8, 8)), jnp.ones((4, 16, 16, 8))
  lowered = jax.jit(jax.grad(total)).lower(*arguments)
  compiled = lowered.compile().as_text()
  on_cpu = jax.default_backend() == "cpu"
  assert (" conditional(" in compiled) == on_cpu

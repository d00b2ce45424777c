"""Batch normalisation in PyTorch's conventions, also when it is folded."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last, as PyTorch computes it.

  Unlike in `flax.linen.BatchNorm`, the running variance averages the unbiased
  estimate (divided by n - 1); the batch itself is normalised by the biased one.
  Statistics are float32 (float64 for inputs of that type), in one pass, and so
  are the sums of the gradient: half of what reverse differentiation would read.
  """

  use_running_average: bool = True  # and keep it; else that of the batch
  momentum: float = 0.9  # of the old statistics; 0.9 is PyTorch's 0.1
  epsilon: float = 1e-5  # added to the variance
  # Mapped axis to share statistics over; None (as published) for no sharing.
  axis_name: str | None = None
  dtype: Any = jnp.float32  # of the output

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Normalises x [..., C]; updates "batch_stats" when training.

    Variables of `batch_norm_folding.fold` have "folded" instead of the rest.
    """
    if self.has_variable("folded", "offset"):
      x = _wide(x)
      if self.has_variable("folded", "factor"):
        x = x * _along_channels(self.get_variable("folded", "factor"), x)
      x = x + _along_channels(self.get_variable("folded", "offset"), x)
      return x.astype(self.dtype)
    shape = (x.shape[-1],)
    scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
    var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
    if self.use_running_average:
      factor, offset = _line(mean.value, var.value, scale, bias, self.epsilon)
      return _apply(x, factor, offset, self.dtype)
    axis_name = None if self.is_initializing() else self.axis_name
    y, batch_mean, batch_var = _normalise(
      x, scale, bias, self.epsilon, axis_name, self.dtype
    )
    if not self.is_initializing():
      count = int(np.prod(x.shape[:-1])) * _devices(axis_name)
      unbiased = batch_var * (count / max(count - 1, 1))
      mean.value = self._blend(mean.value, batch_mean)
      var.value = self._blend(var.value, unbiased)
    return y

  def _blend(self, old, new):
    return self.momentum * old + (1 - self.momentum) * new.astype(old.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _normalise(x, scale, bias, epsilon, axis_name, dtype):
  """Normalises x [..., C] by the batch's mean and variance; returns all three.

  Differentiable in reverse only; the mean and the variance have no gradient.
  """
  return _forward(x, scale, bias, epsilon, axis_name, dtype)[0]


def _forward(x, scale, bias, epsilon, axis_name, dtype):
  mean, var = _moments(x, axis_name)
  factor, offset = _line(mean, var, scale, bias, epsilon)
  return (_apply(x, factor, offset, dtype), mean, var), (x, mean, var, scale)


def _moments(x, axis_name):
  """Mean and biased variance of the (global) batch.

  About a number of each channel, so that no digits are lost where the mean is
  large beside the deviation.
  """
  near = _wide(x[(0,) * (x.ndim - 1)])
  centred = _wide(x) - _along_channels(near, x)
  count = float(np.prod(x.shape[:-1]))
  shift, square = (s / count for s in _sums(centred, jnp.square(centred)))
  var = jnp.maximum(square - jnp.square(shift), 0.0)
  if axis_name is None:
    return near + shift, var
  mean = jax.lax.pmean(near + shift, axis_name)
  return mean, jax.lax.pmean(var + jnp.square(near + shift - mean), axis_name)


def _backward(epsilon, axis_name, dtype, saved, gradients):
  del dtype
  x, mean, var, scale = saved
  to_y = gradients[0].astype(mean.dtype)
  inverse = jax.lax.rsqrt(var + epsilon)
  normal = _apply(x, inverse, -mean * inverse, to_y.dtype)
  to_bias, to_scale = _sums(to_y, to_y * normal)
  count = float(np.prod(x.shape[:-1]) * _devices(axis_name))
  offset, slope = to_bias / count, to_scale / count
  if axis_name is not None:
    offset, slope = jax.lax.psum((offset, slope), axis_name)
  to_normal = (
    to_y - _along_channels(offset, x) - normal * _along_channels(slope, x)
  )
  to_x = to_normal * _along_channels(scale * inverse, x)
  return to_x.astype(x.dtype), to_scale, to_bias


_normalise.defvjp(_forward, _backward)


def _sums(a, b):
  """Sums two arrays [..., C] to [C] each.

  In one pass, except on CPUs, where XLA vectorises a sum of one array alone.
  """
  axes = tuple(range(a.ndim - 1))

  def together(a, b):
    def add(x, y):
      return x[0] + y[0], x[1] + y[1]

    zero = jnp.zeros((), a.dtype)
    return jax.lax.reduce((a, b), (zero, zero), add, axes)

  def apart(a, b):
    return a.sum(axes), b.sum(axes)

  return jax.lax.platform_dependent(a, b, cpu=apart, default=together)


def _devices(axis_name):
  return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def _line(mean, var, scale, bias, epsilon):
  """(x - mean) / sqrt(var + epsilon) · scale + bias as factor and offset."""
  factor = scale * jax.lax.rsqrt(var + epsilon)
  return factor, bias - mean * factor


def _apply(x, factor, offset, dtype):
  """Returns x [..., C] · factor + offset, one multiply-add."""
  x = _wide(x)
  y = x * _along_channels(factor, x) + _along_channels(offset, x)
  return y.astype(dtype)


def _wide(x):
  """Returns x in the type of statistics."""
  return x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def _along_channels(v, x):
  """Reshapes v [C] so that it broadcasts against x [..., C]."""
  return v.reshape((1,) * (x.ndim - 1) + v.shape)

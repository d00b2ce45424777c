"""Batch normalisation in PyTorch's conventions, also when it is folded."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last, as PyTorch computes it.

  Unlike in `flax.linen.BatchNorm`, the running variance averages the unbiased
  estimate (divided by n - 1); the batch itself is normalised by the biased one.
  Statistics are float32 (float64 for inputs of that type), in two passes.
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
    x = x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
    if self.has_variable("folded", "offset"):
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
      return self._normalise(x, mean.value, var.value, scale, bias)
    batch_mean, batch_var, count = self._batch_statistics(x)
    if not self.is_initializing():
      unbiased = batch_var * (count / max(count - 1, 1))
      mean.value = self._blend(mean.value, batch_mean)
      var.value = self._blend(var.value, unbiased)
    return self._normalise(x, batch_mean, batch_var, scale, bias)

  def _batch_statistics(self, x):
    """Mean, biased variance and sample count of the (global) batch."""
    axes = tuple(range(x.ndim - 1))
    count = int(np.prod(x.shape[:-1]))
    synchronise = self.axis_name is not None and not self.is_initializing()
    devices = jax.lax.axis_size(self.axis_name) if synchronise else 1
    axis_name = self.axis_name if synchronise else ()
    mean = jax.lax.pmean(x.mean(axes), axis_name)
    squares = jnp.square(x - _along_channels(mean, x))
    return mean, jax.lax.pmean(squares.mean(axes), axis_name), count * devices

  def _blend(self, old, new):
    return self.momentum * old + (1 - self.momentum) * new.astype(old.dtype)

  def _normalise(self, x, mean, var, scale, bias):
    """(x - mean) / sqrt(var + epsilon) · scale + bias, one multiply-add."""
    mean, var, scale, bias = (
      v.astype(x.dtype) for v in (mean, var, scale, bias)
    )
    factor = scale * jax.lax.rsqrt(var + self.epsilon)
    offset = bias - mean * factor
    y = x * _along_channels(factor, x) + _along_channels(offset, x)
    return y.astype(self.dtype)


def _along_channels(v, x):
  """Reshapes v [C] so that it broadcasts against x [..., C], in its dtype."""
  return v.astype(x.dtype).reshape((1,) * (x.ndim - 1) + v.shape)

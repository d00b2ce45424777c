"""Layers that the pose models share, in PyTorch's conventions.

Arrays are NHWC. Parameters are float32 whatever the compute dtype. Padding is
explicit and symmetric as in PyTorch; "SAME" would pad a strided convolution
on the other side and shift the heatmaps by half a pixel.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# Each convolution's weights N(0, 0.001²): HRNet and the SimpleBaseline head.
NARROW_INIT = nn.initializers.normal(stddev=0.001)
# Gaussian of variance 2 / (k·k·c_out): the usual one for residual networks.
FAN_OUT_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# PyTorch's default for convolutions, uniform on ±1/sqrt(fan_in).
TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def torch_bias_init(fan_in: int) -> nn.initializers.Initializer:
  """PyTorch's default initialiser of a bias: uniform on ±1/sqrt(fan_in)."""
  bound = 1.0 / math.sqrt(fan_in)

  def init(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def conv(features: int, kernel: int, strides: int = 1, **kwargs) -> nn.Conv:
  """A square convolution padded by kernel // 2 on each side.

  Args:
    features: number of output channels.
    kernel: side of the kernel, odd.
    strides: step in both directions.
    **kwargs: further fields of `nn.Conv`; there is no bias unless asked for.

  Returns:
    The Linen module.
  """
  pad = kernel // 2
  kwargs = {"use_bias": False, "padding": ((pad, pad), (pad, pad)), **kwargs}
  return nn.Conv(features, (kernel, kernel), (strides, strides), **kwargs)


def max_pool(x: jax.Array, window: int, strides: int, pad: int = 0):
  """Maximum over windows; the border is padded with -inf.

  Args:
    x: [B, H, W, C].
    window: side of the window.
    strides: step in both directions.
    pad: rows and columns added on each side.

  Returns:
    [B, (H + 2·pad - window) // strides + 1, likewise W, C].
  """
  square = ((pad, pad), (pad, pad))
  return nn.max_pool(x, (window, window), (strides, strides), square)


def upsample_nearest(x: jax.Array, factor: int) -> jax.Array:
  """Repeats each cell factor × factor times: [B, H, W, C] -> [B, fH, fW, C]."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:, :, None, :, None, :],
    (batch, height, factor, width, factor, channels),
  )
  return x.reshape(batch, height * factor, width * factor, channels)


def check_images(images: jax.Array, multiple: int) -> None:
  """Raises ValueError unless images are [B, H, W, 3] with H, W fitting.

  Args:
    images: normalised float images.
    multiple: what height and width have to be divisible by.
  """
  if images.ndim != 4 or images.shape[-1] != 3:
    raise ValueError(
      f"images must be [B, H, W, 3], got shape {images.shape}; "
      "add the batch axis with images[None], move channels last"
    )
  height, width = images.shape[1:3]
  if height % multiple or width % multiple or not height or not width:
    raise ValueError(
      f"height and width must be multiples of {multiple}, got "
      f"{height} x {width}; crop or pad the images, e.g. to "
      f"{_round_up(height, multiple)} x {_round_up(width, multiple)}"
    )


def _round_up(size: int, multiple: int) -> int:
  return max(1, -(-size // multiple)) * multiple


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last, as PyTorch computes it.

  It differs from `flax.linen.BatchNorm` in one point: the running variance
  averages the unbiased estimate (divided by n - 1), while the batch itself is
  normalised by the biased one. Statistics are float32, in two passes.

  Attributes:
    use_running_average: normalise by the running statistics and keep them.
    momentum: weight of the old running statistics; 0.9 is PyTorch's 0.1.
    epsilon: added to the variance.
    axis_name: mapped axis to share the statistics of the batch over; None
      keeps them per device, which is the published recipe.
    dtype: of the output.
    scale_init: initialiser of the scale.
  """

  use_running_average: bool = True
  momentum: float = 0.9
  epsilon: float = 1e-5
  axis_name: str | None = None
  dtype: Any = jnp.float32
  scale_init: nn.initializers.Initializer = nn.initializers.ones

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Normalises x [..., C]; updates "batch_stats" when training."""
    shape = (x.shape[-1],)
    scale = self.param("scale", self.scale_init, shape, jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
    var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
    x = x.astype(jnp.float32)
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
    squares = jnp.square(x - _last_axis(mean, x))
    return mean, jax.lax.pmean(squares.mean(axes), axis_name), count * devices

  def _blend(self, old, new):
    return self.momentum * old + (1 - self.momentum) * new

  def _normalise(self, x, mean, var, scale, bias):
    """(x - mean) / sqrt(var + epsilon) · scale + bias, one multiply-add."""
    factor = scale * jax.lax.rsqrt(var + self.epsilon)
    offset = bias - mean * factor
    y = x * _last_axis(factor, x) + _last_axis(offset, x)
    return y.astype(self.dtype)


def _last_axis(v, x):
  """Reshapes v [C] so that it broadcasts against x [..., C]."""
  return v.reshape((1,) * (x.ndim - 1) + v.shape)

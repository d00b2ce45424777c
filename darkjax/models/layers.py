"""Layers that the pose models share, in PyTorch's conventions.

Arrays are NHWC. Parameters are float32 whatever the compute dtype. Padding is
explicit and symmetric as in PyTorch; "SAME" would pad a strided convolution
on the other side and shift the heatmaps by half a pixel.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from darkjax.models import convolution

# Each convolution's weights N(0, 0.001²): HRNet and the SimpleBaseline head.
NARROW_INIT = nn.initializers.normal(stddev=0.001)
# Gaussian of variance 2 / (k·k·c_out): the usual one for residual networks.
FAN_OUT_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# PyTorch's default for convolutions, uniform on ±1/sqrt(fan_in).
TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def conv(
  features: int,
  kernel: int,
  strides: int = 1,
  *,
  train: bool = False,
  **kwargs,
) -> nn.Conv:
  """A square convolution padded by kernel // 2 on each side.

  Args:
    features: number of output channels.
    kernel: side of the kernel, odd.
    strides: step in both directions.
    train: will be differentiated, see models/convolution.py.
    **kwargs: further fields of `nn.Conv`; there is no bias unless asked for.

  Returns:
    The Linen module.
  """
  pad = kernel // 2
  kwargs = {"use_bias": False, "padding": ((pad, pad), (pad, pad)), **kwargs}
  if train:
    kwargs["conv_general_dilated"] = convolution.convolve
  return nn.Conv(features, (kernel, kernel), (strides, strides), **kwargs)


def biased_conv(x: jax.Array, features: int, kernel: int, **kwargs):
  """Applies `conv` with a bias, both starting as PyTorch's default has them.

  Args:
    x: [B, H, W, C].
    features: number of output channels.
    kernel: side of the kernel, odd.
    **kwargs: further arguments of `conv`.

  Returns:
    The convolved x; weights and bias start uniform on ±1/sqrt(fan_in).
  """
  bound = 1.0 / math.sqrt(kernel * kernel * x.shape[-1])

  def bias_init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  init = {"kernel_init": TORCH_INIT, "bias_init": bias_init}
  return conv(features, kernel, use_bias=True, **init, **kwargs)(x)


def norm_of(model: nn.Module, train: bool):
  """A constructor of `BatchNorm` with a network's dtype and axis."""
  return functools.partial(
    BatchNorm,
    use_running_average=not train,
    axis_name=model.bn_axis_name,
    dtype=model.dtype,
  )


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


def resize_nearest(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Stretches to a size; output row i is input row floor(i · H / size[0]).

  Args:
    x: [B, H, W, C].
    size: height and width wanted.

  Returns:
    [B, *size, C].
  """
  height, width = x.shape[1:3]
  if size == (2 * height, 2 * width):
    return upsample_nearest(x, 2)
  rows = np.arange(size[0]) * height // size[0]
  columns = np.arange(size[1]) * width // size[1]
  return x[:, rows][:, :, columns]


def check_images(images: jax.Array, multiple: int, minimum: int = 1) -> None:
  """Raises ValueError unless images are [B, H, W, 3] with H, W fitting.

  Args:
    images: normalised float images.
    multiple: what height and width have to be divisible by.
    minimum: the least height and width.
  """
  if images.ndim != 4 or images.shape[-1] != 3:
    raise ValueError(
      f"images must be [B, H, W, 3], got shape {images.shape}; "
      "add the batch axis with images[None], move channels last"
    )
  minimum = max(minimum, multiple)
  size = images.shape[1:3]
  if any(side % multiple or side < minimum for side in size):
    fitting = [max(-(-side // multiple) * multiple, minimum) for side in size]
    raise ValueError(
      f"height and width must be multiples of {multiple} and at least "
      f"{minimum}, got {size[0]} x {size[1]}; crop or pad the images, e.g. to "
      f"{fitting[0]} x {fitting[1]}"
    )


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last, as PyTorch computes it.

  It differs from `flax.linen.BatchNorm` in one point: the running variance
  averages the unbiased estimate (divided by n - 1), while the batch itself is
  normalised by the biased one. Statistics are float32, or float64 for inputs of
  that type, in two passes.

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
    """Normalises x [..., C]; updates "batch_stats" when training.

    Variables of `folding.fold` have "folded" instead of the rest.
    """
    if self.has_variable("folded", "offset"):
      return self._add_folded(x)
    shape = (x.shape[-1],)
    scale = self.param("scale", self.scale_init, shape, jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
    mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
    var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
    x = _at_least_float32(x)
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
    return self.momentum * old + (1 - self.momentum) * new.astype(old.dtype)

  def _normalise(self, x, mean, var, scale, bias):
    """(x - mean) / sqrt(var + epsilon) · scale + bias, one multiply-add."""
    mean, var, scale, bias = (
      v.astype(x.dtype) for v in (mean, var, scale, bias)
    )
    factor = scale * jax.lax.rsqrt(var + self.epsilon)
    offset = bias - mean * factor
    y = x * _last_axis(factor, x) + _last_axis(offset, x)
    return y.astype(self.dtype)

  def _add_folded(self, x):
    """What is left to do after `folding.fold`."""
    x = _at_least_float32(x)
    if self.has_variable("folded", "factor"):
      factor = self.get_variable("folded", "factor").astype(x.dtype)
      x = x * _last_axis(factor, x)
    offset = self.get_variable("folded", "offset").astype(x.dtype)
    return (x + _last_axis(offset, x)).astype(self.dtype)


def _at_least_float32(x):
  return x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)


def _last_axis(v, x):
  """Reshapes v [C] so that it broadcasts against x [..., C]."""
  return v.reshape((1,) * (x.ndim - 1) + v.shape)


class BasicBlock(nn.Module):
  """Residual block of two 3×3 convolutions: [B, H, W, C] -> [B, H/s, W/s, F].

  Attributes:
    features: output channels F.
    conv: `layers.conv` with the network's dtype and initialiser.
    norm: batch norm with the network's settings.
    strides: step of the first convolution.
  """

  features: int
  conv: Any
  norm: Any
  strides: int = 1

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Adds the residual to x, projecting x where the shapes differ."""
    y = self.conv(self.features, 3, self.strides, name="conv1")(x)
    y = nn.relu(self.norm(name="bn1")(y))
    y = self.norm(name="bn2")(self.conv(self.features, 3, name="conv2")(y))
    return nn.relu(y + _shortcut(self, x, self.features))


class Bottleneck(nn.Module):
  """Residual block 1×1, 3×3, 1×1 with four times the features at its end.

  Attributes:
    features: channels F of the 3×3 convolution; the output has 4F.
    conv: `layers.conv` with the network's dtype and initialiser.
    norm: batch norm with the network's settings.
    strides: step of the 3×3 convolution (ResNet "v1.5", as PyTorch has it).
  """

  features: int
  conv: Any
  norm: Any
  strides: int = 1

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Adds the residual to x, projecting x where the shapes differ."""
    y = self.conv(self.features, 1, name="conv1")(x)
    y = nn.relu(self.norm(name="bn1")(y))
    y = self.conv(self.features, 3, self.strides, name="conv2")(y)
    y = nn.relu(self.norm(name="bn2")(y))
    y = self.conv(4 * self.features, 1, name="conv3")(y)
    y = self.norm(name="bn3")(y)
    return nn.relu(y + _shortcut(self, x, 4 * self.features))


def _shortcut(block, x, features):
  """The block's input, through a strided 1×1 convolution if shapes differ."""
  if block.strides == 1 and x.shape[-1] == features:
    return x
  x = block.conv(features, 1, block.strides, name="downsample_0")(x)
  return block.norm(name="downsample_1")(x)

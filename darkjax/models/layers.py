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

from darkjax.models import cpu_convolution
from darkjax.models.batch_norm import BatchNorm

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
    kwargs["conv_general_dilated"] = cpu_convolution.convolve
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


def rematerialised(module: type[nn.Module], remat: bool) -> type[nn.Module]:
  """A module that keeps its input alone for the gradient, if `remat`.

  What is inside is computed again when the gradient needs it: less memory for
  about one more forward pass. Names of variables stay.
  """
  return nn.remat(module) if remat else module


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

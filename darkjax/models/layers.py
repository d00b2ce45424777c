"""Layers that the pose models share, in PyTorch's conventions.

Arrays are NHWC. Parameters are float32 whatever the compute dtype. Padding is
explicit and symmetric as in PyTorch; "SAME" would pad a strided convolution
on the other side and shift the heatmaps by half a pixel.
"""

import dataclasses
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from darkjax.models import cpu_convolution
from darkjax.models.batch_norm import BatchNorm

# HRNet's convolutions and the SimpleBaseline head: N(0, 0.001²).
NARROW_INIT = nn.initializers.normal(stddev=0.001)
# Gaussian of variance 2 / (k·k·c_out): the usual one for residual networks.
FAN_OUT_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# PyTorch's default for convolutions, uniform on ±1/sqrt(fan_in).
TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


@dataclasses.dataclass
class Settings:
  """The fields that all networks have.

  Attributes:
    num_keypoints: K, channels of each output.
    dtype: compute dtype, float32 or bfloat16; parameters, batch-norm statistics
      and outputs are float32.
    bn_axis_name: mapped axis to synchronise batch norm over; None for each
      device on its own, as the authors trained.
    remat: keep only the input of each residual block for the gradient and
      compute the rest again: less memory, about one more forward pass.
  """

  num_keypoints: int = 17
  dtype: Any = jnp.float32
  bn_axis_name: str | None = None
  remat: bool = False


def norm_of(settings: Settings, train: bool) -> functools.partial:
  """Returns a constructor of `BatchNorm` for a network."""
  return functools.partial(
    BatchNorm,
    use_running_average=not train,
    axis_name=settings.bn_axis_name,
    dtype=settings.dtype,
  )


def remat_if(remat: bool, module: type[nn.Module]) -> type[nn.Module]:
  """Returns the module, rematerialised if `remat`, see `Settings`."""
  return nn.remat(module) if remat else module


def conv(
  features: int,
  kernel: int,
  strides: int = 1,
  *,
  train: bool = False,
  **kwargs: Any,
) -> nn.Conv:
  """Returns a square convolution padded by kernel // 2 on each side.

  It has no bias by default; for `train` see models/cpu_convolution.py.
  """
  kwargs = {"use_bias": False, "padding": kernel // 2, **kwargs}
  if train:
    kwargs["conv_general_dilated"] = cpu_convolution.convolve
  return nn.Conv(features, (kernel, kernel), strides, **kwargs)


def biased_conv(
  x: jax.Array, features: int, kernel: int, **kwargs: Any
) -> jax.Array:
  """Applies `conv` with weights and bias uniform on ±1/sqrt(fan_in)."""
  bound = 1.0 / math.sqrt(kernel * kernel * x.shape[-1])

  def bias_init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  kwargs |= {"kernel_init": TORCH_INIT, "bias_init": bias_init}
  return conv(features, kernel, use_bias=True, **kwargs)(x)


def draw_heatmaps(x: jax.Array, settings: Settings, train: bool) -> jax.Array:
  """Applies the 1×1 convolution [B, H, W, C] -> heatmaps [B, H, W, K] float32.

  It starts at N(0, 0.001²), bias 0, as HRNet and SimpleBaseline published it.
  """
  head = conv(
    settings.num_keypoints,
    1,
    train=train,
    use_bias=True,
    kernel_init=NARROW_INIT,
    dtype=settings.dtype,
    name="final_layer",
  )
  return head(x).astype(jnp.float32)


def max_pool(
  x: jax.Array, window: int, strides: int, pad: int = 0
) -> jax.Array:
  """Takes the maximum over windows of x [B, H, W, C], padded with -inf."""
  square = ((pad, pad), (pad, pad))
  return nn.max_pool(x, (window, window), (strides, strides), square)


def upsample_nearest(x: jax.Array, factor: int) -> jax.Array:
  """Repeats each cell factor × factor times: [B, H, W, C] -> [B, fH, fW, C]."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:, :, None, :, None, :], (batch, height, factor, width, factor, channels)
  )
  return x.reshape(batch, height * factor, width * factor, channels)


def resize_nearest(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Stretches [B, H, W, C] to [B, *size, C]; row i is row i · H // size[0]."""
  height, width = x.shape[1:3]
  if size == (2 * height, 2 * width):
    return upsample_nearest(x, 2)
  rows = np.arange(size[0]) * height // size[0]
  columns = np.arange(size[1]) * width // size[1]
  return x[:, rows][:, :, columns]


def check_images(images: jax.Array, multiple: int, minimum: int = 1) -> None:
  """Raises ValueError unless images are [B, H, W, 3] with H, W divisible."""
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
  """Two 3×3 convolutions, residual: [B, H, W, C] -> [B, H/s, W/s, F]."""

  features: int  # F, channels of the 3×3 convolutions
  conv: Any  # `conv` with the network's dtype and initialiser
  norm: Any  # batch norm with the network's settings
  strides: int = 1  # s, of the first 3×3 convolution

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Adds the residual to x, projecting x where the shapes differ."""
    y = self.conv(self.features, 3, self.strides, name="conv1")(x)
    y = nn.relu(self.norm(name="bn1")(y))
    y = self.norm(name="bn2")(self.conv(self.features, 3, name="conv2")(y))
    return self._add(x, y)

  def _add(self, x, y):
    """Adds; x goes through a strided 1×1 convolution if shapes differ."""
    if self.strides != 1 or x.shape[-1] != y.shape[-1]:
      x = self.conv(y.shape[-1], 1, self.strides, name="downsample_0")(x)
      x = self.norm(name="downsample_1")(x)
    return nn.relu(y + x)


class Bottleneck(BasicBlock):
  """Residual block 1×1, 3×3, 1×1: [B, H, W, C] -> [B, H/s, W/s, 4F].

  The 3×3 convolution is the strided one (ResNet "v1.5", as PyTorch has it).
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Adds the residual to x, projecting x where the shapes differ."""
    y = self.conv(self.features, 1, name="conv1")(x)
    y = nn.relu(self.norm(name="bn1")(y))
    y = self.conv(self.features, 3, self.strides, name="conv2")(y)
    y = nn.relu(self.norm(name="bn2")(y))
    y = self.conv(4 * self.features, 1, name="conv3")(y)
    return self._add(x, self.norm(name="bn3")(y))

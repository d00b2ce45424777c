"""SimpleBaseline: a ResNet and three transposed convolutions.

The ResNet without its pooling and classifier divides the resolution by 32,
each transposed convolution doubles it. For the submodules' names see
models/torch_names.py.

Reference:
  Xiao, Wu, Wei: Simple Baselines for Human Pose Estimation and Tracking,
  arXiv 1804.06208, section 2; He et al., arXiv 1512.03385, Table 1.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from darkjax.models import layers

STRIDE = 32  # of the ResNet; inputs must be multiples of it


def deconv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves x [B, H, W, C], transposed, by [4, 4, C, F] -> [B, 2H, 2W, F].

  As PyTorch with kernel 4, stride 2, padding 1: tap [i, j] carries input (m, n)
  to output (2m - 1 + i, 2n - 1 + j). Each parity of row and column is an
  ordinary 2×2 convolution, and the four interleave. On two CPU cores, input
  [4, 16, 12, 256], that took 9.5 ms forward and 33 ms with gradients, where
  XLA's dilated convolution took 12 and 419 ms.
  """
  batch, height, width, _ = x.shape
  taps = kernel[::-1, ::-1]

  def phase(row, col):
    return jax.lax.conv_general_dilated(
      x,
      taps[row::2, col::2],
      (1, 1),
      ((1 - row, row), (1 - col, col)),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

  rows = [jnp.stack([phase(i, 0), phase(i, 1)], axis=3) for i in (0, 1)]
  size = (batch, 2 * height, 2 * width, kernel.shape[-1])
  return jnp.stack(rows, axis=2).reshape(size)


class Deconv(nn.Module):
  """`deconv` with its parameter: [B, H, W, C] -> [B, 2H, 2W, features]."""

  features: int
  dtype: Any = jnp.float32  # of the computation; the kernel is float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Doubles the resolution of x [B, H, W, C]."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param("kernel", layers.narrow_init, shape, jnp.float32)
    return deconv(x.astype(self.dtype), kernel.astype(self.dtype))


class SimpleBaseline(layers.Settings, nn.Module):
  """SimpleBaseline: images [B, H, W, 3] -> heatmaps [B, H/4, W/4, K]."""

  block: Any = layers.Bottleneck  # residual block of the ResNet
  blocks: tuple[int, int, int, int] = (3, 4, 6, 3)  # in each of its four layers
  features: int = 64  # of its stem; layer i works at 2^i times as many
  deconv_features: int = 256  # of each of the three transposed convolutions
  # Of the ResNet, as torchvision has it; usually ImageNet weights replace it.
  body_init: nn.initializers.Initializer = layers.fan_out_init

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
    """Predicts heatmaps, see `create_model`; H and W are multiples of 32."""
    layers.check_images(images, STRIDE)
    norm = layers.norm_of(self, train)
    x = self._body(images.astype(self.dtype), norm, train)
    for i in range(0, 9, 3):  # the official Sequential counts norm and ReLU
      name = f"deconv_layers_{i}"
      x = Deconv(self.deconv_features, self.dtype, name=name)(x)
      x = nn.relu(norm(name=f"deconv_layers_{i + 1}")(x))
    return layers.draw_heatmaps(x, self, train)

  def _body(self, x, norm, train):
    """The ResNet: [B, H, W, 3] -> [B, H/32, W/32, 8 or 32 · features]."""
    conv = functools.partial(
      layers.conv, train=train, dtype=self.dtype, kernel_init=self.body_init
    )
    x = conv(self.features, 7, 2, name="conv1")(x)
    x = layers.max_pool(nn.relu(norm(name="bn1")(x)), 3, 2, pad=1)
    block = layers.remat_if(self.remat, self.block)
    for i, count in enumerate(self.blocks):
      for n in range(count):
        strides = 2 if n == 0 and i > 0 else 1
        name = f"layer{i + 1}_{n}"
        x = block(self.features * 2**i, conv, norm, strides, name=name)(x)
    return x


_SHALLOW: dict[str, Any] = {"block": layers.BasicBlock, "blocks": (2, 2, 2, 2)}
VARIANTS = {
  # For CPUs: half the width and a quarter of the head; 138 million
  # multiply-adds at 128×96 (the small HRNet and Hourglass: 115 and 112).
  "simple_baseline_small": functools.partial(
    SimpleBaseline, **_SHALLOW, features=32, deconv_features=64
  ),
  "simple_baseline_18": functools.partial(SimpleBaseline, **_SHALLOW),
  "simple_baseline_50": functools.partial(SimpleBaseline, blocks=(3, 4, 6, 3)),
  "simple_baseline_101": functools.partial(
    SimpleBaseline, blocks=(3, 4, 23, 3)
  ),
  "simple_baseline_152": functools.partial(
    SimpleBaseline, blocks=(3, 8, 36, 3)
  ),
}

"""Stacked Hourglass: repeated bottom-up, top-down passes over the heatmaps.

Heatmaps are drawn and supervised after each hourglass. "Hourglass-4" is four
stacks with one residual block at each level, as DARK's tables use the name.
Heatmaps have any size from 16×16 up: levels of odd size are pooled downwards
and stretched to the branch they join (the official code handles 32×24 alone, by
a constant; wherever it runs, the two agree). For the submodules' names see
models/torch_names.py.

Reference:
  Newell, Yang, Deng: Stacked Hourglass Networks for Human Pose Estimation,
  arXiv 1603.06937, sections 3.1-3.3; layer for layer DARK's hourglass.py.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from darkjax.models import layers

STRIDE = 4  # of the stem; inputs must be multiples of it
DEPTH = 4  # halvings in an hourglass; the heatmaps need 2**DEPTH cells


class PreActivationBlock(nn.Module):
  """Residual block 1×1, 3×3, 1×1, each after its norm and ReLU, with biases."""

  features: int  # output channels; the inner ones are half as many
  conv: Any  # `layers.biased_conv` with the network's dtype
  norm: Any  # batch norm with the network's settings

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to [B, H, W, features]."""
    half, y = self.features // 2, x
    layers_of_block = ((half, 1), (half, 3), (self.features, 1))
    for i, (features, kernel) in enumerate(layers_of_block, start=1):
      y = nn.relu(self.norm(name=f"bn{i}")(y))
      y = self.conv(y, features, kernel, name=f"conv{i}")
    if x.shape[-1] != self.features:
      x = self.conv(x, self.features, 1, name="downsample_0")
    return x + y


class HourglassModule(nn.Module):
  """One hourglass: [B, H, W, C] -> [B, H, W, C]."""

  block: Any  # makes a residual block of C features from a name

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Pools x down DEPTH times and brings it back up."""
    return self._level(x, DEPTH - 1)

  def _level(self, x, level):
    """The part of the hourglass from `level` inwards; 0 is the innermost."""
    name = f"hg_{level}"
    skip = self.block(name=f"{name}_0_0")(x)
    low = self.block(name=f"{name}_1_0")(layers.max_pool(x, 2, 2))
    if level > 0:
      low = self._level(low, level - 1)
    else:
      low = self.block(name=f"{name}_3_0")(low)
    low = self.block(name=f"{name}_2_0")(low)
    return skip + layers.resize_nearest(low, skip.shape[1:3])


class Hourglass(layers.Settings, nn.Module):
  """Stacked Hourglass: images [B, H, W, 3] -> a tuple of heatmaps.

  Convolutions and biases start uniform on ±1/sqrt(fan_in), PyTorch's default,
  which is what the authors trained from.
  """

  stacks: int = 4  # number of hourglasses, and of outputs
  features: int = 256  # channels at heatmap resolution

  @nn.compact
  def __call__(
    self, images: jax.Array, train: bool = False
  ) -> tuple[jax.Array, ...]:
    """Predicts heatmaps, see `create_model`; H, W: multiples of 4 from 64."""
    layers.check_images(images, STRIDE, minimum=STRIDE * 2**DEPTH)
    norm = layers.norm_of(self, train)
    conv = functools.partial(layers.biased_conv, train=train, dtype=self.dtype)
    block_type = layers.remat_if(self.remat, PreActivationBlock)
    block = functools.partial(block_type, conv=conv, norm=norm)
    x = self._stem(images.astype(self.dtype), block, conv, norm)
    block = functools.partial(block, self.features)
    heatmaps = []
    for i in range(self.stacks):
      y = HourglassModule(block, name=f"hg_{i}")(x)
      y = conv(block(name=f"res_{i}_0")(y), self.features, 1, name=f"fc_{i}_0")
      y = nn.relu(norm(name=f"fc_{i}_1")(y))
      scores = conv(y, self.num_keypoints, 1, name=f"score_{i}")
      heatmaps.append(scores.astype(jnp.float32))
      if i < self.stacks - 1:
        x = x + conv(y, self.features, 1, name=f"fc__{i}")
        x = x + conv(scores, self.features, 1, name=f"score__{i}")
    return tuple(heatmaps)

  def _stem(self, x, block, conv, norm):
    """[B, H, W, 3] -> [B, H/4, W/4, features]."""
    x = conv(x, self.features // 4, 7, strides=2, name="conv1")
    x = nn.relu(norm(name="bn1")(x))
    x = block(self.features // 2, name="layer1_0")(x)
    x = block(self.features, name="layer2_0")(layers.max_pool(x, 2, 2))
    return block(self.features, name="layer3_0")(x)


VARIANTS = {
  "hourglass_2": functools.partial(Hourglass, stacks=2),
  "hourglass_4": functools.partial(Hourglass, stacks=4),
  "hourglass_8": functools.partial(Hourglass, stacks=8),
  # For CPUs: two stacks at a quarter of the width.
  "hourglass_small": functools.partial(Hourglass, stacks=2, features=64),
}

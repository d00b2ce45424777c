"""HRNet: a pose network that keeps a high-resolution branch throughout.

A stem divides the resolution by 4; then four stages run 1, 2, 3 and 4
branches in parallel, each at half the resolution and twice the channels of the
one above, and exchange their features after every module. For the submodules'
names see models/torch_names.py.

Reference:
  Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning for Human
  Pose Estimation, arXiv 1902.09212, section 3; widths and depths as in the
  authors' pose_hrnet.py and its w32/w48 configurations.
"""

import functools
import itertools
from typing import Any

import flax.linen as nn
import jax

from darkjax.models import layers

STRIDE = 32  # of the fourth branch; inputs must be multiples of it


class ExchangeModule(nn.Module):
  """Parallel branches of basic blocks, then each added to every other."""

  blocks: int  # basic blocks per branch
  outputs: int  # branches returned, from the highest resolution down
  conv: Any  # `layers.conv` with the network's dtype and initialiser
  norm: Any  # batch norm with the network's settings
  remat: bool = False  # see `layers.Settings`

  @nn.compact
  def __call__(self, branches: list[jax.Array]) -> list[jax.Array]:
    """Maps branches [B, H/2^i, W/2^i, 2^i·C] to the first `outputs` of them."""
    block = layers.remat_if(self.remat, layers.BasicBlock)
    branches = list(branches)
    for i, n in itertools.product(range(len(branches)), range(self.blocks)):
      x, name = branches[i], f"branches_{i}_{n}"
      branches[i] = block(x.shape[-1], self.conv, self.norm, name=name)(x)
    return [self._fuse(branches, target) for target in range(self.outputs)]

  def _fuse(self, branches, target):
    """Sum of all branches brought to the shape of one of them, then ReLU."""
    total = branches[target]
    width = total.shape[-1]
    conv_norm = functools.partial(_conv_norm, self.conv, self.norm)
    for source, x in enumerate(branches):
      name = f"fuse_layers_{target}_{source}"
      if source > target:
        x = conv_norm(x, width, name, kernel=1)
        total = total + layers.upsample_nearest(x, 2 ** (source - target))
      elif source < target:
        last = target - source - 1  # only the last convolution widens
        for i in range(last):
          x = conv_norm(x, x.shape[-1], f"{name}_{i}", strides=2)
          x = nn.relu(x)
        total = total + conv_norm(x, width, f"{name}_{last}", strides=2)
    return nn.relu(total)


def _conv_norm(conv, norm, x, features, name, *, kernel=3, strides=1):
  x = conv(features, kernel, strides, name=f"{name}_0")(x)
  return norm(name=f"{name}_1")(x)


class HRNet(layers.Settings, nn.Module):
  """HRNet for heatmaps: images [B, H, W, 3] -> [B, H/4, W/4, num_keypoints]."""

  channels: int = 32  # C of the highest branch; the others have 2C, 4C, 8C
  stem_features: int = 64  # of the stem's two strided convolutions
  stage1_features: int = 64  # F of stage 1's bottlenecks, which return 4F
  stage1_blocks: int = 4
  modules: tuple[int, ...] = (1, 4, 3)  # exchange modules in stages 2, 3, 4
  blocks: int = 4  # basic blocks per branch and module
  # Of all convolutions but the last.
  conv_init: nn.initializers.Initializer = layers.narrow_init

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
    """Predicts heatmaps, see `create_model`; H and W are multiples of 32."""
    layers.check_images(images, STRIDE)
    norm = layers.norm_of(self, train)
    conv = functools.partial(
      layers.conv, train=train, dtype=self.dtype, kernel_init=self.conv_init
    )
    x = images.astype(self.dtype)
    for i in (1, 2):
      x = conv(self.stem_features, 3, 2, name=f"conv{i}")(x)
      x = nn.relu(norm(name=f"bn{i}")(x))
    block = layers.remat_if(self.remat, layers.Bottleneck)
    for i in range(self.stage1_blocks):
      x = block(self.stage1_features, conv, norm, name=f"layer1_{i}")(x)
    x = self._stages([x], conv, norm)
    return layers.draw_heatmaps(x, self, train)

  def _stages(self, branches, conv, norm):
    """Stages 2 and up; returns the highest branch of the last module."""
    for stage, modules in enumerate(self.modules, start=2):
      branches = self._transition(branches, stage, conv, norm)
      for i in range(modules):
        final = stage == len(self.modules) + 1 and i == modules - 1
        outputs = 1 if final else stage
        branches = ExchangeModule(
          *(self.blocks, outputs, conv, norm, self.remat),
          name=f"stage{stage}_{i}",
        )(branches)
    return branches[0]

  def _transition(self, branches, stage, conv, norm):
    """Gives existing branches their width and opens one more below them."""
    conv_norm = functools.partial(_conv_norm, conv, norm)
    name = f"transition{stage - 1}"
    opened = []
    for i, x in enumerate([*branches, branches[-1]]):
      width = self.channels * 2**i
      if i == len(branches):
        x = nn.relu(conv_norm(x, width, f"{name}_{i}_0", strides=2))
      elif x.shape[-1] != width:
        x = nn.relu(conv_norm(x, width, f"{name}_{i}"))
      opened.append(x)
    return opened


VARIANTS = {
  "hrnet_w32": functools.partial(HRNet, channels=32),
  "hrnet_w48": functools.partial(HRNet, channels=48),
  # For CPUs: the same structure at half the width; 115 million multiply-adds at
  # 128×96. Without ImageNet weights, it starts from He's initialisation.
  "hrnet_small": functools.partial(
    HRNet,
    channels=16,
    stem_features=32,
    stage1_features=32,
    stage1_blocks=1,
    modules=(1, 1, 1),
    blocks=2,
    conv_init=layers.fan_out_init,
  ),
}

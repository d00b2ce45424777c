"""The paper's networks in PyTorch, under the official names of tensors.

HRNet and ResNet bodies are timm's; the heatmap heads and the hourglass, which
no package has, are written here against torch.nn.
"""

import sys
from unittest import mock

from torch import nn


def import_timm():
  """Imports timm without torchvision, of which it needs only transforms."""
  try:
    import torchvision  # noqa: F401
  except ImportError:
    stand_in = mock.MagicMock(__spec__=None)
    stand_in.ops.misc.FrozenBatchNorm2d = type("FrozenBatchNorm2d", (), {})
    for name in ("ops", "ops.misc", "transforms", "transforms.functional"):
      module = stand_in
      for part in name.split("."):
        module = getattr(module, part)
      module.__spec__ = None
      sys.modules[f"torchvision.{name}"] = module
    sys.modules["torchvision"] = stand_in
    sys.modules["torchvision.datasets"] = stand_in.datasets
    stand_in.datasets.__spec__ = None
  import timm
  import timm.models.hrnet
  import timm.models.resnet

  return timm


timm = import_timm()


_WIDE = {"modules": (1, 4, 3), "blocks": 4, "stage1": (4, 64)}
# Arguments of `HRNet` for the networks of darkjax.models.
HRNETS = {
  "hrnet_w32": {"channels": 32, **_WIDE},
  "hrnet_w48": {"channels": 48, **_WIDE},
  "hrnet_small": {
    "channels": 16,
    "modules": (1, 1, 1),
    "blocks": 2,
    "stage1": (1, 32),
    "stem": 32,
  },
}


def hrnet_config(channels, modules, blocks, stage1, stem=64):
  """Returns timm's configuration of an HRNet; stage1 is (blocks, features)."""
  config = {"stem_width": stem, "stage1": _stage(1, stage1[0], [stage1[1]])}
  config["stage1"]["block_type"] = "BOTTLENECK"
  for i, count in enumerate(modules):
    widths = [channels * 2**n for n in range(i + 2)]
    config[f"stage{i + 2}"] = _stage(count, blocks, widths)
  return config


def _stage(modules, blocks, widths):
  return {
    "num_modules": modules,
    "num_branches": len(widths),
    "block_type": "BASIC",
    "num_blocks": [blocks] * len(widths),
    "num_channels": widths,
    "fuse_method": "SUM",
  }


class HRNet(nn.Module):
  """Timm's body up to stage 4, its highest branch, a 1×1 convolution."""

  def __init__(self, keypoints, **config):
    super().__init__()
    body = timm.models.hrnet.HighResolutionNet(hrnet_config(**config))
    for name in ("incre_modules", "downsamp_modules", "classifier"):
      delattr(body, name)
    width = config["channels"]
    body.final_layer = nn.Conv2d(width, keypoints, 1)
    if config.get("stem", 64) != 64:
      _narrow_stem(body, config["stem"], *config["stage1"])
    # A pose network's last module fuses at the highest resolution alone.
    del body.stage4[-1].fuse_layers[1:]
    self.body = body

  def forward(self, x):
    """[B, 3, H, W] -> [B, K, H/4, W/4]."""
    body = self.body
    x = body.act1(body.bn1(body.conv1(x)))
    x = body.act2(body.bn2(body.conv2(x)))
    return body.final_layer(body.stages(x)[0])


def _narrow_stem(body, stem, blocks, features):
  """Narrows timm's second convolution, which always has 64 channels."""
  body.conv2 = nn.Conv2d(stem, stem, 3, 2, 1, bias=False)
  body.bn2 = nn.BatchNorm2d(stem)
  block = timm.models.hrnet.Bottleneck
  body.layer1 = body._make_layer(block, stem, features, blocks)


class SimpleBaseline(nn.Module):
  """Timm's ResNet up to layer 4 and three transposed convolutions."""

  def __init__(self, keypoints, block, layers, deconv_features):
    super().__init__()
    kind = getattr(timm.models.resnet, block)
    body = timm.models.resnet.ResNet(kind, layers, num_classes=0)
    head, width = [], body.num_features
    for _ in range(3):
      deconv = nn.ConvTranspose2d(width, deconv_features, 4, 2, 1, bias=False)
      head += [deconv, nn.BatchNorm2d(deconv_features), nn.ReLU()]
      width = deconv_features
    body.deconv_layers = nn.Sequential(*head)
    body.final_layer = nn.Conv2d(width, keypoints, 1)
    self.body = body

  def forward(self, x):
    """[B, 3, H, W] -> [B, K, H/4, W/4]."""
    x = self.body.forward_features(x)
    return self.body.final_layer(self.body.deconv_layers(x))


class Residual(nn.Module):
  """Pre-activation bottleneck with biases."""

  def __init__(self, width_in, width):
    super().__init__()
    half = width // 2
    self.bn1 = nn.BatchNorm2d(width_in)
    self.conv1 = nn.Conv2d(width_in, half, 1)
    self.bn2 = nn.BatchNorm2d(half)
    self.conv2 = nn.Conv2d(half, half, 3, padding=1)
    self.bn3, self.conv3 = nn.BatchNorm2d(half), nn.Conv2d(half, width, 1)
    if width_in != width:
      self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1))

  def forward(self, x):
    """[B, C, H, W] -> [B, width, H, W]."""
    y = self.conv1(self.bn1(x).relu())
    y = self.conv2(self.bn2(y).relu())
    y = self.conv3(self.bn3(y).relu())
    return y + (self.downsample(x) if hasattr(self, "downsample") else x)


class OneHourglass(nn.Module):
  """Four levels, of which level 0 is the innermost."""

  def __init__(self, width):
    super().__init__()
    self.hg = nn.ModuleList(
      nn.ModuleList(
        nn.Sequential(Residual(width, width)) for _ in range(3 + (level == 0))
      )
      for level in range(4)
    )

  def forward(self, x, level=3):
    """[B, C, H, W] -> [B, C, H, W]."""
    blocks = self.hg[level]
    low = blocks[1](nn.functional.max_pool2d(x, 2))
    low = self.forward(low, level - 1) if level else blocks[3](low)
    up = nn.functional.interpolate(blocks[2](low), x.shape[2:])
    return blocks[0](x) + up


class Hourglass(nn.Module):
  """Stem, stacks, and the connections between stacks."""

  def __init__(self, keypoints, stacks, features):
    super().__init__()
    half, quarter = features // 2, features // 4
    self.conv1 = nn.Conv2d(3, quarter, 7, 2, 3)
    self.bn1 = nn.BatchNorm2d(quarter)
    self.layer1 = nn.Sequential(Residual(quarter, half))
    self.layer2 = nn.Sequential(Residual(half, features))
    self.layer3 = nn.Sequential(Residual(features, features))

    def per_stack(make, count=stacks):
      return nn.ModuleList(make() for _ in range(count))

    def pointwise(inputs, outputs):
      return nn.Conv2d(inputs, outputs, 1)

    def fc():
      conv = pointwise(features, features)
      return nn.Sequential(conv, nn.BatchNorm2d(features), nn.ReLU())

    self.hg = per_stack(lambda: OneHourglass(features))
    self.res = per_stack(lambda: nn.Sequential(Residual(features, features)))
    self.fc = per_stack(fc)
    self.score = per_stack(lambda: pointwise(features, keypoints))
    self.fc_ = per_stack(lambda: pointwise(features, features), stacks - 1)
    self.score_ = per_stack(lambda: pointwise(keypoints, features), stacks - 1)

  def forward(self, x):
    """[B, 3, H, W] -> per stack [B, K, H/4, W/4]."""
    x = self.layer1(self.bn1(self.conv1(x)).relu())
    x = self.layer3(self.layer2(nn.functional.max_pool2d(x, 2)))
    scores = []
    for i in range(len(self.hg)):
      y = self.fc[i](self.res[i](self.hg[i](x)))
      scores.append(self.score[i](y))
      if i < len(self.fc_):
        x = x + self.fc_[i](y) + self.score_[i](scores[-1])
    return scores

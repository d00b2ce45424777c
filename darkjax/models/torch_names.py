"""Names and axes of parameters in PyTorch.

Linen submodules here carry the names of the official checkpoints with the
indices joined by underscores: "stage2.0.branches.1.3.conv1" is
["stage2_0"]["branches_1_3"]["conv1"]. The last component follows the kind of
layer. `canonical` translates other publishers' names to the official ones.
"""

import re
from collections.abc import Mapping

import numpy as np

# Linen's name of a leaf -> PyTorch's.
LEAVES = {
  "kernel": "weight",
  "scale": "weight",
  "bias": "bias",
  "mean": "running_mean",
  "var": "running_var",
}
# Entries that belong to the network above the backbone.
HEAD = re.compile(r"(deconv_layers|final_layer)\.")
# Entries of ImageNet classifiers alone; the heatmap head's own are
# final_layer.weight and final_layer.bias.
CLASSIFIER = re.compile(
  r"(classifier|incre_modules|downsamp_modules|final_layer\.\d+)\.|"
  r"fc\.(weight|bias)$"  # fc.0 and on are the hourglass's own
)
# An ImageNet HRNet fuses its last module at every resolution, a pose network
# at the highest alone.
LOWER_FUSION = re.compile(r"stage4\.\d+\.fuse_layers\.[123]\.")
_MMPOSE_PREFIX = re.compile(r"(backbone|head|keypoint_head)\.")


def torch_name(path: tuple[str, ...]) -> str:
  """Returns PyTorch's name of a leaf below "params" or "batch_stats".

  >>> torch_name(("layer1_0", "downsample_1", "mean"))
  'layer1.0.downsample.1.running_mean'
  """
  *modules, leaf = path
  dotted = re.sub(r"_(\d+)", r".\1", ".".join(modules))
  return f"{dotted}.{LEAVES[leaf]}"


def is_transposed(name: str) -> bool:
  """Returns whether an entry is the kernel of a transposed convolution."""
  return name.startswith("deconv_layers.") and name.endswith(".weight")


def from_torch(name: str, array: np.ndarray) -> np.ndarray:
  """Permutes PyTorch's axes of a kernel to ours, [h, w, in, out].

  `torch_shape` is the inverse for shapes.
  """
  if array.ndim != 4:
    return array
  order = (2, 3, 0, 1) if is_transposed(name) else (2, 3, 1, 0)
  return array.transpose(order)


def torch_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
  """Returns the shape that PyTorch has for an entry of our shape."""
  if len(shape) != 4:
    return tuple(shape)
  order = (2, 3, 0, 1) if is_transposed(name) else (3, 2, 0, 1)
  return tuple(shape[axis] for axis in order)


def canonical(state_dict: Mapping) -> tuple[dict, str]:
  """Translates a published state dict, or a checkpoint around it.

  Returns the entries under official names, without "num_batches_tracked", and
  the publisher: "official", "mmpose" or "imagenet" (a classifier, as timm,
  torchvision and HRNet's authors name it).
  """
  for key in ("state_dict", "model"):
    if isinstance(state_dict.get(key), Mapping):
      state_dict = state_dict[key]
      break
  entries = {
    name.removeprefix("module."): value
    for name, value in state_dict.items()
    if not name.endswith("num_batches_tracked")
  }
  if any(_MMPOSE_PREFIX.match(name) for name in entries):
    entries = {_MMPOSE_PREFIX.sub("", n, 1): v for n, v in entries.items()}
    return entries, "mmpose"
  is_classifier = any(CLASSIFIER.match(name) for name in entries)
  return entries, "imagenet" if is_classifier else "official"


def surplus(name: str) -> bool:
  """Returns whether an entry belongs to classifiers, not to pose networks."""
  return bool(CLASSIFIER.match(name) or LOWER_FUSION.match(name))

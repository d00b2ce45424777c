"""Arrays made from a hash of their PyTorch name, the same on both sides.

No network is left at zeros and ones, no weights need shipping, and a tensor
that lands in the wrong place changes the output. Ranges are such that
activations neither vanish nor explode over fifty layers.
"""

import hashlib

import numpy as np

# Members of each family small enough to compile in seconds. Name of the
# golden -> (model, overrides, input height and width); 3 keypoints each.
CASES = {
  "hrnet": (
    "hrnet_small",
    {
      "channels": 8,
      "modules": (1, 1, 2),
      "blocks": 1,
      "stage1_blocks": 2,
      "stage1_features": 8,
      "stem_features": 64,
    },
    (64, 96),
  ),
  "resnet_basic": (
    "simple_baseline_18",
    {"blocks": (1, 1, 1, 1), "deconv_features": 16},
    (64, 96),
  ),
  "resnet_bottleneck": (
    "simple_baseline_50",
    {"blocks": (1, 1, 1, 1), "deconv_features": 16},
    (64, 96),
  ),
  # Heatmaps of 17 x 25: 25, 17 and 3 halve with a rest on the way down.
  "hourglass": ("hourglass_2", {"features": 16}, (68, 100)),
  # One training step.
  "train": (
    "hrnet_small",
    {
      "channels": 4,
      "blocks": 1,
      "stage1_blocks": 1,
      "stage1_features": 4,
      "stem_features": 64,
    },
    (64, 96),
  ),
}


def generator(name: str) -> np.random.RandomState:
  """A generator seeded by the name; RandomState's streams are frozen."""
  digest = hashlib.sha256(name.encode()).digest()
  return np.random.RandomState(int.from_bytes(digest[:4], "little"))


def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """Fills a PyTorch tensor: weights O(1/sqrt(fan_in)), positive variances."""
  low, high = _range(name, shape)
  draw = generator(name).random_sample(shape)
  return (low + (high - low) * draw).astype(np.float32)


def _range(name, shape):
  if len(shape) == 4:
    # PyTorch's [out, in, h, w]; a transposed kernel is [in, out, h, w], and
    # a quarter of its taps meet in one output.
    transposed = name.startswith("deconv_layers")
    fan_in = shape[0] * 4 if transposed else np.prod(shape[1:])
    bound = np.sqrt(3.0 / fan_in)
    return -bound, bound
  if name.endswith("running_var") or name.endswith("weight"):
    return 0.6, 1.4
  return -0.2, 0.2


def state_dict(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
  """`array` for each name."""
  return {name: array(name, shape) for name, shape in shapes.items()}


def images(batch: int, height: int, width: int) -> np.ndarray:
  """Images [B, H, W, 3], uniform on ±2 as normalised pixels roughly are."""
  name = f"images {batch} {height} {width}"
  draw = generator(name).random_sample((batch, height, width, 3))
  return (4 * draw - 2).astype(np.float32)


def heatmaps(batch: int, height: int, width: int, keypoints: int) -> np.ndarray:
  """Targets [B, H/4, W/4, K] for images of that size, uniform on 0..1."""
  shape = (batch, height // 4, width // 4, keypoints)
  return generator("heatmaps").random_sample(shape).astype(np.float32)


def samples(name: str, x: np.ndarray, count: int = 6) -> np.ndarray:
  """`count` entries of x at positions hashed from the name, then max |x|."""
  places = generator(f"samples {name}").randint(0, x.size, count)
  flat = np.ravel(x)
  return np.append(flat[places], np.abs(flat).max()).astype(np.float32)

"""The convention of the unbiased network, with the sizes that a test wants."""

from darkjax import skeletons
from darkjax.convention import Convention


def make_convention(
  skeleton: skeletons.Skeleton = skeletons.COCO,
  crop_size: tuple[int, int] = (128, 96),
  **changes,
) -> Convention:
  """Returns DARK's settings with `changes`; heatmaps are a quarter as high."""
  height, width = crop_size
  fields = {
    "heatmap_size": (height // 4, width // 4),
    "alignment": "dark",
    "padding": 1.25,
    "sigma": 1.0,
    "quantize": "none",
    "truncate": None,
    "blur_kernel": 3,
    "flip_shift": 0,
    "channel_order": "rgb",
  }
  return Convention(skeleton, crop_size, **(fields | changes))

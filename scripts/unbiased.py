"""The convention of the unbiased COCO configurations, for the benchmarks."""

from darkjax import convention, skeletons


def make_convention(
  size: tuple[int, int] = (128, 96),
  skeleton: skeletons.Skeleton = skeletons.COCO,
) -> convention.Convention:
  """How crops and heatmaps correspond, as in configs/coco_hrnet_w32_*.py.

  Args:
    size: (height, width) of the crops, px; 128, 256 or 384 high.
    skeleton: of the people.
  """
  height, width = size
  return convention.Convention(
    skeleton=skeleton,
    crop_size=size,
    heatmap_size=(height // 4, width // 4),
    alignment="dark",
    padding=1.25,
    sigma=height / 128,
    quantize="none",
    truncate=None,
    blur_kernel={128: 3, 256: 11, 384: 17}[height],
    flip_shift=0,
    channel_order="rgb",
  )

"""A pose network without training: it finds the red, green and blue blob."""

import conventions
import jax.numpy as jnp
import numpy as np

from darkjax import convention, geometry, skeletons

SKELETON = skeletons.Skeleton(
  name="colours",
  keypoint_names=("red", "green", "blue"),
  flip_pairs=(),
  limbs=((0, 1), (1, 2)),
  upper_body=(0,),
  lower_body=(1, 2),
  sigmas=(0.05, 0.05, 0.05),
)


def make_convention(**changes) -> convention.Convention:
  return conventions.make_convention(
    SKELETON, **({"crop_size": (64, 48)} | changes)
  )


class Colours:
  """Heatmap k is channel k of the crop, sampled where the convention says.

  Stands in for a Linen module. `shapes` collects those it is traced with, hence
  what is compiled.
  """

  def __init__(self, used: convention.Convention):
    self.convention = used
    self.shapes = []

  def apply(self, variables, images, *, train):
    assert not train
    self.shapes.append(images.shape)
    mean, std = (value.reshape(1, 1, 1, 3) for value in _STATISTICS)
    pixels = images * std + mean
    across, down = _sampling(self.convention)
    return jnp.einsum("ih,jw,bhwk->bijk", down, across, pixels)


_STATISTICS = (
  np.array(convention.PIXEL_MEAN, np.float32),
  np.array(convention.PIXEL_STD, np.float32),
)


def _sampling(used):
  """Matrices of linear interpolation, [W', W] and [H', H]."""
  crop_from_heatmap = geometry.invert(used.heatmap_from_crop())
  for axis in (0, 1):
    size = used.crop_size[1 - axis]
    cells = np.arange(used.heatmap_size[1 - axis])
    x = crop_from_heatmap[axis, axis] * cells + crop_from_heatmap[axis, 2]
    distance = np.abs(x[:, None] - np.arange(size))
    yield np.maximum(1 - distance, 0).astype(np.float32)


def paint(size, *people, width: float = 9.0) -> np.ndarray:
  """A photograph [H, W, 3] uint8 of `size` with one blob per keypoint.

  Args:
    size: (height, width), px.
    *people: [3, 2] each, (x, y) of the blobs, px.
    width: standard deviation of the blobs, px.
  """
  y, x = np.mgrid[: size[0], : size[1]]
  photo = np.zeros((*size, 3))
  for keypoints in people:
    for k, (at_x, at_y) in enumerate(keypoints):
      distance = (x - at_x) ** 2 + (y - at_y) ** 2
      photo[..., k] += np.exp(-distance / (2 * width**2))
  return np.rint(255 * np.minimum(photo, 1)).astype(np.uint8)

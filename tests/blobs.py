"""People made of blobs, and a "network" that draws their true heatmaps.

The network samples the crop at the centres of heatmap pixels. Its images hold
one Gaussian blob per colour channel, centred on that channel's keypoint, so
that a chain whose parts agree finds every keypoint again.
"""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from configs import quickstart
from darkjax import convention, geometry

CATEGORY = {"id": 1, "name": "blobs", "keypoints": ["red", "green", "blue"]}
BLOB_SIGMA = 8.0  # image px; about 2 px in the heatmaps


@dataclasses.dataclass(frozen=True)
class Sampler:
  """Heatmaps that are the crop's own colours, at the pixels of a heatmap."""

  convention: convention.Convention

  def apply(self, variables, images, *, train):
    """Undoes the normalisation and samples [B, H, W, 3] bilinearly."""
    del variables, train
    mean = np.float32(convention.PIXEL_MEAN)[None, None, None]
    std = np.float32(convention.PIXEL_STD)[None, None, None]
    rows, columns = (self._weights(axis) for axis in (1, 0))
    pixels = images * std + mean
    return jnp.einsum("yh,bhwc,xw->byxc", rows, pixels, columns)

  def _weights(self, axis) -> jax.Array:
    """[heatmap pixels, crop pixels] of an axis, 0 for x."""
    heatmap = self.convention.heatmap_size[1 - axis]
    crop = self.convention.crop_size[1 - axis]
    matrix = geometry.invert(self.convention.heatmap_from_crop())
    centers = matrix[axis, axis] * np.arange(heatmap) + matrix[axis, 2]
    distance = np.abs(centers[:, None] - np.arange(crop))
    return jnp.asarray(np.maximum(0, 1 - distance), jnp.float32)


def write(root: pathlib.Path) -> pathlib.Path:
  """Five images of blobs, six people, in COCO's format."""
  rng = np.random.default_rng(5)
  images, people = [], []
  for i in range(1, 6):
    height, width = 130 + 10 * i, 260 - 10 * i
    pixels = np.zeros((height, width, 3))
    for _ in range(2 if i == 3 else 1):
      left = 110 * (len(people) == 3)
      points = rng.uniform((left + 25, 25), (left + 90, height - 25), (3, 2))
      pixels += paint(points, height, width)
      people.append(person(len(people) + 1, i, points))
    path = f"{i}.png"
    Image.fromarray(np.uint8(np.round(pixels.clip(0, 255)))).save(root / path)
    images.append(
      {"id": i, "file_name": path, "height": height, "width": width}
    )
  content = {
    "images": images,
    "annotations": people,
    "categories": [CATEGORY],
  }
  (root / "people.json").write_text(json.dumps(content))
  return root


def paint(points, height, width) -> np.ndarray:
  y, x = np.mgrid[:height, :width][..., None]
  square = (x - points[:, 0]) ** 2 + (y - points[:, 1]) ** 2
  return 250 * np.exp(-square / (2 * BLOB_SIGMA**2))


def person(annotation_id, image_id, points) -> dict:
  low, high = points.min(0) - 12, points.max(0) + 12
  flags = np.full((3, 1), 2)
  return {
    "id": annotation_id,
    "image_id": image_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [*low, *(high - low)],
    "area": float((high - low).prod()),
    "num_keypoints": 3,
    "keypoints": np.hstack([points, flags]).ravel().tolist(),
  }


def convention_of(skeleton, alignment, **changes) -> convention.Convention:
  """That of 24 x 16 heatmaps, on which a blob has a sigma of about 2 px."""
  fields = {
    "alignment": alignment,
    "crop_size": (96, 64),
    "sigma": 2.0,
    "blur_kernel": 11,
  }
  return convention.from_config(
    {**quickstart.get_config().convention, **fields, **changes},
    skeleton=skeleton,
  )


def error(people, method="dark") -> float:
  """Mean distance to the truth in px of the heatmaps, 24 x 16 in a box."""
  difference = people.keypoints[method] - people.truth
  pixel = np.sqrt(people.box_areas / (24 * 16))[:, None]
  return float((np.linalg.norm(difference, axis=-1) / pixel).mean())

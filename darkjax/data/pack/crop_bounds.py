"""Bounding boxes of all crops of a person that augmentation may draw.

Scale, shift and rotation are bounded, and a person has at most two half bodies.
"""

from collections.abc import Iterator

import numpy as np

from darkjax.data.pipeline import augment
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry
from darkjax.geometry import apply_affine, invert


def bounds(geometry: CropGeometry, augmentation: Augmentation) -> np.ndarray:
  """Returns the box around all crops of each person.

  [N, 4] float64 (left, top, right, bottom), image px, also outside the image.
  """
  center, scale = geometry.center, geometry.scale
  boxes = _around(center, scale, geometry, augmentation)
  for i, center, scale in _half_bodies(geometry, augmentation):
    half = _around(center, scale, geometry, augmentation)
    boxes[i, :2] = np.minimum(boxes[i, :2], half[:2])
    boxes[i, 2:] = np.maximum(boxes[i, 2:], half[2:])
  return boxes


def _around(center, scale, geometry, augmentation) -> np.ndarray:
  """[..., 4] around a crop enlarged, turned and shifted as far as it may be."""
  convention = geometry.convention
  widest = augment.at_least(scale * (1 + augmentation.scale_factor))
  image_from_crop = invert(convention.crop_from_image(center, widest))
  last = np.array(convention.crop_size[::-1], np.float64) - 1
  corners = apply_affine(image_from_crop, np.stack([0 * last, last]))
  extent = np.abs(corners - center[..., None, :]).max(-2)
  # Turned by a, it is along · cos a + across · sin a, which grows up to
  # a = atan2(across, along), where it is the half diagonal.
  across = extent[..., ::-1]
  rotates = augmentation.rotation_probability > 0
  largest = 2 * augmentation.rotation_factor * rotates
  angle = np.minimum(np.arctan2(across, extent), largest)
  extent = extent * np.cos(angle) + across * np.sin(angle)
  extent = extent + 2 * augmentation.shift_factor * widest
  return np.concatenate([center - extent, center + extent], -1)


def _half_bodies(
  geometry: CropGeometry, augmentation: Augmentation
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
  """Every half body that may be drawn: (position, center [2], scale [2])."""
  if augmentation.half_body_probability == 0:
    return
  labelled = geometry.people.keypoints[..., 2] > 0
  points = geometry.people.keypoints[..., :2].astype(np.float64)
  enough = labelled.sum(-1) > augmentation.half_body_min_keypoints
  for i in np.flatnonzero(enough):
    for prefer_upper in (True, False):
      half = augment.half_body(
        points[i],
        labelled[i],
        skeleton=geometry.convention.skeleton,
        prefer_upper=prefer_upper,
        aspect=geometry.scale[i, 0] / geometry.scale[i, 1],
      )
      if half is not None:
        yield int(i), *half

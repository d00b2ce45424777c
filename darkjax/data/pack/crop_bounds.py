"""What the crops of a person can show, over all that augmentation may draw.

Scale and rotation are bounded, and a person has at most two half bodies, so the
union of all crops of a person has a bounding box: this one. NumPy only.
"""

from collections.abc import Iterator

import numpy as np

from darkjax import geometry
from darkjax.data.pipeline import augment
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_plan import Planner


def bounds(planner: Planner, augmentation: Augmentation) -> np.ndarray:
  """The box around all crops of each person.

  Args:
    planner: of N people; gives the crops before they are varied.
    augmentation: how crops vary; `augment.NONE` for an evaluation.

  Returns:
    [N, 4] (left, top, right, bottom), image px, float64: the outermost points
    that a crop may ask for, also where there is no image.
  """
  center, scale = planner.center, planner.scale
  boxes = _around(center, scale, planner, augmentation)
  for i, center, scale in _half_bodies(planner, augmentation):
    half = _around(center, scale, planner, augmentation)
    boxes[i, :2] = np.minimum(boxes[i, :2], half[:2])
    boxes[i, 2:] = np.maximum(boxes[i, 2:], half[2:])
  return boxes


def _around(center, scale, planner, augmentation) -> np.ndarray:
  """[..., 4] around a crop that is enlarged and turned as far as it may be."""
  convention = planner.convention
  widest = augment.at_least(scale * (1 + augmentation.scale_factor))
  image_from_crop = geometry.invert(convention.crop_from_image(center, widest))
  last = np.array(convention.crop_size[::-1], np.float64) - 1
  corners = geometry.apply_affine(image_from_crop, np.stack([0 * last, last]))
  extent = np.abs(corners - center[..., None, :]).max(-2)
  extent = _turned(extent, extent[..., ::-1], augmentation)
  return np.concatenate([center - extent, center + extent], -1)


def _turned(along, across, augmentation: Augmentation) -> np.ndarray:
  """Largest half extent along an axis of a turned box with these two.

  At an angle a it is along · cos a + across · sin a, which grows up to
  a = atan2(across, along), where it is the half diagonal.
  """
  largest = 2 * augmentation.rotation_factor
  if augmentation.rotation_probability == 0:
    largest = 0.0
  angle = np.minimum(np.arctan2(across, along), largest)
  return along * np.cos(angle) + across * np.sin(angle)


def _half_bodies(
  planner: Planner, augmentation: Augmentation
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
  """Every half body that may be drawn: (position, center [2], scale [2])."""
  if augmentation.half_body_probability == 0:
    return
  labelled = planner.people.keypoints[..., 2] > 0
  points = planner.people.keypoints[..., :2].astype(np.float64)
  enough = labelled.sum(-1) > augmentation.half_body_min_keypoints
  for i in np.flatnonzero(enough):
    for prefer_upper in (True, False):
      half = augment.half_body(
        points[i],
        labelled[i],
        skeleton=planner.convention.skeleton,
        prefer_upper=prefer_upper,
        aspect=planner.scale[i, 0] / planner.scale[i, 1],
      )
      if half is not None:
        yield i, *half

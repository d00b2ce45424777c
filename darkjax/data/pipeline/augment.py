"""Training augmentation: half body, scale, rotation, flip, in this order.

Random by (seed, epoch, data set, annotation id) alone. Numbers and order are
those of the official code (deep-high-resolution-net.pytorch and DarkPose,
lib/dataset/JointsDataset.py). Deviations: the box never shrinks below 2 px, and
half body is skipped for a part without extent. What the official code does not
have, shifts of the box and changes of the pixels (see appearance.py), is off by
default and draws after the rest, so that the rest stays as it is.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from darkjax.skeletons import Skeleton

# The official code tests randn() < 0.5 where rand() was meant: P(N(0,1) < 0.5).
OFFICIAL_UPPER_PROBABILITY = 0.6914625

_HALF_MORE_THAN = 2  # keypoints that a half must have to be chosen
_HALF_PADDING = 1.5  # factor on the extent of the half's keypoints
_SMALLEST_SCALE = 2.0  # px


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Settings of augmentation; the defaults are COCO's for HRNet."""

  # Standard deviation of the factor on the box, and largest distance from 1.
  scale_factor: float = 0.35
  # Standard deviation of the rotation, radians; cut at twice this value.
  rotation_factor: float = np.pi / 4
  rotation_probability: float = 0.6  # of rotating at all
  flip_probability: float = 0.5  # of mirroring
  # Of cropping one half of a person with more labelled keypoints than these.
  half_body_probability: float = 0.3
  half_body_min_keypoints: int = 8
  # Of the upper half where it has 3 labels.
  half_body_upper_probability: float = OFFICIAL_UPPER_PROBABILITY
  # Standard deviation of the centre's shift, sides of the box; cut at twice.
  shift_factor: float = 0.0
  # See `appearance.parameters`.
  color_factor: float = 0.0
  occlusion_probability: float = 0.0
  blur_probability: float = 0.0
  jpeg_probability: float = 0.0

  def __post_init__(self):
    # A scale factor of 1 would leave no box.
    limits = {"scale_factor": 0.95, "half_body_min_keypoints": np.inf}
    for name, value in vars(self).items():
      last = np.inf if name == "rotation_factor" else limits.get(name, 1.0)
      if not 0 <= value <= last:
        raise ValueError(
          f"augmentation {name} must lie in 0..{last}, got {value}"
        )

  @property
  def changes_pixels(self) -> bool:
    """Whether more than the crop's place varies."""
    return any(
      (
        self.color_factor,
        self.occlusion_probability,
        self.blur_probability,
        self.jpeg_probability,
      )
    )


# Every crop is the crop of the box.
NONE = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0)


def from_config(config: Mapping[str, Any]) -> Augmentation:
  """Returns the settings of a configuration, which has `rotation_degrees`.

  >>> from_config({"scale_factor": 0.3, "rotation_degrees": 40.0}).scale_factor
  0.3
  """
  fields = dict(config)
  fields["rotation_factor"] = np.deg2rad(fields.pop("rotation_degrees"))
  return Augmentation(**fields)


class Draws(NamedTuple):
  """Random numbers of B examples, arrays [B] float64 but for the last two."""

  # Uniform in [0, 1).
  half_body: np.ndarray
  upper: np.ndarray
  rotate: np.ndarray
  flip: np.ndarray
  # Standard normal.
  scale: np.ndarray
  rotation: np.ndarray
  shift: np.ndarray  # [B, 2] (x, y)
  # Uniform in [0, 1), [B, 18], for `appearance.parameters`.
  appearance: np.ndarray


def draw(
  *, seed: int, epoch: int, datasets: np.ndarray, annotation_ids: np.ndarray
) -> Draws:
  """Draws the random numbers of examples, each from its own Philox stream.

  `datasets` [B] are the positions of the examples' data sets, which may share
  annotation ids; seed and epoch are at least 0.
  """
  uniform = np.empty((len(datasets), 4))
  normal = np.empty((len(datasets), 4))
  appearance = np.empty((len(datasets), 18))
  # int64 ids as uint64 words: a negative id wraps, and stays distinct.
  identities = np.zeros((len(datasets), 4), np.int64)
  identities[:, 2:] = np.stack([datasets, annotation_ids], -1)
  key = np.array([seed, epoch], np.uint64)
  for i, identity in enumerate(identities.view(np.uint64)):
    bits = np.random.Philox(key=key, counter=identity)
    generator = np.random.Generator(bits)
    generator.random(out=uniform[i])
    generator.standard_normal(out=normal[i])
    generator.random(out=appearance[i])
  columns = (*uniform.T, *normal[:, :2].T, normal[:, 2:], appearance)
  return Draws(*columns)


def augment(
  augmentation: Augmentation,
  draws: Draws,
  *,
  center: np.ndarray,
  scale: np.ndarray,
  keypoints_image: np.ndarray,
  visibility: np.ndarray,
  skeleton: Skeleton,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """Augments the boxes of B people.

  Args:
    augmentation: the settings.
    draws: random numbers of the B examples.
    center: [B, 2] (x, y), image px.
    scale: [B, 2] (width, height), image px; their ratio is the crop's.
    keypoints_image: [B, K, 2] (x, y), image px.
    visibility: [B, K], more than 0 where labelled.
    skeleton: says which keypoints are the upper and the lower body.

  Returns:
    center [B, 2], scale [B, 2] (px of the image that is not mirrored), rotation
    [B] radians, flip [B] bool. A flipped example is the crop of the mirrored
    image (see `mirror`), with left and right keypoints swapped.
  """
  center, scale = center.copy(), scale.copy()
  enough = (visibility > 0).sum(-1) > augmentation.half_body_min_keypoints
  halved = enough & (draws.half_body < augmentation.half_body_probability)
  for i in np.flatnonzero(halved):
    half = half_body(
      keypoints_image[i],
      visibility[i] > 0,
      skeleton=skeleton,
      prefer_upper=draws.upper[i] < augmentation.half_body_upper_probability,
      aspect=scale[i, 0] / scale[i, 1],
    )
    if half is not None:
      center[i], scale[i] = half
  spread = augmentation.scale_factor
  factor = np.clip(1 + spread * draws.scale, 1 - spread, 1 + spread)
  scale = at_least(scale * factor[:, None])
  spread = augmentation.shift_factor
  center += scale * np.clip(spread * draws.shift, -2 * spread, 2 * spread)
  spread = augmentation.rotation_factor
  angle = np.clip(spread * draws.rotation, -2 * spread, 2 * spread)
  rotated = draws.rotate < augmentation.rotation_probability
  rotation = np.where(rotated, angle, 0.0)
  return center, scale, rotation, draws.flip < augmentation.flip_probability


def half_body(
  keypoints_image: np.ndarray,
  labelled: np.ndarray,
  *,
  skeleton: Skeleton,
  prefer_upper: bool,
  aspect: float,
) -> tuple[np.ndarray, np.ndarray] | None:
  """Returns centre and scale of a box around the upper or the lower body.

  It is the upper half if preferred and with 3 labels; else the lower if it has
  3; else the upper. The centre is the mean of its keypoints, the box 1.5 times
  their extent, widened to the aspect.

  Keypoints are [K, 2] (x, y), `labelled` is [K] bool, `aspect` the crop's
  width / height. Keypoints outside the skeleton's upper body are lower body.

  Returns:
    center [2] and scale [2], image px, or None where the half has fewer than 2
    keypoints or no extent, or the skeleton has no two halves.
  """
  is_upper = np.isin(np.arange(len(labelled)), skeleton.upper_body)
  if is_upper.all() or not is_upper.any():
    return None
  upper = keypoints_image[labelled & is_upper]
  lower = keypoints_image[labelled & ~is_upper]
  halves = (upper, lower) if prefer_upper else (lower, upper)
  half = next((h for h in halves if len(h) > _HALF_MORE_THAN), upper)
  if len(half) < 2 or not np.ptp(half, axis=0).any():
    return None
  width, height = np.ptp(half, axis=0)
  width = max(width, height * aspect)
  scale = np.array([width, width / aspect]) * _HALF_PADDING
  return half.mean(0), at_least(scale)


def at_least(scale: np.ndarray) -> np.ndarray:
  """Enlarges boxes [..., 2] in proportion until both sides are 2 px."""
  short = scale.min(-1, keepdims=True)
  return scale * np.maximum(1.0, _SMALLEST_SCALE / short)


def mirror(width: np.ndarray) -> np.ndarray:
  """Returns the affine [..., 2, 3] that mirrors images of `width` [...] px."""
  width = np.asarray(width, np.float64)
  zero, one = np.zeros_like(width), np.ones_like(width)
  rows = [[-one, zero, width - 1], [zero, one, zero]]
  return np.stack([np.stack(row, -1) for row in rows], -2)

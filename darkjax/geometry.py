"""The coordinate convention: boxes, crops, heatmaps and the maps between them.

Points are (x, y); an integer coordinate is the centre of a pixel, so an image
of width W covers x in [-0.5, W - 0.5]. Sizes are (height, width). An affine
map is a [2, 3] matrix named `target_from_source`; `crop_from_image` takes image
pixels to crop pixels. Everything here is NumPy in float64, except
`apply_affine`, `apply_linear`, which work on any array type.

For a box of scale (w, h), a crop (W, H) and a heatmap (W', H'), all in pixels,
the alignments are:

  hrnet  factor W/w, box centre to (W/2, H/2), heatmap = crop · W'/W. Pixel 0 of
         the heatmap is pixel 0 of the crop, so the two frames are shifted
         against each other by up to 3/8 heatmap pixel, and a mirrored crop
         gives heatmaps that are off by 3/4: hence the flip shift of 1.
         (deep-high-resolution-net.pytorch, lib/utils/transforms.py)
  dark   factor (W-1)/(w-1), box centre to ((W-1)/2, (H-1)/2); the heatmap by
         an affine of its own with (W'-1)/(w-1), hence 47/191 and not 1/4 at
         256x192. Both axes use the factor of the width.
         (DarkPose, lib/utils/transforms.py)
  udp    like dark, but x is scaled by the widths and y by the heights, so that
         all four corners correspond. (UDP-Pose, lib/utils/transforms.py)
"""

from typing import Any, NamedTuple

import numpy as np


class Alignment(NamedTuple):
  """Which points of box, crop and heatmap correspond."""

  inset: int  # n pixels measure n from edge to edge (0), n - 1 by centres (1)
  per_axis: (
    bool  # x is scaled by the widths, y by the heights; else both by x's
  )


ALIGNMENTS = {
  "hrnet": Alignment(inset=0, per_axis=False),
  "dark": Alignment(inset=1, per_axis=False),
  "udp": Alignment(inset=1, per_axis=True),
}

# A crop needs more than one pixel: an inset of 1 divides by (w - 1).
_SMALLEST_SCALE = 2.0


def get_alignment(name: str) -> Alignment:
  """Returns an alignment by its name; ValueError lists the names."""
  if name not in ALIGNMENTS:
    raise ValueError(
      f"alignment is one of {', '.join(ALIGNMENTS)}, got {name!r}"
    )
  return ALIGNMENTS[name]


def box_to_center_scale(
  bbox: np.ndarray,
  *,
  crop_size: tuple[int, int],
  alignment: str,
  padding: float = 1.25,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns centre and scale of the crop around a box.

  The box is widened to the aspect of the crop, then padded. Its centre is
  x + w/2 for hrnet and x + (w-1)/2 for dark and udp (recipes of HRNet, DARK).

  Args:
    bbox: [..., 4] (x, y, w, h), image px.
    crop_size: (height, width), px; only its aspect matters.
    alignment: a name in `ALIGNMENTS`.
    padding: factor on the widened box.

  Returns:
    center [..., 2] (x, y) and scale [..., 2] (width, height), at least 2, in
    image px.

  Raises:
    ValueError: a box with NaN, infinity or an area of zero.
  """
  inset = get_alignment(alignment).inset
  bbox = np.asarray(bbox, np.float64)
  x, y, w, h = np.moveaxis(bbox, -1, 0)
  if not (np.isfinite(bbox).all() and (w > 0).all() and (h > 0).all()):
    raise ValueError(
      "a box is (x, y, w, h) with finite numbers and positive size, "
      f"got {bbox.tolist()}"
    )
  center = np.stack([x + (w - inset) / 2, y + (h - inset) / 2], -1)
  aspect = crop_size[1] / crop_size[0]
  width = np.maximum(w, h * aspect) * padding
  width = np.maximum(width, _SMALLEST_SCALE * max(1.0, aspect))
  return center, np.stack([width, width / aspect], -1)


def crop_from_image(
  center: np.ndarray,
  scale: np.ndarray,
  rotation: float | np.ndarray = 0.0,
  *,
  crop_size: tuple[int, int],
  alignment: str,
) -> np.ndarray:
  """Returns the affine [..., 2, 3] from image pixels to crop pixels.

  Args:
    center: [..., 2] (x, y), image px.
    scale: [..., 2] (width, height) of the box, image px, above 1 or ValueError.
    rotation: [...] radians; the box turns from x towards y (clockwise on the
      screen), so the picture in the crop turns the other way.
    crop_size: (height, width), px.
    alignment: a name in `ALIGNMENTS`.
  """
  center, scale = np.asarray(center, np.float64), np.asarray(scale, np.float64)
  if not (scale > 1).all():
    raise ValueError(
      f"scale is the box's (width, height) in pixels, more than 1 each, "
      f"got {scale.tolist()}"
    )
  cos, sin = np.cos(rotation), np.sin(rotation)
  back = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
  rule = get_alignment(alignment)
  factor = _factors(scale, np.array(crop_size[::-1], float), rule)
  linear = factor[..., :, None] * back
  offset = _middle(crop_size, rule) - (linear @ center[..., None])[..., 0]
  return np.concatenate([linear, offset[..., None]], -1)


def heatmap_from_crop(
  *, crop_size: tuple[int, int], heatmap_size: tuple[int, int], alignment: str
) -> np.ndarray:
  """Returns the affine [2, 3] from crop to heatmap pixels, for every box."""
  rule = get_alignment(alignment)
  crop_wh = np.array(crop_size[::-1], float)
  factor = _factors(crop_wh, np.array(heatmap_size[::-1], float), rule)
  offset = _middle(heatmap_size, rule) - factor * _middle(crop_size, rule)
  return np.concatenate([np.diag(factor), offset[:, None]], -1)


def _factors(source_wh, target_wh, rule: Alignment) -> np.ndarray:
  """[..., 2] factors of x and y from a box of source to one of target size."""
  factor = (target_wh - rule.inset) / (source_wh - rule.inset)
  return factor if rule.per_axis else np.repeat(factor[..., :1], 2, -1)


def _middle(size: tuple[int, int], rule: Alignment) -> np.ndarray:
  """(x, y) of the middle of an array of that size."""
  return (np.array(size[::-1], float) - rule.inset) / 2


def compose(
  target_from_middle: np.ndarray, middle_from_source: np.ndarray
) -> np.ndarray:
  """Returns target_from_source [..., 2, 3]: the right map, then the left."""
  product = target_from_middle[..., :2] @ middle_from_source
  product[..., 2] += target_from_middle[..., 2]
  return product


def invert(target_from_source: np.ndarray) -> np.ndarray:
  """Returns source_from_target [..., 2, 3]; LinAlgError for a singular map."""
  linear = np.linalg.inv(target_from_source[..., :2])
  offset = -linear @ target_from_source[..., 2:]
  return np.concatenate([linear, offset], -1)


def apply_affine(target_from_source: Any, points: Any) -> Any:
  """Maps points [..., K, 2] (x, y) by [..., 2, 3]; NumPy or JAX arrays."""
  linear = target_from_source[..., None, :, :2]
  offset = target_from_source[..., None, :, 2]
  return (linear * points[..., None, :]).sum(-1) + offset


def apply_linear(target_from_source: Any, covariances: Any) -> Any:
  """Maps covariances Σ [..., K, 2, 2], px², to A Σ Aᵀ, A the linear part."""
  linear = target_from_source[..., None, :, :2]
  # Sums, not products of matrices: those of GPUs round float32 to 11 bits.
  half = (linear[..., None] * covariances[..., None, :, :]).sum(-2)
  return (half[..., None, :] * linear[..., None, :, :]).sum(-1)

"""Ensembles and multi-scale test: heatmaps averaged over the image (§4.4).

Pixels (x, y) of two networks' heatmaps show the same point of the image only if
input size, alignment and box agree. So every member's heatmaps are resampled to
the pixels of one of them, the reference, and their mean is decoded there.

The reference is the member with the most heatmap pixels: a coarse map drawn
finer keeps its peak, a fine map drawn coarser loses it. Resampling is by
Lanczos' kernel of 3 px, because DARK reads derivatives and a bilinear map has
its maxima at the member's pixels. Clean Gaussians drawn at 32 x 24 with σ 1,
resampled, then decoded by DARK: mean error in px

  to                    blur kernel   bilinear   cubic    Lanczos
  64 x 48               11            0.0068     0.0038   0.0003
  64 x 48               1 (none)      0.1763     0.1141   0.0248
  32 x 24, 3/8 px off   3             0.0107     0.0199   0.0025

In the last case the mean with the reference's map is 0.002 px off; averaging by
index would be 0.32 px off.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from darkjax.convention import Convention
from darkjax.inference.predictor import Predictor

# Rounding of float32 matrices; a rotated crop is off by much more.
_AXIS_TOLERANCE = 1e-3


def at_scales(predictor: Predictor, scales: Sequence[float]) -> list[Predictor]:
  """Returns a network for boxes of several sizes, the scale nearest 1 first.

  Args:
    predictor: a network.
    scales: factors on its padding; at 1.1 the person is smaller in the crop.

  Raises:
    ValueError: a scale that is not positive.
  """
  if not (len(scales) and np.isfinite(scales).all() and min(scales) > 0):
    raise ValueError(
      f"scales are positive factors on the box such as 0.9, got {scales}"
    )
  used = predictor.convention
  conventions = [
    dataclasses.replace(used, padding=used.padding * float(scale))
    for scale in sorted(scales, key=lambda scale: abs(np.log(scale)))
  ]
  return [dataclasses.replace(predictor, convention=c) for c in conventions]


def reference_index(conventions: Sequence[Convention]) -> int:
  """Returns the (first) member with the most heatmap pixels.

  Raises:
    ValueError: members of different keypoints or heads.
  """
  first = conventions[0]
  for other in conventions[1:]:
    names = [c.skeleton.keypoint_names for c in (first, other)]
    if names[0] != names[1]:
      raise ValueError(
        "the members of an ensemble have the same keypoints in the same "
        f"order, got {list(names[0])} and {list(names[1])}; leave one out"
      )
    if first.head != other.head:
      raise ValueError(
        "heatmaps and probabilities cannot be averaged, got members with "
        f"the heads {first.head!r} and {other.head!r}; leave one out"
      )
  pixels = [np.prod(convention.heatmap_size) for convention in conventions]
  return int(np.argmax(pixels))


@functools.partial(jax.jit, static_argnames=("reference", "keep_sum"))
def average_heatmaps(
  heatmaps: Sequence[jax.Array],
  image_from_heatmap: Sequence[jax.Array],
  *,
  reference: int,
  keep_sum: bool = False,
) -> jax.Array:
  """Averages heatmaps of the same people over the image, not by index.

  A pixel's mean is over the members whose map covers it, which ends half a
  pixel beyond the outermost centres.

  Args:
    heatmaps: of each member [B, H, W, K]; row i is the same person in all.
    image_from_heatmap: of each member [B, 2, 3], px.
    reference: index of the member whose pixels the result has.
    keep_sum: maps are probabilities, whose sum resampling has to keep.

  Returns:
    [B, H, W, K] float32 with the reference's H and W; NaN for a person whose
    crops differ in rotation, since each axis is resampled alone.

  Raises:
    ValueError: shapes that do not fit together, or no members.
  """
  if len(heatmaps) != len(image_from_heatmap) or not heatmaps:
    raise ValueError(
      "each member has heatmaps and matrices, got "
      f"{len(heatmaps)} and {len(image_from_heatmap)} of them"
    )
  people, *size, keypoints = heatmaps[reference].shape
  for maps, matrix in zip(heatmaps, image_from_heatmap, strict=True):
    shapes = maps.shape[0], maps.shape[-1], matrix.shape
    if shapes != (people, keypoints, (people, 2, 3)):
      raise ValueError(
        "members show the same people and keypoints: expected heatmaps "
        f"[{people}, H, W, {keypoints}] and matrices [{people}, 2, 3], got "
        f"{maps.shape} and {matrix.shape}"
      )
  total = heatmaps[reference].astype(jnp.float32)
  count = jnp.ones((people, *size, 1), jnp.float32)
  for i, (maps, matrix) in enumerate(
    zip(heatmaps, image_from_heatmap, strict=True)
  ):
    if i == reference:
      continue
    member_from_reference = _relative(matrix, image_from_heatmap[reference])
    maps, covered = jax.vmap(_resample, in_axes=(0, 0, None))(
      maps.astype(jnp.float32), member_from_reference, tuple(size)
    )
    if keep_sum:
      # px² of the member's map in a pixel of the reference's.
      area = jnp.abs(jnp.linalg.det(member_from_reference[..., :2]))
      maps *= area[:, None, None, None]
    total, count = total + maps, count + covered
  return total / count


def _relative(image_from_member, image_from_reference) -> jax.Array:
  """Returns member_from_reference [B, 2, 3], px.

  Offsets are subtracted before they are scaled, and products of two by two are
  written out: a TPU's own would be bfloat16.
  """
  (a, b, x), (c, d, y) = jnp.moveaxis(image_from_member, 0, -1)
  member_from_image = jnp.stack([d, -b, -c, a], -1) / (a * d - b * c)[:, None]
  member_from_image = member_from_image.reshape(-1, 2, 2)
  offset = jnp.stack([x, y], -1)[..., None]
  columns = image_from_reference - jnp.concatenate(
    [jnp.zeros_like(image_from_member[..., :2]), offset], -1
  )
  return (member_from_image[..., None] * columns[:, None]).sum(-2)


def _resample(
  heatmap, member_from_reference, size
) -> tuple[jax.Array, jax.Array]:
  """Returns maps [H', W', K], 0 outside of the member's, and 1 inside of it."""
  # Of y and x, as the axes come.
  factor = jnp.diagonal(member_from_reference[:, :2])[::-1]
  offset = member_from_reference[::-1, 2]
  resampled = jax.image.scale_and_translate(
    heatmap,
    (*size, heatmap.shape[-1]),
    (0, 1),
    1.0 / factor,
    # jax.image counts from the corner of the first pixel, not its centre.
    0.5 - (0.5 + offset) / factor,
    method="lanczos3",
  )
  rotated = jnp.abs(member_from_reference[0, 1]) > _AXIS_TOLERANCE
  rotated |= jnp.abs(member_from_reference[1, 0]) > _AXIS_TOLERANCE
  rows, columns = (
    _is_inside(np.float32(np.arange(size[i])), factor[i], offset[i], length)
    for i, length in enumerate(heatmap.shape[:2])
  )
  covered = (rows[:, None] & columns[None, :])[..., None]
  resampled = jnp.where(covered, resampled, 0.0)
  return jnp.where(rotated, jnp.nan, resampled), covered.astype(jnp.float32)


def _is_inside(pixels, factor, offset, length) -> jax.Array:
  position = pixels * factor + offset
  return (position >= -0.5) & (position <= length - 0.5)

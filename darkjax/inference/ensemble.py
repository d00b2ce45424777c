"""Ensembles and multi-scale test: heatmaps averaged over the image (§4.4).

Pixel (x, y) of one network's heatmap and pixel (x, y) of another's show the
same place of the image only if input size, alignment and box agree. So every
member's heatmaps are first resampled into the frame of one of them, the
reference, by member_from_reference, which the carried matrices give; the mean
is decoded there like the heatmaps of one network. All of it is jitted.

The reference is the member with the most heatmap pixels: a coarse map drawn
finer keeps its peak, a fine map drawn coarser loses it. Resampling is by
Lanczos' kernel of 3 px, not bilinear, because DARK reads derivatives and a
bilinear map has its maxima at the pixels of the member. Clean Gaussians drawn
at 32 x 24 with σ 1, resampled, then decoded by DARK: mean error in px

  to                    blur kernel   bilinear   cubic    Lanczos
  64 x 48               11            0.0068     0.0038   0.0003
  64 x 48               1 (none)      0.1763     0.1141   0.0248
  32 x 24, 3/8 px off   3             0.0107     0.0199   0.0025

In the last case the mean with the map at hand is 0.002 px off, by index 0.32.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from darkjax import inference
from darkjax.convention import Convention
from darkjax.models import batch_norm_folding

# Rounding of float32 matrices; a turned crop is off by much more.
_AXIS_TOLERANCE = 1e-3


class Member(NamedTuple):
  """One network of an ensemble.

  Attributes:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats".
    convention: the one it was trained with, or at another padding.
  """

  model: Any
  variables: Any
  convention: Convention

  def folded(self) -> Any:
    """Its variables with batch norms folded."""
    size = self.convention.crop_size
    return batch_norm_folding.fold(self.model, self.variables, crop_size=size)


def at_scales(member: Member, scales: Sequence[float]) -> list[Member]:
  """The same network on boxes of several sizes, the one nearest 1 first.

  Args:
    member: a network.
    scales: factors on its padding; at 1.1 the crop shows more of the
      surroundings and the person smaller.

  Returns:
    A member for each scale, with the same variables.

  Raises:
    ValueError: a scale that is not positive.
  """
  if not (len(scales) and np.isfinite(scales).all() and min(scales) > 0):
    raise ValueError(
      f"scales are positive factors on the box such as 0.9, got {scales}"
    )
  padding = member.convention.padding
  return [
    member._replace(
      convention=dataclasses.replace(
        member.convention, padding=padding * float(scale)
      )
    )
    for scale in sorted(scales, key=lambda scale: abs(np.log(scale)))
  ]


def reference_member(conventions: Sequence[Convention]) -> int:
  """Index of the member in whose frame heatmaps are averaged.

  Args:
    conventions: of all members.

  Returns:
    The member with the most heatmap pixels; of several, the first.

  Raises:
    ValueError: members that find different keypoints, or whose heads differ.
  """
  first = conventions[0]
  for other in conventions[1:]:
    names = [c.skeleton.keypoint_names for c in (first, other)]
    if names[0] != names[1]:
      raise ValueError(
        "the members of an ensemble find the same keypoints in the same "
        f"order, got {list(names[0])} and {list(names[1])}; leave one out"
      )
    if first.head != other.head:
      raise ValueError(
        "heatmaps and probabilities have no common mean, got members with "
        f"the heads {first.head!r} and {other.head!r}; leave one out"
      )
  pixels = [np.prod(convention.heatmap_size) for convention in conventions]
  return int(np.argmax(pixels))


def predict_heatmaps(
  models: Sequence[Any],
  variables: Sequence[Any],
  images: Sequence[jax.Array],
  image_from_heatmap: Sequence[jax.Array],
  *,
  conventions: Sequence[Convention],
  flip_test: bool,
) -> jax.Array:
  """Heatmaps of an ensemble, see `inference.predict_heatmaps` for one network.

  Args:
    models: Linen modules, one per member.
    variables: of each.
    images: [B, H, W, 3] uint8 RGB crops of each member's own size; row i shows
      the same person in all.
    image_from_heatmap: [B, 2, 3] of each, px.
    conventions: of each.
    flip_test: average with the mirrored crops' heatmaps.

  Returns:
    [B, H', W', K] float32 in the frame of the `reference_member`.
  """
  reference = reference_member(conventions)
  heatmaps = [
    inference.predict_heatmaps(
      model, weights, crops, convention=convention, flip_test=flip_test
    )
    for model, weights, crops, convention in zip(
      models, variables, images, conventions, strict=True
    )
  ]
  return average_heatmaps(
    heatmaps,
    image_from_heatmap,
    reference=reference,
    keep_sum=conventions[reference].head == "softmax",
  )


def average_heatmaps(
  heatmaps: Sequence[jax.Array],
  image_from_heatmap: Sequence[jax.Array],
  *,
  reference: int,
  keep_sum: bool = False,
) -> jax.Array:
  """Averages heatmaps of the same people over the image, not by index.

  A pixel's mean is over the members whose map reaches there, half a pixel
  beyond its outermost centres. The reference's own map is not resampled.

  Args:
    heatmaps: of each member [B, H, W, K]; row i is the same person in all.
    image_from_heatmap: of each member [B, 2, 3], px. Crops of one person may
      be of different size and place, but turned alike.
    reference: index of the member whose frame the result has.
    keep_sum: maps are probabilities: a member's keep their sum where all of
      the map is inside the reference's.

  Returns:
    [B, H, W, K] float32 with the reference's H and W; NaN for a person whose
    crops are turned against each other, since each axis is resampled alone.

  Raises:
    ValueError: no members, not as many matrices as maps, or other numbers of
      people or keypoints in one than in another.
  """
  _check(heatmaps, image_from_heatmap, reference)
  return _average(
    tuple(heatmaps), tuple(image_from_heatmap), reference, keep_sum
  )


@functools.partial(jax.jit, static_argnums=(2, 3))
def _average(heatmaps, image_from_heatmap, reference, keep_sum):
  total = heatmaps[reference].astype(jnp.float32)
  size = total.shape[1:3]
  count = jnp.ones((len(total), *size, 1), jnp.float32)
  for i, (maps, matrix) in enumerate(
    zip(heatmaps, image_from_heatmap, strict=True)
  ):
    if i == reference:
      continue
    member_from_reference = _relative(matrix, image_from_heatmap[reference])
    maps, reached = jax.vmap(_resample, in_axes=(0, 0, None))(
      maps.astype(jnp.float32), member_from_reference, size
    )
    if keep_sum:
      maps *= _area(member_from_reference)
    total, count = total + maps, count + reached
  return total / count


def _relative(image_from_member, image_from_reference) -> jax.Array:
  """member_from_reference [B, 2, 3], px; offsets subtracted before scaling.

  Products of two by two in float32 by hand: a TPU's own would be bfloat16.
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
  """One person's maps [H, W, K] at the reference's pixels, and where they are.

  Returns:
    [H', W', K], 0 where the member's map does not reach, and [H', W', 1], 1
    where it does.
  """
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
  turned = jnp.abs(member_from_reference[0, 1]) > _AXIS_TOLERANCE
  turned |= jnp.abs(member_from_reference[1, 0]) > _AXIS_TOLERANCE
  rows, columns = (
    _is_inside(np.float32(np.arange(size[i])), factor[i], offset[i], length)
    for i, length in enumerate(heatmap.shape[:2])
  )
  reached = (rows[:, None] & columns[None, :])[..., None]
  resampled = jnp.where(reached, resampled, 0.0)
  return jnp.where(turned, jnp.nan, resampled), reached.astype(jnp.float32)


def _is_inside(pixels, factor, offset, length) -> jax.Array:
  position = pixels * factor + offset
  return (position >= -0.5) & (position <= length - 0.5)


def _area(member_from_reference) -> jax.Array:
  """[B, 1, 1, 1] px² of the member's map in one of the reference's."""
  linear = member_from_reference[..., :2]
  return jnp.abs(jnp.linalg.det(linear))[:, None, None, None]


def _check(heatmaps, image_from_heatmap, reference) -> None:
  if len(heatmaps) != len(image_from_heatmap) or not heatmaps:
    raise ValueError(
      "each member has heatmaps and matrices, got "
      f"{len(heatmaps)} and {len(image_from_heatmap)} of them"
    )
  expected = (heatmaps[reference].shape[0], heatmaps[reference].shape[-1])
  for maps, matrix in zip(heatmaps, image_from_heatmap, strict=True):
    found = (maps.shape[0], maps.shape[-1])
    if found != expected or matrix.shape != (expected[0], 2, 3):
      raise ValueError(
        "members show the same people and keypoints: expected heatmaps "
        f"[{expected[0]}, H, W, {expected[1]}] and matrices "
        f"[{expected[0]}, 2, 3], got {maps.shape} and {matrix.shape}"
      )

"""Integral regression: a keypoint is the mean of a distribution over pixels.

A softmax turns the network's map into probabilities; their mean is the keypoint
(soft-argmax). IPR and DSNT are both read like this and differ in their loss,
see darkjax/losses.py. Coordinates are heatmap pixels (x, y), float32; an
integer coordinate is the centre of a pixel.

The maximum of such a map is no score: a Gaussian of sigma 1 px and sum 1 peaks
at 0.16, below the 0.2 that COCO's rescoring asks of a keypoint. The score here
is the expected similarity, the mean of exp(-d^2 / (2 radius^2)) over the map, d
the distance from the keypoint: OKS with a constant of `radius` pixels. It is
radius^2 / (radius^2 + s^2) for a Gaussian of s px, and near 0 for a flat map.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp

from darkjax.heatmaps.arguments import as_positive, check_heatmaps
from darkjax.heatmaps.decode import Decoded

# Radius of the score per sigma of the training target. Typical OKS constants
# (0.14, a person that fills the crop) are 2, 4 and 6 px on the maps of 32 x 24,
# 64 x 48 and 96 x 72 that go with sigmas of 1, 2 and 3 px.
RADIUS_SIGMAS = 2.0


def softmax_heatmaps(logits: jax.Array) -> jax.Array:
  """Returns probabilities over the pixels of each map, [..., H, W, K] float32.

  Every map has sum 1; one with NaN is all NaN. ValueError for a rank below 3 or
  an empty map.

  Reference: arXiv:1711.08229, section 2.1 (normalised heatmaps).
  """
  logits = jnp.asarray(logits)
  check_heatmaps(logits.shape)
  return jax.nn.softmax(logits.astype(jnp.float32), axis=(-3, -2))


def soft_argmax(logits: jax.Array, *, radius: float = 2.0) -> Decoded:
  """Reads one keypoint from each map of logits [..., H, W, K].

  This is `integrate_heatmaps` of `softmax_heatmaps`.

  Example:
    >>> logits = jnp.log(jnp.array([[3.0, 1.0]]))[..., None]  # H=1, W=2, K=1
    >>> soft_argmax(logits).keypoints  # 3/4 of the mass at x=0, 1/4 at x=1
    Array([[0.25, 0.  ]], dtype=float32)

  Reference: arXiv:1711.08229, Eq. 2; arXiv:1801.07372, section 3.1.
  """
  return integrate_heatmaps(softmax_heatmaps(logits), radius=radius)


def integrate_heatmaps(
  probabilities: jax.Array, *, radius: float = 2.0
) -> Decoded:
  """Returns mean, covariance and score of the distribution in each map.

  For finite input every result is finite and the keypoint inside the map. Maps
  need not sum to 1, negative values count as 0, and a map without mass counts
  as uniform. A map that holds NaN gives score and covariance NaN and the middle
  of the map. Differentiable everywhere.

  Args:
    probabilities: [..., H, W, K], any floating type; computed in float32.
    radius: distance, heatmap px, that counts exp(-1/2) in the score.

  Returns:
    The mean as keypoint, the central second moments as covariance, and as
    score, in [0, 1], the expected similarity (see the module).

  Raises:
    ValueError: a rank below 3, an empty map or a radius that is not positive.
  """
  keypoints, covariances = _per_map(_moments, _checked(probabilities, radius))
  scores = expected_similarity(probabilities, keypoints, radius=radius)
  return Decoded(keypoints, scores, covariances)


def expected_similarity(
  probabilities: jax.Array, keypoints: jax.Array, *, radius: float
) -> jax.Array:
  """Returns scores [..., K] of any decoder's keypoints in such maps.

  The score of `integrate_heatmaps` at keypoints [..., K, 2] (x, y), heatmap px.
  ValueError as there, and for keypoints of another shape.
  """
  maps = _checked(probabilities, radius)
  expected = (*maps.shape[:-3], maps.shape[-1], 2)
  if keypoints.shape != expected:
    raise ValueError(
      f"one keypoint (x, y) per map: expected shape {expected}, got"
      f" {keypoints.shape}"
    )
  return _similarity(maps, keypoints.astype(jnp.float32), float(radius))


@partial(jax.jit, static_argnums=2)
def _similarity(maps, keypoints, radius):
  return _per_map(partial(_similarity_to, radius=radius), maps, keypoints)


@partial(jax.jit, static_argnums=0)
def _per_map(function, maps, *keypoints):
  """Lifts a function of a map [H, W] and, where given, a keypoint [2]."""
  *leading, height, width, num_keypoints = maps.shape
  count = math.prod(leading)
  maps = maps.reshape(count, height, width, num_keypoints)
  points = [k.reshape(count, num_keypoints, 2) for k in keypoints]
  axes = (-1, *(0 for _ in points))
  results = jax.vmap(jax.vmap(function, in_axes=axes))(maps, *points)
  return jax.tree.map(lambda x: x.reshape(*leading, *x.shape[1:]), results)


def _moments(heatmap):
  """[2] mean and [2, 2] covariance of one map [H, W]."""
  height, width = heatmap.shape
  weights, is_number = _weights(heatmap)
  column, row = weights.sum(0), weights.sum(1)
  x = jnp.clip((column * _pixels(width)).sum(), 0.0, width - 1.0)
  y = jnp.clip((row * _pixels(height)).sum(), 0.0, height - 1.0)
  dx, dy = _pixels(width) - x, _pixels(height) - y
  xx, yy = (column * dx**2).sum(), (row * dy**2).sum()
  xy = (weights * dy[:, None] * dx[None, :]).sum()
  covariance = jnp.stack([jnp.stack([xx, xy]), jnp.stack([xy, yy])])
  return jnp.stack([x, y]), jnp.where(is_number, covariance, jnp.nan)


def _similarity_to(heatmap, keypoint, radius):
  """The score of one keypoint [2] in one map [H, W]."""
  height, width = heatmap.shape
  weights, is_number = _weights(heatmap)
  near_x = jnp.exp(-0.5 * ((_pixels(width) - keypoint[0]) / radius) ** 2)
  near_y = jnp.exp(-0.5 * ((_pixels(height) - keypoint[1]) / radius) ** 2)
  score = (weights * near_y[:, None] * near_x[None, :]).sum()
  return jnp.where(is_number, score, jnp.nan)


def _weights(heatmap):
  """The map [H, W] divided by its sum, and whether that is a number."""
  heatmap = jnp.maximum(heatmap, 0.0)
  total = heatmap.sum()
  has_mass = jnp.isfinite(total) & (total > 0.0)
  weights = heatmap / jnp.where(has_mass, total, 1.0)
  return jnp.where(has_mass, weights, 1.0 / heatmap.size), ~jnp.isnan(total)


def _pixels(length):
  return jnp.arange(length, dtype=jnp.float32)


def _checked(probabilities, radius) -> jax.Array:
  probabilities = jnp.asarray(probabilities)
  check_heatmaps(probabilities.shape)
  as_positive("radius", radius)
  return probabilities.astype(jnp.float32)

"""From keypoints to heatmaps (paper §3.2): unbiased and quantised Gaussians.

Coordinates are heatmap pixels (x, y), float32; an integer coordinate is the
centre of a pixel. Sizes are (height, width). `decode_heatmaps` is the inverse.
"""

import contextlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from darkjax.heatmaps.arguments import as_positive, check_choice
from darkjax.heatmaps.options import Quantize

QUANTIZERS = {
  "none": lambda keypoints: keypoints,
  "floor": jnp.floor,
  "round": lambda keypoints: jnp.floor(keypoints + 0.5),
  "ceil": jnp.ceil,
}
WINDOW_SIGMAS = 3.0  # half width of the baseline's target window
FARTHEST = 1e18  # px; twice a distance from near float32's largest is infinite


def render_heatmaps(
  keypoints: jax.Array,
  *,
  size: tuple[int, int],
  sigma: float,
  quantize: Quantize = "none",
  truncate: float | None = None,
) -> jax.Array:
  """Draws one Gaussian with peak 1 per keypoint.

  The paper's unbiased target is `quantize="none"`: the Gaussian stands at the
  real-valued keypoint. The biased baseline is `quantize="round"`,
  `truncate=3.0`. A keypoint outside the map draws the part of its Gaussian
  that is inside; one that is NaN, infinite or 1e18 px away draws an all-zero
  map and has zero gradient.

  Deviations: the peak is 1, where Eq. 14 prints 1 / (2 pi sigma^2); the authors
  train with peak 1 as well. "round" is floor(x + 0.5), the baseline's
  int(x + 0.5) continued to negative coordinates.

  Args:
    keypoints: [..., K, 2] (x, y) in heatmap pixels.
    size: (H, W) of the heatmap in pixels.
    sigma: standard deviation of the Gaussian in heatmap pixels.
    quantize: where the centre goes: "none" leaves it, "floor", "round" and
      "ceil" move it to a pixel centre, with zero gradient.
    truncate: half width, in sigmas, of the square the Gaussian is cut to.

  Returns:
    [..., H, W, K] float32 in [0, 1], differentiable in the keypoints.

  Raises:
    ValueError: a wrong shape, size, sigma, truncate or quantize.

  Example:
    >>> keypoints = jnp.array([[2.0, 1.0]])  # one keypoint: x = 2, y = 1
    >>> heatmaps = render_heatmaps(keypoints, size=(3, 4), sigma=1.0)
    >>> heatmaps.shape
    (3, 4, 1)
    >>> [f"{value:.3f}" for value in heatmaps[1, :, 0]]  # exp(-d^2 / 2)
    ['0.135', '0.607', '1.000', '0.607']

  Reference: arXiv:1910.06278, Eq. 13 (quantised) and Eq. 14 with g' in place
  of g'' (unbiased). Truncation: leoxiaobin/deep-high-resolution-net.pytorch,
  lib/dataset/JointsDataset.py.
  """
  keypoints = _checked_keypoints(keypoints)
  size, sigma = _check_gaussian(size, sigma, quantize)
  if truncate is not None:
    truncate = as_positive("truncate", truncate, unit="sigmas")
  return _render(keypoints, size, sigma, quantize, truncate)


def keypoint_weights(
  keypoints: jax.Array,
  visibility: jax.Array,
  *,
  size: tuple[int, int],
  sigma: float,
  quantize: Quantize = "none",
) -> jax.Array:
  """Returns 1 for labelled keypoints that draw in the map, else 0.

  The weight is 0 when the keypoint is not finite or its integer window of 3
  sigma, the pixels from trunc(x - 3 sigma) to trunc(x + 3 sigma + 1) - 1 and
  the same in y, has no pixel in the map.

  Deviation: the authors test the exclusive end of the window with `< 0`, and
  so keep keypoints up to two pixels further left or above.

  Args:
    keypoints: [..., K, 2] (x, y) in heatmap pixels.
    visibility: [..., K] COCO visibility: 0 unlabelled, 1 hidden, 2 visible.
    size: (H, W) of the heatmap in pixels.
    sigma: standard deviation of the target in heatmap pixels.
    quantize: as for `render_heatmaps`.

  Returns:
    [..., K] float32, 0 or 1.

  Raises:
    ValueError: a wrong shape, size, sigma or quantize.

  Example:
    >>> keypoints = jnp.array([[2.0, 1.0], [2.0, 1.0], [99.0, 1.0]])
    >>> visibility = jnp.array([1, 0, 2])
    >>> keypoint_weights(keypoints, visibility, size=(3, 4), sigma=1.0)
    Array([1., 0., 0.], dtype=float32)

  Reference: ilovepose/DarkPose, lib/dataset/JointsDataset.py.
  """
  keypoints = _checked_keypoints(keypoints)
  size, sigma = _check_gaussian(size, sigma, quantize)
  visibility = jnp.asarray(visibility)
  if visibility.shape != keypoints.shape[:-1]:
    raise ValueError(
      "visibility has one entry per keypoint: expected shape"
      f" {keypoints.shape[:-1]}, got {visibility.shape}"
    )
  centers = QUANTIZERS[quantize](keypoints)
  extent = jnp.asarray(size[::-1], jnp.float32)
  extent = extent.reshape((1,) * (centers.ndim - 1) + (2,))
  first = jnp.trunc(centers - WINDOW_SIGMAS * sigma)
  end = jnp.trunc(centers + WINDOW_SIGMAS * sigma + 1.0)
  overlaps = jnp.all((first < extent) & (end > 0.0), axis=-1)
  is_finite = jnp.all(jnp.isfinite(keypoints), axis=-1)
  return ((visibility > 0) & overlaps & is_finite).astype(jnp.float32)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _render(keypoints, size, sigma, quantize, truncate):
  height, width = size
  draws = (jnp.abs(keypoints) < FARTHEST).all(-1, keepdims=True)
  centers = QUANTIZERS[quantize](jnp.where(draws, keypoints, 0.0))
  column = _profile(centers[..., None, :, 0], width, sigma, truncate)
  row = _profile(centers[..., None, :, 1], height, sigma, truncate)
  row = jnp.where(draws[..., None, :, 0], row, 0.0)
  return row[..., :, None, :] * column[..., None, :, :]


def log_profile(center: jax.Array, length: int, sigma: float) -> jax.Array:
  """Returns the log of Gaussians of peak 1: [..., 1, K] -> [..., length, K]."""
  return -0.5 * jnp.square((_pixels(center, length) - center) / sigma)


def _profile(center, length, sigma, truncate):
  profile = jnp.exp(log_profile(center, length, sigma))
  if truncate is not None:
    is_inside = jnp.abs(_pixels(center, length) - center) <= truncate * sigma
    profile = jnp.where(is_inside, profile, 0.0)
  return profile


def _pixels(center, length):
  pixels = jnp.arange(length, dtype=jnp.float32)
  return pixels.reshape((1,) * (center.ndim - 2) + (length, 1))


def _checked_keypoints(keypoints) -> jax.Array:
  keypoints = jnp.asarray(keypoints)
  if keypoints.ndim < 2 or keypoints.shape[-1] != 2:
    raise ValueError(
      "keypoints are (x, y) in heatmap pixels: expected shape [..., K, 2],"
      f" got {keypoints.shape}; drop a visibility column with [..., :2]"
    )
  return keypoints.astype(jnp.float32)


def _check_gaussian(size, sigma, quantize) -> tuple[tuple[int, int], float]:
  """Returns the size and sigma as Python numbers."""
  check_choice("quantize", quantize, sorted(QUANTIZERS))
  return _check_size(size), as_positive("sigma", sigma)


def _check_size(size) -> tuple[int, int]:
  with contextlib.suppress(TypeError, ValueError, OverflowError):
    height, width = size
    pair = int(height), int(width)
    if np.ndim(size) == 1 and pair == (height, width) and min(pair) > 0:
      return pair
  raise ValueError(
    f"size is (height, width) in pixels, two positive integers, got {size!r}"
  )

"""DARK decoding as the authors' code does it, border band included.

In order: the first maximum of the raw map; blur with zeros around the map;
scale to the raw map's maximum; clip at 1e-10; logarithm; one Taylor step from
the raw maximum, with second differences of step 2, no bound and no test for a
maximum. In a band of two pixels at the border, and where the Hessian is
singular, the maximum is returned as it is; where it is not positive, the
origin.

Only the window around the maximum is blurred. The whole map is blurred only
if, in some map of the batch, the clip at 1e-10 meets the differences: then the
scale before it matters, else it cancels (Eq. 11).

Reference: ilovepose/DarkPose, lib/core/inference.py.
"""

import jax
import jax.numpy as jnp

from darkjax.heatmaps import blur, taylor
from darkjax.heatmaps.maximum import first_maximum, window_around

STENCIL_RADIUS = 2  # pixels, of the differences
LOWEST = -3e38  # in place of -inf, whose product with a tap of 0 is NaN
LARGEST_SCALE = 1e6  # beyond, the blurred maximum is rounding noise
BAND = 2  # pixels at the border that are not refined


def decode_official(
  heatmaps: jax.Array, *, blur_kernel: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Decodes a batch [N, H, W, K] as the authors' code does.

  Deviation: a step out of the map ends at its border. Returns the fields of
  `decode.Decoded`; covariances are nan where nothing was refined.
  """
  heatmaps = heatmaps.astype(jnp.float32)
  height, width = heatmaps.shape[1:3]

  def blurred_maximum(heatmap):
    maximum, score = first_maximum(heatmap)
    radius = STENCIL_RADIUS + (blur_kernel - 1) // 2
    window = jnp.maximum(window_around(heatmap, maximum, radius), LOWEST)
    end = jnp.array([width - BAND, height - BAND])
    in_band = jnp.any((maximum < BAND) | (maximum >= end))
    is_refined = ~in_band & (score > 0.0) & jnp.isfinite(score)
    return maximum, score, blur.blur_window(window, blur_kernel), is_refined

  def taylor_step(maximum, score, window, is_refined, scale):
    window = jnp.where(is_refined, window * scale, 1.0)
    # Where all of the blurred map is negative, so is the scale; what lies
    # deepest then comes out highest, and may leave float32.
    window = jnp.minimum(window, -LOWEST)
    logs = jnp.log(jnp.maximum(window, taylor.LOG_FLOOR))
    derivatives = taylor.official_derivatives(logs)
    maximum = jnp.where(score > 0.0, maximum, 0).astype(jnp.float32)
    keypoint = maximum + jnp.stack(taylor.newton_step(derivatives))
    last = jnp.array([width - 1.0, height - 1.0], jnp.float32)
    covariance = taylor.peak_covariance(derivatives)
    return jnp.clip(keypoint, 0.0, last), score, covariance

  maxima, scores, windows, is_refined = jax.vmap(
    jax.vmap(blurred_maximum, in_axes=-1)
  )(heatmaps)
  meets_floor = is_refined & jnp.any(windows < taylor.LOG_FLOOR, axis=(2, 3))
  scales = jax.lax.cond(
    jnp.any(meets_floor),
    lambda: scores / _blurred_maxima(heatmaps, blur_kernel),
    lambda: jnp.ones_like(scores),
  )
  scales = jnp.where(jnp.abs(scales) < LARGEST_SCALE, scales, 1.0)
  return jax.vmap(jax.vmap(taylor_step))(
    maxima, scores, windows, is_refined, jax.lax.stop_gradient(scales)
  )


def _blurred_maxima(heatmaps, blur_kernel):
  height, width = heatmaps.shape[1:3]
  heatmaps = jnp.maximum(heatmaps, LOWEST)
  rows = blur.square_band_matrix(blur_kernel, height)
  columns = blur.square_band_matrix(blur_kernel, width)
  blurred = jnp.einsum(
    "iy,nyxk,jx->nijk", rows, heatmaps, columns, precision="highest"
  )
  return blurred.max(axis=(1, 2))

"""Distribution-aware refinement of one heatmap's maximum (paper §3.1).

Everything here works on one map [H, W] and is lifted with vmap. Only the
window around the maximum is blurred, by two small banded matrices: 15 x 15
pixels for a kernel of 11, whatever the size of the map.
"""

import jax
import jax.numpy as jnp

from darkjax.heatmaps.blur import band_matrix

LOG_FLOOR = 1e-10  # the authors' clip before the logarithm
MAX_SHIFT = 1.5  # pixels a refined point may lie from the maximum


def blurred_window(
  heatmap: jax.Array, center: jax.Array, blur_kernel: int, reach: int
) -> jax.Array:
  """Blurs the neighbourhood of a pixel; the map is 0 outside.

  Args:
    heatmap: [H, W] float32.
    center: [2] int32 (x, y).
    blur_kernel: odd size k of OpenCV's kernel.
    reach: pixels the result extends to each side of the center.

  Returns:
    [2 reach + 1, 2 reach + 1] float32, rows along y.
  """
  radius = reach + (blur_kernel - 1) // 2
  band = jnp.asarray(band_matrix(blur_kernel, 2 * reach + 1))
  window = _window(heatmap, center, radius)
  return jnp.einsum("iy,yx,jx->ij", band, window, band, precision="highest")


def _window(heatmap, center, radius):
  height, width = heatmap.shape
  offsets = jnp.arange(-radius, radius + 1)
  xs, ys = center[0] + offsets, center[1] + offsets
  values = heatmap[
    jnp.clip(ys, 0, height - 1)[:, None], jnp.clip(xs, 0, width - 1)[None, :]
  ]
  inside_x = (xs >= 0) & (xs < width)
  inside_y = (ys >= 0) & (ys < height)
  return jnp.where(inside_y[:, None] & inside_x[None, :], values, 0.0)


def official_derivatives(log_window: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Differences as the authors take them: second ones with step 2.

  Args:
    log_window: [5, 5] logarithm of the blurred map around the maximum.

  Returns:
    Gradient [2] (x, y) and Hessian [2, 2].
  """
  w = log_window
  dx, dy = 0.5 * (w[2, 3] - w[2, 1]), 0.5 * (w[3, 2] - w[1, 2])
  dxx = 0.25 * (w[2, 4] - 2.0 * w[2, 2] + w[2, 0])
  dyy = 0.25 * (w[4, 2] - 2.0 * w[2, 2] + w[0, 2])
  dxy = 0.25 * (w[3, 3] - w[1, 3] - w[3, 1] + w[1, 1])
  return jnp.stack([dx, dy]), jnp.array([[dxx, dxy], [dxy, dyy]])


def unit_derivatives(log_window: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Central differences with step 1 on [3, 3], as official_derivatives."""
  w = log_window
  dx, dy = 0.5 * (w[1, 2] - w[1, 0]), 0.5 * (w[2, 1] - w[0, 1])
  dxx = w[1, 2] - 2.0 * w[1, 1] + w[1, 0]
  dyy = w[2, 1] - 2.0 * w[1, 1] + w[0, 1]
  dxy = 0.25 * (w[2, 2] - w[0, 2] - w[2, 0] + w[0, 0])
  return jnp.stack([dx, dy]), jnp.array([[dxx, dxy], [dxy, dyy]])


def newton_step(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
  """Solves Eq. 9 for a 2 x 2 Hessian; 0 where it is exactly singular."""
  (dxx, dxy), (_, dyy) = hessian
  determinant = dxx * dyy - dxy * dxy
  is_regular = determinant != 0.0
  determinant = jnp.where(is_regular, determinant, 1.0)
  dx, dy = gradient
  step = jnp.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy]) / determinant
  return jnp.where(is_regular, step, 0.0)


def peak_covariance(hessian: jax.Array) -> jax.Array:
  """Negative inverse of a Hessian (Eq. 8); nan unless negative definite."""
  (dxx, dxy), (_, dyy) = hessian
  determinant = dxx * dyy - dxy * dxy
  is_peak = (dxx < 0.0) & (dyy < 0.0) & (determinant > 0.0)
  determinant = jnp.where(is_peak, determinant, 1.0)
  adjugate = jnp.array([[-dyy, dxy], [dxy, -dxx]])
  return jnp.where(is_peak, adjugate / determinant, jnp.nan)

"""The Taylor step to the peak of a log heatmap (paper Eq. 6 to 9).

The logarithm of a Gaussian is a quadratic, whose peak lies one Newton step
from any point: mu = m - D''^-1 D' (Eq. 9). Offsets are pixels (x, y).
"""

import jax
import jax.numpy as jnp

LOG_FLOOR = 1e-10  # the authors' clip before the logarithm


def unit_derivatives(logs: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Gives central differences with step 1.

  Args:
    logs: [3, 3] logarithm of the map around a pixel, rows along y.

  Returns:
    Gradient [2] (x, y) and Hessian [2, 2] at the middle pixel.
  """
  dx, dy = 0.5 * (logs[1, 2] - logs[1, 0]), 0.5 * (logs[2, 1] - logs[0, 1])
  dxx = logs[1, 2] - 2.0 * logs[1, 1] + logs[1, 0]
  dyy = logs[2, 1] - 2.0 * logs[1, 1] + logs[0, 1]
  return jnp.stack([dx, dy]), _hessian(dxx, dyy, _diagonal(logs))


def official_derivatives(logs: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Gives the authors' differences: the pure second ones have step 2.

  Args:
    logs: [5, 5] logarithm of the map around a pixel, rows along y.

  Returns:
    Gradient [2] (x, y) and Hessian [2, 2] at the middle pixel.
  """
  dx, dy = 0.5 * (logs[2, 3] - logs[2, 1]), 0.5 * (logs[3, 2] - logs[1, 2])
  dxx = 0.25 * (logs[2, 4] - 2.0 * logs[2, 2] + logs[2, 0])
  dyy = 0.25 * (logs[4, 2] - 2.0 * logs[2, 2] + logs[0, 2])
  return jnp.stack([dx, dy]), _hessian(dxx, dyy, _diagonal(logs[1:4, 1:4]))


def _diagonal(logs):
  return 0.25 * (logs[2, 2] - logs[0, 2] - logs[2, 0] + logs[0, 0])


def _hessian(dxx, dyy, dxy):
  return jnp.stack([jnp.stack([dxx, dxy]), jnp.stack([dxy, dyy])])


def newton_step(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
  """Gives -D''^-1 D' [2] (x, y); 0 where D'' is exactly singular (Eq. 9)."""
  determinant = _determinant(hessian)
  is_regular = determinant != 0.0
  determinant = jnp.where(is_regular, determinant, 1.0)
  (dxx, dxy), (_, dyy) = hessian
  dx, dy = gradient
  step = jnp.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy]) / determinant
  return jnp.where(is_regular, step, 0.0)


def is_peak(hessian: jax.Array) -> jax.Array:
  """Says whether a Hessian is negative definite, as at a maximum."""
  (dxx, _), (_, dyy) = hessian
  return (dxx < 0.0) & (dyy < 0.0) & (_determinant(hessian) > 0.0)


def peak_covariance(hessian: jax.Array) -> jax.Array:
  """Gives Sigma = -D''^-1 [2, 2] (Eq. 8); nan unless negative definite."""
  valid = is_peak(hessian)
  determinant = jnp.where(valid, _determinant(hessian), 1.0)
  (dxx, dxy), (_, dyy) = hessian
  return jnp.where(valid, _hessian(-dyy, -dxx, dxy) / determinant, jnp.nan)


def _determinant(hessian):
  (dxx, dxy), (_, dyy) = hessian
  return dxx * dyy - dxy * dxy

"""The Taylor step to the peak of a log heatmap (paper Eq. 6 to 9).

The logarithm of a Gaussian is a quadratic, whose peak lies one Newton step
from any point: mu = m - D''^-1 D' (Eq. 9). Offsets are pixels (x, y). Gradient
and Hessian are kept as scalars, which XLA fuses into few loops.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

LOG_FLOOR = 1e-10  # the authors' clip before the logarithm
SINGULAR = 1e-18  # determinants below are rounding of float32 logarithms


class Derivatives(NamedTuple):
  """Gradient D' = (dx, dy) and Hessian D'' = ((dxx, dxy), (dxy, dyy))."""

  dx: jax.Array
  dy: jax.Array
  dxx: jax.Array
  dyy: jax.Array
  dxy: jax.Array


def unit_derivatives(logs: jax.Array) -> Derivatives:
  """Returns central differences with step 1 of logs [3, 3], rows along y."""
  return Derivatives(
    dx=0.5 * (logs[1, 2] - logs[1, 0]),
    dy=0.5 * (logs[2, 1] - logs[0, 1]),
    dxx=logs[1, 2] - 2.0 * logs[1, 1] + logs[1, 0],
    dyy=logs[2, 1] - 2.0 * logs[1, 1] + logs[0, 1],
    dxy=0.25 * (logs[2, 2] - logs[0, 2] - logs[2, 0] + logs[0, 0]),
  )


def official_derivatives(logs: jax.Array) -> Derivatives:
  """Returns the authors' differences of logs [5, 5]: dxx, dyy have step 2."""
  return unit_derivatives(logs[1:4, 1:4])._replace(
    dxx=0.25 * (logs[2, 4] - 2.0 * logs[2, 2] + logs[2, 0]),
    dyy=0.25 * (logs[4, 2] - 2.0 * logs[2, 2] + logs[0, 2]),
  )


def newton_step(d: Derivatives) -> tuple[jax.Array, jax.Array]:
  """Returns -D''^-1 D' (x, y); 0 where D'' is singular (Eq. 9)."""
  determinant = _determinant(d)
  is_regular = jnp.abs(determinant) > SINGULAR
  inverse = jnp.where(is_regular, 1.0, 0.0) / jnp.where(
    is_regular, determinant, 1.0
  )
  step_x = (d.dxy * d.dy - d.dyy * d.dx) * inverse
  step_y = (d.dxy * d.dx - d.dxx * d.dy) * inverse
  return step_x, step_y


def is_peak(d: Derivatives) -> jax.Array:
  """Returns whether the Hessian is negative definite, as at a maximum."""
  return (d.dxx < 0.0) & (d.dyy < 0.0) & (_determinant(d) > SINGULAR)


def peak_covariance(d: Derivatives) -> jax.Array:
  """Returns Sigma = -D''^-1 [2, 2] (Eq. 8); nan unless negative definite."""
  is_valid = is_peak(d)
  determinant = jnp.where(is_valid, _determinant(d), 1.0)
  adjugate = jnp.stack([-d.dyy, d.dxy, d.dxy, -d.dxx]).reshape(2, 2)
  return jnp.where(is_valid, adjugate / determinant, jnp.nan)


def _determinant(d):
  return d.dxx * d.dyy - d.dxy * d.dxy

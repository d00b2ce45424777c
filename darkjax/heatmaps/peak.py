"""The first maximum of a map, and the window around a pixel."""

import jax
import jax.numpy as jnp


def first_maximum(heatmap: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Finds the first maximum in row-major order, as np.argmax does.

  Row maxima come first, then a search along the one row that holds the
  maximum, so the map is read once and by plain maxima; XLA's argmax is a
  reduction of pairs and several times slower on CPUs. The barrier keeps XLA
  from reading the map a second time for the maximum of the row maxima.

  Args:
    heatmap: [H, W] floats of any type.

  Returns:
    [2] int32 (x, y) of the maximum and its value as float32. If the map holds
    NaN, the value is NaN and the place some pixel of the map.
  """
  row_maxima = jax.lax.optimization_barrier(heatmap.max(axis=1))
  y = _first_index(row_maxima == row_maxima.max())
  x = _first_index(heatmap[y] == row_maxima.max())
  return jnp.stack([x, y]), row_maxima.max().astype(jnp.float32)


def second_maximum(heatmap: jax.Array, maximum: jax.Array) -> jax.Array:
  """Finds the first maximum [2] (x, y) of a map without one pixel of it."""
  x, y = maximum
  line = heatmap[y]
  line = jnp.where(jnp.arange(line.shape[0]) == x, -jnp.inf, line)
  row_maxima = jax.lax.optimization_barrier(heatmap.max(axis=1))
  is_row = jnp.arange(row_maxima.shape[0]) == y
  row_maxima = jnp.where(is_row, line.max(), row_maxima)
  second_y = _first_index(row_maxima == row_maxima.max())
  line = jnp.where(second_y == y, line, heatmap[second_y])
  return jnp.stack([_first_index(line == row_maxima.max()), second_y])


def _first_index(is_found):
  """Index of the first true entry; the last index if there is none."""
  # In float32, which vectorises better; exact for any map below 2^24 pixels.
  index = jnp.arange(is_found.shape[0], dtype=jnp.float32)
  last = is_found.shape[0] - 1.0
  return jnp.where(is_found, index, last).min().astype(jnp.int32)


def window_around(
  heatmap: jax.Array, center: jax.Array, radius: int
) -> jax.Array:
  """Cuts a square window out of a map.

  Args:
    heatmap: [H, W].
    center: [2] int32 (x, y), the middle of the window.
    radius: pixels the window extends to each side.

  Returns:
    [P, P] float32 with P = 2 radius + 1, rows along y, 0 outside the map.
  """
  height, width = heatmap.shape
  offsets = jnp.arange(-radius, radius + 1)
  xs, ys = center[0] + offsets, center[1] + offsets
  inside_x, inside_y = (xs >= 0) & (xs < width), (ys >= 0) & (ys < height)
  xs, ys = jnp.clip(xs, 0, width - 1), jnp.clip(ys, 0, height - 1)
  values = heatmap.at[ys[:, None], xs[None, :]].get(
    mode="promise_in_bounds", wrap_negative_indices=False
  )
  values = values.astype(jnp.float32)
  return jnp.where(inside_y[:, None] & inside_x[None, :], values, 0.0)

"""The first maximum of a map, and the window around a pixel."""

from functools import reduce

import jax
import jax.numpy as jnp

BLOCKS = 12  # quickest of 2 to 24 on a CPU, for rows of 24, 48 and 72 pixels


def first_maximum(heatmap: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Finds the first maximum of [H, W] in row-major order, as np.argmax does.

  XLA's argmax, a reduction of pairs, is several times slower on CPUs than row
  maxima and a search along one row.

  Returns [2] int32 (x, y), constant for differentiation, and the value as
  float32, NaN if the map holds NaN (infinite, if it holds that before).
  """
  values = jax.lax.stop_gradient(heatmap)
  row_maxima = _row_maxima(values)
  y = _first_index(row_maxima == row_maxima.max())
  x = _first_index((values[y] == row_maxima.max()) | jnp.isnan(values[y]))
  return jnp.stack([x, y]), heatmap[y, x].astype(jnp.float32)


def second_maximum(heatmap: jax.Array, maximum: jax.Array) -> jax.Array:
  """Finds the first maximum [2] (x, y) of a map without one pixel of it."""
  x, y = maximum
  line = heatmap[y]
  line = jnp.where(jnp.arange(line.shape[0]) == x, -jnp.inf, line)
  row_maxima = _row_maxima(heatmap)
  is_row = jnp.arange(row_maxima.shape[0]) == y
  row_maxima = jnp.where(is_row, line.max(), row_maxima)
  second_y = _first_index(row_maxima == row_maxima.max())
  line = jnp.where(second_y == y, line, heatmap[second_y])
  return jnp.stack([_first_index(line == row_maxima.max()), second_y])


def _row_maxima(heatmap):
  """[H] maximum of each row, infinite if the row holds NaN.

  XLA's max reduction on CPUs loses NaN (jax 0.10.2), a maximum of two arrays
  keeps it; so blocks of columns, which may overlap, are compared first. The
  barrier keeps XLA from reading the map again for the maximum of the rows.
  """
  width = heatmap.shape[1]
  block = -(-width // min(BLOCKS, width))
  starts = (min(i * block, width - block) for i in range(BLOCKS))
  maxima = reduce(jnp.maximum, (heatmap[:, i : i + block] for i in starts))
  maxima = jnp.where(jnp.isnan(maxima), jnp.inf, maxima).max(axis=1)
  return jax.lax.optimization_barrier(maxima)


def _first_index(is_maximum):
  """Index of the first true entry; the last index if there is none."""
  # In float32, which vectorises better; exact for any map below 2^24 pixels.
  index = jnp.arange(is_maximum.shape[0], dtype=jnp.float32)
  last = is_maximum.shape[0] - 1.0
  return jnp.where(is_maximum, index, last).min().astype(jnp.int32)


def window_around(
  heatmap: jax.Array, center: jax.Array, radius: int
) -> jax.Array:
  """Cuts [2 radius + 1] x 2 float32 around (x, y); 0 outside the map."""
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

"""The first maximum of a map, and the window around a pixel."""

import jax
import jax.numpy as jnp


def first_maximum(heatmap: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Finds the first maximum in row-major order, as np.argmax does.

  Row maxima come first, then a search along the one row that holds the
  maximum, so the map is read once and by plain maxima; XLA's argmax is a
  reduction of pairs and several times slower on CPUs.

  Args:
    heatmap: [H, W] floats of any type.

  Returns:
    [2] int32 (x, y) of the maximum and its value as float32. If the map holds
    NaN, the value is NaN and the place some pixel of the map.
  """
  row_maxima = heatmap.max(axis=1)
  y = _first_index_of_maximum(row_maxima)
  x = _first_index_of_maximum(heatmap[y])
  return jnp.stack([x, y]), row_maxima.max().astype(jnp.float32)


def _first_index_of_maximum(values):
  # In float32, which vectorises better; exact for any map below 2^24 pixels.
  last = values.shape[0] - 1.0
  index = jnp.arange(values.shape[0], dtype=jnp.float32)
  is_maximum = values == values.max(axis=0, keepdims=True)
  return jnp.where(is_maximum, index, last).min(axis=0).astype(jnp.int32)


def window_around(
  heatmap: jax.Array, center: jax.Array, radius: int
) -> tuple[jax.Array, jax.Array]:
  """Cuts a square window out of a map.

  Args:
    heatmap: [H, W].
    center: [2] int32 (x, y), the middle of the window.
    radius: pixels the window extends to each side.

  Returns:
    [P, P] float32 with P = 2 radius + 1, rows along y, 0 outside the map; and
    [2, P] bool, which of its columns (first) and rows (second) are inside.
  """
  height, width = heatmap.shape
  offsets = jnp.arange(-radius, radius + 1)
  xs, ys = center[0] + offsets, center[1] + offsets
  inside = jnp.stack([(xs >= 0) & (xs < width), (ys >= 0) & (ys < height)])
  xs, ys = jnp.clip(xs, 0, width - 1), jnp.clip(ys, 0, height - 1)
  values = heatmap[ys[:, None], xs[None, :]].astype(jnp.float32)
  is_inside = inside[1][:, None] & inside[0][None, :]
  return jnp.where(is_inside, values, 0.0), inside

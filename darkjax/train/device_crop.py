"""Crops cut from a pack in the memory of a device, inside the jitted step.

The twin of data/pipeline/tf_crop.py, for the canvases of data/pack/layout.py:
bilinear, black outside, no smoothing before shrinking; an integer coordinate is
the centre of a pixel.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from darkjax.data import batch as batch_lib
from darkjax.runtime import devices

Batch = dict[str, jax.Array]


def warp(
  pages: jax.Array,
  first_page: jax.Array,
  size: jax.Array,
  canvas_from_crop: jax.Array,
  *,
  crop_size: tuple[int, int],
) -> jax.Array:
  """Cuts one person's crop out of a canvas.

  Args:
    pages: [M, P, 3] uint8, the pixels of all canvases.
    first_page: scalar int32, where this canvas begins.
    size: [2] int32 (height, width) of it, px.
    canvas_from_crop: [2, 3] float32, px.
    crop_size: (height, width), px.

  Returns:
    [height, width, 3] uint8.
  """
  column = jnp.arange(crop_size[1], dtype=jnp.float32)[None, :]
  row = jnp.arange(crop_size[0], dtype=jnp.float32)[:, None]
  x, y = (
    line[0] * column + line[1] * row + line[2] for line in canvas_from_crop
  )
  left, top = jnp.floor(x), jnp.floor(y)
  right_share, bottom_share = (x - left)[..., None], (y - top)[..., None]
  look_up = functools.partial(_look_up, pages, first_page, size)

  def across(y):
    between = (1 - right_share) * look_up(left, y)
    return between + right_share * look_up(left + 1, y)

  crop = (1 - bottom_share) * across(top) + bottom_share * across(top + 1)
  return jnp.round(crop).astype(jnp.uint8)


def _look_up(pages, first_page, size, x, y) -> jax.Array:
  """Returns pixels [..., 3] float32 at whole coordinates; 0 outside."""
  height, width = size
  x, y = x.astype(jnp.int32), y.astype(jnp.int32)
  inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
  index = jnp.where(inside, y * width + x, 0)
  page, pixel = first_page + index // pages.shape[1], index % pages.shape[1]
  # Checked above; XLA need not.
  color = pages.at[page, pixel].get(mode="promise_in_bounds")
  return jnp.where(inside[..., None], color.astype(jnp.float32), 0.0)


def with_images(
  batch: Batch, pages: jax.Array | None, *, crop_size: tuple[int, int]
) -> Batch:
  """Returns one device's batch with `image` [B, H, W, 3] cut from the pages."""
  if pages is None:
    return batch
  cut = functools.partial(warp, pages, crop_size=crop_size)
  with jax.named_scope("cut_crops"):
    images = jax.vmap(cut)(*(batch[name] for name in batch_lib.CANVAS))
  rest = {n: array for n, array in batch.items() if n not in batch_lib.CANVAS}
  return rest | {"image": images}


def on_host(
  batch: dict[str, np.ndarray],
  pages: jax.Array | None,
  *,
  crop_size: tuple[int, int],
  mapping: devices.Mapping = "pmap",
) -> dict[str, np.ndarray]:
  """Returns this process's batch with `image`, cut on devices, as NumPy."""
  if pages is None:
    return batch
  rest = {n: array for n, array in batch.items() if n not in batch_lib.CANVAS}
  canvases = {name: batch[name] for name in batch_lib.CANVAS}
  return rest | _mapped(crop_size, mapping)(pages, canvases)


@functools.cache
def _mapped(crop_size: tuple[int, int], mapping: devices.Mapping):
  """Returns `with_images`, mapped over the devices of this process."""
  return devices.map_rows(
    lambda pages, batch: with_images(batch, pages, crop_size=crop_size),
    mapping=mapping,
  )

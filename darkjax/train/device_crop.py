"""Crops out of canvases on the device, inside the jitted step.

The twin of `data.crop.warp` for canvases that lie in the device's memory as
data/canvases.py says: bilinear, black outside, no smoothing before shrinking;
an integer coordinate is the centre of a pixel.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from darkjax.data import batch as schema

Batch = dict[str, jax.Array]


def warp(
  pages: jax.Array,
  first_page: jax.Array,
  size: jax.Array,
  canvas_from_crop: jax.Array,
  *,
  crop_size: tuple[int, int],
) -> jax.Array:
  """One person's crop.

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
  """Pixels [..., 3] float32 of a canvas at whole coordinates; 0 outside."""
  height, width = size
  x, y = x.astype(jnp.int32), y.astype(jnp.int32)
  inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
  place = jnp.where(inside, y * width + x, 0)
  page, pixel = first_page + place // pages.shape[1], place % pages.shape[1]
  # Checked above; XLA need not.
  found = pages.at[page, pixel].get(mode="promise_in_bounds")
  return jnp.where(inside[..., None], found.astype(jnp.float32), 0.0)


def with_images(
  batch: Batch, pages: jax.Array | None, *, crop_size: tuple[int, int]
) -> Batch:
  """A batch whose crops are cut, where it does not bring them along.

  Args:
    batch: of one device, with `image` or with the fields `schema.CANVAS`.
    pages: [M, P, 3] uint8; None where batches bring their images.
    crop_size: (height, width), px.

  Returns:
    The batch with `image` [B, H, W, 3] uint8.
  """
  if pages is None:
    return batch
  rest = {n: array for n, array in batch.items() if n not in schema.CANVAS}
  cut = functools.partial(warp, pages, crop_size=crop_size)
  image = jax.vmap(cut)(*(batch[name] for name in schema.CANVAS))
  return rest | {"image": image}


def on_host(
  batch: dict[str, np.ndarray],
  pages: jax.Array | None,
  *,
  crop_size: tuple[int, int],
) -> dict[str, np.ndarray]:
  """A batch with its images, cut on the devices and brought back.

  Args:
    batch: of this process.
    pages: [D, M, P, 3] uint8 on its devices, see placement.py; None where
      batches bring their images.
    crop_size: (height, width), px.

  Returns:
    The batch with `image` [B, H, W, 3] uint8, as `schema.BATCH` says.
  """
  if pages is None:
    return batch
  rows, devices = len(batch["mask"]), len(pages)
  each = -(-rows // devices)
  wanted = np.minimum(np.arange(each * devices), rows - 1)
  fields = {
    name: batch[name][wanted].reshape(devices, each, *batch[name].shape[1:])
    for name in schema.CANVAS
  }
  image = np.asarray(_cut(crop_size)(fields, pages)["image"])
  rest = {n: array for n, array in batch.items() if n not in schema.CANVAS}
  return rest | {"image": image.reshape(-1, *image.shape[2:])[:rows]}


@functools.cache
def _cut(crop_size: tuple[int, int]):
  """`with_images` on all local devices."""
  cut = functools.partial(with_images, crop_size=crop_size)
  return jax.pmap(cut, devices=jax.local_devices())

"""Packs in the memory of the devices.

Every device holds all canvases: an epoch is one permutation of all people.
"""

import functools
import logging
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from darkjax.data.pack.files import Pack
from darkjax.data.pack.layout import PAGE, PAGE_BYTES
from darkjax.runtime import devices as devices_lib

_LOG = logging.getLogger(__name__)

_CHUNK = 2**14  # pages that are sent at a time, 48 MiB


def place(packs: Sequence[Pack]) -> jax.Array:
  """Copies packs to each local device, as `devices.replicate` does.

  Args:
    packs: their pages follow one another as `files.assign_pages` says.

  Returns:
    [M, PAGE, 3] uint8.

  Raises:
    ValueError: they do not fit, or are damaged.
  """
  devices = jax.local_devices()
  check_fits(packs, [free_memory(device) for device in devices])
  for pack in packs:
    pack.check_pixels()
  shape = (sum(len(pack.pages) for pack in packs), PAGE, 3)
  copies = [jnp.zeros(shape, jnp.uint8, device=device) for device in devices]
  start = 0
  for chunk in _chunks(packs, shape[0]):
    copies = [
      _update(copy, jax.device_put(chunk, device), np.int32(start))
      for copy, device in zip(copies, devices, strict=True)
    ]
    jax.block_until_ready(copies)  # what is being copied takes memory too
    start += len(chunk)
  return devices_lib.from_copies(copies)


def free_memory(device: jax.Device) -> int | None:
  """Bytes that JAX may still allocate on a device; None where it is unknown."""
  stats = device.memory_stats() or {}
  if "bytes_limit" not in stats:
    return None
  return stats["bytes_limit"] - stats.get("bytes_in_use", 0)


def check_fits(packs: Sequence[Pack], free: Sequence[int | None]) -> None:
  """Raises ValueError if packs exceed a device's `free` bytes, if known."""
  sizes = [len(pack.pages) * PAGE_BYTES for pack in packs]
  limits = [bytes_ for bytes_ in free if bytes_ is not None]
  has = f"{min(limits) / 1e9:.2f} GB are free" if limits else "free: unknown"
  parts = ", ".join(
    f"{pack.folder.name} {size / 1e9:.2f}"
    for pack, size in zip(packs, sizes, strict=True)
  )
  needs = f"{sum(sizes) / 1e9:.2f} GB on each of {len(free)} devices ({parts})"
  _LOG.info("canvases: %s; %s", needs, has)
  if limits and sum(sizes) > min(limits):
    raise ValueError(
      f"the canvases need {needs}; {has}, and a step needs memory besides. "
      "Pack at a lower resolution (python -m darkjax.data.pack "
      "--resolution=0.7), let JAX take more of the memory "
      "(XLA_PYTHON_CLIENT_MEM_FRACTION=0.95), use devices with more, or set "
      "config.data.source='tf'"
    )


@functools.partial(jax.jit, donate_argnums=0)
def _update(pages, chunk, start):
  """Replaces a part of the pages without a copy of the rest."""
  return jax.lax.dynamic_update_slice(pages, chunk, (start, 0, 0))


def _chunks(packs: Sequence[Pack], total: int) -> Iterator[np.ndarray]:
  """Yields all pages in order, some at a time."""
  with tqdm(
    total=total * PAGE_BYTES, unit="B", unit_scale=True, disable=None
  ) as bar:
    for pack in packs:
      for start in range(0, len(pack.pages), _CHUNK):
        chunk = pack.pages[start : start + _CHUNK]
        yield chunk
        bar.update(chunk.nbytes)

"""Packed data sets in the memory of the devices.

Every device holds all canvases: the order of an epoch is one permutation of all
people, so that any of them may come on any device. The memory taken on each is
the same on any number of devices and processes.
"""

import functools
import logging
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from darkjax.data.pack.files import Pack
from darkjax.data.pack.layout import PAGE, PAGE_BYTES

_LOG = logging.getLogger(__name__)

_CHUNK = 2**14  # pages that are sent at a time, 48 MiB


def place(packs: Sequence[Pack]) -> jax.Array:
  """Checks that the canvases fit, then reads, checks and sends them.

  Args:
    packs: whose pages follow one another see `files.assign_pages`.

  Returns:
    [D, M, PAGE, 3] uint8, with a copy on each of this process's D devices, as
    pmap takes it.

  Raises:
    ValueError: they do not fit, or are damaged.
  """
  devices = jax.local_devices()
  count = sum(len(pack.pages) for pack in packs)
  check_fits(packs, [free_memory(device) for device in devices])
  for pack in packs:
    pack.check_pixels()
  shape = (1, count, PAGE, 3)
  copies = [jnp.zeros(shape, jnp.uint8, device=device) for device in devices]
  start = 0
  for chunk in _chunks(packs, count):
    # One chunk at a time: what is underway takes memory too.
    copies = jax.block_until_ready([_put(c, chunk, start) for c in copies])
    start += len(chunk)
  mesh = Mesh(np.array(devices), ("devices",))
  return jax.make_array_from_single_device_arrays(
    (len(devices), *shape[1:]),
    NamedSharding(mesh, PartitionSpec("devices")),
    copies,
  )


def free_memory(device: jax.Device) -> int | None:
  """Bytes that JAX may still allocate on a device; None where it is unknown."""
  stats = device.memory_stats() or {}
  if "bytes_limit" not in stats:
    return None
  return stats["bytes_limit"] - stats.get("bytes_in_use", 0)


def check_fits(packs: Sequence[Pack], free: Sequence[int | None]) -> None:
  """Says what memory the canvases take, and refuses if it is not there.

  Args:
    packs: to be placed on each device.
    free: bytes of each device, None where unknown.

  Raises:
    ValueError: more than the fullest device has.
  """
  sizes = [len(pack.pages) * PAGE_BYTES for pack in packs]
  known = [bytes_ for bytes_ in free if bytes_ is not None]
  has = f"{min(known) / 1e9:.2f} GB are free" if known else "free: unknown"
  parts = ", ".join(
    f"{pack.folder.name} {size / 1e9:.2f}"
    for pack, size in zip(packs, sizes, strict=True)
  )
  needs = f"{sum(sizes) / 1e9:.2f} GB on each of {len(free)} devices ({parts})"
  _LOG.info("canvases: %s; %s", needs, has)
  if known and sum(sizes) > min(known):
    raise ValueError(
      f"the canvases need {needs}; {has}, and a step needs memory besides. "
      "Pack at a lower resolution (python -m darkjax.data.pack "
      "--resolution=0.7), let JAX take more of the memory "
      "(XLA_PYTHON_CLIENT_MEM_FRACTION=0.95), use devices with more, or set "
      "config.data.source='tf'"
    )


@functools.partial(jax.jit, donate_argnums=0)
def _update(pages, chunk, start):
  return jax.lax.dynamic_update_slice(pages, chunk[None], (0, start, 0, 0))


def _put(pages: jax.Array, chunk: np.ndarray, start: int) -> jax.Array:
  """The pages with a part of them replaced, without a copy of the rest."""
  (device,) = pages.devices()
  return _update(pages, jax.device_put(chunk, device), np.int32(start))


def _chunks(packs: Sequence[Pack], total: int) -> Iterator[np.ndarray]:
  """All pages in order, some at a time."""
  with tqdm(
    total=total * PAGE_BYTES, unit="B", unit_scale=True, disable=None
  ) as bar:
    for pack in packs:
      for start in range(0, len(pack.pages), _CHUNK):
        chunk = pack.pages[start : start + _CHUNK]
        yield chunk
        bar.update(chunk.nbytes)

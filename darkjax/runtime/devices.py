"""A step on all devices: the one place with pmap."""

import functools

import jax
import numpy as np

from darkjax.runtime import xla_options

AXIS = "devices"  # the mapped axis of a step


def map_step(step):
  """`step` over the local and remote devices, its state donated."""
  mapped = jax.pmap(
    functools.partial(step, axis_name=AXIS), axis_name=AXIS, donate_argnums=0
  )
  return xla_options.tuned(mapped, "training")


def shard(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Splits the batch axis over this process's devices: [D, B/D, ...]."""
  devices = jax.local_device_count()
  return {
    name: array.reshape(devices, -1, *array.shape[1:])
    for name, array in batch.items()
  }

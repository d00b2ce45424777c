"""A number that changes with any bit of a tree of arrays."""

import zlib
from typing import Any

import jax
import numpy as np


def of(tree: Any) -> int:
  """CRC-32 of the bytes of all arrays, in the order of `jax.tree.leaves`."""
  crc = 0
  for leaf in jax.tree.leaves(jax.device_get(tree)):
    crc = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8), crc)
  return crc

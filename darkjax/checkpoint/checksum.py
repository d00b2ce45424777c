"""Checksums of arrays, to detect bits that changed on the disk.

With one bit of a large array flipped, orbax (0.11.36 to 0.12.8; it verifies its
own index alone) and safetensors read other numbers without an error.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

FIELD = "checksums"  # of the metadata: one for each item


def of(tree: Any) -> int:
  """Returns the CRC-32 of all arrays, in the order of `jax.tree.leaves`."""
  crc = 0
  for leaf in jax.tree.leaves(jax.device_get(tree)):
    crc = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, crc)
  return crc


def check(fields: Mapping[str, Any], name: str, tree: Any) -> None:
  """Raises ValueError unless the tree is as written, or has no checksum."""
  expected = fields.get(FIELD, {}).get(name)
  if expected is not None and expected != of(tree):
    raise ValueError(f"the numbers of {name} are not those that were written")

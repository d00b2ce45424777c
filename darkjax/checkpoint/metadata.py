"""Metadata of weights, and checksums of their arrays.

With one bit of a large array flipped, orbax (0.11.36 to 0.12.8; it verifies its
own index alone) and safetensors read other numbers without an error.
"""

import pathlib
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from darkjax import convention as convention_lib
from darkjax.metrics import calibration as calibration_lib
from darkjax.runtime.version import version


class Metadata(NamedTuple):
  """How weights were trained, and for which network."""

  convention: convention_lib.Convention
  model: dict[str, Any]  # its name and overrides, for `create_model`
  config: dict[str, Any]  # the whole configuration of the training, or {}
  calibration: calibration_lib.Calibration | None = None  # of the scores

  def to_json(self) -> dict[str, Any]:
    """Returns what json can hold, with the version of darkjax."""
    return {
      "darkjax": version(),
      "convention": self.convention.to_json(),
      "model": self.model,
      "config": self.config,
      "calibration": self.calibration and self.calibration.to_json(),
    }

  @classmethod
  def from_json(cls, fields: Any, path: str | pathlib.Path) -> "Metadata":
    """Reads what `to_json` gives; else ValueError, with the path."""
    try:
      return cls(
        convention_lib.from_json(fields["convention"]),
        {name: _hashable(value) for name, value in fields["model"].items()},
        dict(fields["config"]),
        # Files from before there were calibrations have none.
        _calibration(fields.get("calibration")),
      )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
      raise ValueError(
        f"the metadata of the checkpoint in {path} is not what darkjax "
        f"writes: {type(error).__name__}: {error}"
      ) from error


def _calibration(fields: Any) -> calibration_lib.Calibration | None:
  return None if fields is None else calibration_lib.from_json(fields)


def _hashable(value):
  """Json's lists were tuples; a Linen module must be hashable."""
  if isinstance(value, list):
    return tuple(_hashable(item) for item in value)
  return value


def checksum(tree: Any) -> int:
  """Returns the CRC-32 of all arrays, in the order of `jax.tree.leaves`."""
  crc = 0
  for leaf in jax.tree.leaves(jax.device_get(tree)):
    crc = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, crc)
  return crc


def check_tree(fields: Mapping[str, Any], name: str, tree: Any) -> None:
  """Raises ValueError unless the tree is as written, or has no checksum."""
  expected = fields.get("checksums", {}).get(name)
  if expected is not None and expected != checksum(tree):
    raise ValueError(f"the numbers of {name} are not those that were written")

"""One file of weights with their metadata, to hand on or to ship.

A safetensors file: "params/..." in half precision, "batch_stats/..." in single,
since variances may be too small for half; its header holds the metadata as json
text under "darkjax", and a checksum. Nothing in it is executed when it is read.
"""

import json
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import numpy as np
import safetensors
import safetensors.numpy

from darkjax.checkpoint.metadata import Metadata, checksum
from darkjax.runtime import files

SUFFIX = ".safetensors"
_DTYPES = {"params": np.float16, "batch_stats": np.float32}


def write(path: str | pathlib.Path, variables: Any, metadata: Metadata) -> None:
  """Writes a file that `read` understands.

  Args:
    path: of the new file; it ends with .safetensors.
    variables: {"params": ..., "batch_stats": ...}.
    metadata: of the weights.

  Raises:
    ValueError: another ending, a further collection, or a value that is not
      finite in the file's precision.
  """
  if pathlib.Path(path).suffix != SUFFIX:
    raise ValueError(f"a file of weights ends with {SUFFIX}, got {path}")
  if set(variables) - set(_DTYPES):
    raise ValueError(
      f"a file of weights holds {list(_DTYPES)}, got {list(variables)}"
    )
  arrays = {}
  leaves = flax.traverse_util.flatten_dict(variables, sep="/")
  for name, value in leaves.items():
    dtype = _DTYPES[name.partition("/")[0]]
    with np.errstate(over="ignore"):
      arrays[name] = np.asarray(value).astype(dtype, order="C")
    if not np.isfinite(arrays[name]).all():
      raise ValueError(f"{name} is not finite in {np.dtype(dtype)}")
  text = json.dumps(metadata.to_json())
  header = {"darkjax": text, "checksum": _checksum(arrays, text)}
  # The library's own writer leaves a file that its owner alone may read.
  files.write_whole(pathlib.Path(path), safetensors.numpy.save(arrays, header))


def read(path: str | pathlib.Path) -> tuple[dict[str, Any], Metadata]:
  """Reads what `write` wrote.

  Returns:
    ({"params": ..., "batch_stats": ...} of float32 arrays, metadata).

  Raises:
    ValueError: the file is damaged, or holds something else.
  """
  try:
    arrays, text = _read_tensors(path)
    fields = json.loads(text)
    leaves = {name: a.astype(np.float32) for name, a in arrays.items()}
    variables = flax.traverse_util.unflatten_dict(leaves, sep="/")
  except Exception as error:  # a file of anything fails in any way
    raise ValueError(
      f"{path} is not a file of weights that darkjax.release wrote, or it is "
      f"damaged ({type(error).__name__}: {error}); PyTorch's weights are "
      "converted by python -m darkjax.models.weights"
    ) from error
  return variables, Metadata.from_json(fields, path)


def _read_tensors(path) -> tuple[Mapping[str, np.ndarray], str]:
  with safetensors.safe_open(path, framework="numpy") as file:
    header = file.metadata() or {}
    arrays = {name: file.get_tensor(name) for name in file.keys()}
  text = header["darkjax"]
  if header["checksum"] != _checksum(arrays, text):
    raise ValueError("its content is not what was written")
  return arrays, text


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
  names = "\n".join([text, *sorted(arrays)])
  return str(zlib.crc32(names.encode(), checksum(arrays)))

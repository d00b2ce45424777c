"""Trained weights in one small file, to hand on or to ship.

A NumPy archive: "params/..." in half precision, "batch_stats/..." in single,
since variances may be too small for half, and "metadata", a json text that says
what the weights mean. Nothing in it is executed when it is read.
"""

import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import numpy as np

SUFFIX = ".npz"
_METADATA = "metadata"
_COLLECTIONS = {"params": np.float16, "batch_stats": np.float32}

# What reading anything else raises.
_FOREIGN = (
  *(KeyError, IndexError, ValueError, TypeError, EOFError),
  *(zipfile.BadZipFile, zlib.error),
)


def write(
  path: str | pathlib.Path, variables: Any, fields: Mapping[str, Any]
) -> None:
  """Writes a file that `read` understands.

  Args:
    path: of the new file; it ends with .npz.
    variables: {"params": ..., "batch_stats": ...}.
    fields: what json can say of them.

  Raises:
    ValueError: another ending, a further collection, or a parameter that is
      not finite in half precision.
  """
  if pathlib.Path(path).suffix != SUFFIX:
    raise ValueError(f"a file of weights ends with {SUFFIX}, got {path}")
  if set(variables) - set(_COLLECTIONS):
    raise ValueError(
      f"a file of weights holds {list(_COLLECTIONS)}, got {list(variables)}"
    )
  arrays = {}
  for collection, tree in variables.items():
    for name, value in flax.traverse_util.flatten_dict(tree, sep="/").items():
      with np.errstate(over="ignore"):
        array = np.asarray(value).astype(_COLLECTIONS[collection])
      if not np.isfinite(array).all():
        raise ValueError(f"{collection}/{name} is not finite in {array.dtype}")
      arrays[f"{collection}/{name}"] = array
  np.savez_compressed(path, **{_METADATA: json.dumps(dict(fields))}, **arrays)


def read(path: str | pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
  """Reads what `write` wrote.

  Args:
    path: of the file.

  Returns:
    ({"params": ..., "batch_stats": ...} of float32 arrays, fields).

  Raises:
    FileNotFoundError: no such file.
    ValueError: it is damaged, or holds something else.
  """
  try:
    with (
      pathlib.Path(path).open("rb") as file,  # NumPy leaves bad ones open
      np.load(file, allow_pickle=False) as archive,
    ):
      content = dict(archive)
    fields = json.loads(str(content.pop(_METADATA)))
    leaves = {
      tuple(name.split("/")): array.astype(np.float32)
      for name, array in content.items()
    }
    return flax.traverse_util.unflatten_dict(leaves), fields
  except _FOREIGN as error:
    raise ValueError(
      f"{path} is no file of weights that darkjax.release wrote, or it is "
      f"damaged ({type(error).__name__})"
    ) from error

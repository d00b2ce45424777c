"""Tables that pandas wrote to HDF5, as DeepLabCut's CollectedData*.h5.

Read with h5py alone: pandas' own reader unpickles what it finds, which can run
any code. The names of columns are pickled in files of the format "table"; only
lists, tuples and texts are accepted there.

Reference: pandas/io/pytables.py (pandas 3.1.1), whose files of both formats the
tests read.
"""

import io
import pathlib
import pickle
from typing import Any

import numpy as np

from darkjax.convert import extras
from darkjax.convert.formats import keypoint_table


def is_table(file: Any) -> bool:
  """Returns whether an open h5py file holds a DataFrame."""
  return any("pandas_type" in group.attrs for group in file.values())


def read(path: pathlib.Path) -> keypoint_table.Table:
  """Reads the first DataFrame of a file.

  Raises:
    ValueError: another file, or a layout that pandas does not write.
  """
  h5py = extras.load("h5py", f"{path}: HDF5")
  try:
    with h5py.File(path) as file:
      groups = [g for g in file.values() if "pandas_type" in g.attrs]
      read_group = _read_table if "table" in groups[0] else _read_fixed
      columns, images, values = read_group(groups[0])
  except (
    IndexError,
    KeyError,
    OSError,
    TypeError,
    pickle.UnpicklingError,
  ) as error:
    raise ValueError(
      f"{path}: not a table of pandas that can be read ({error}); give the csv "
      "beside it"
    ) from error
  return keypoint_table.from_frame(path, columns, images, values)


_Frame = tuple[list[tuple[str, ...]], list[str], np.ndarray]


def _read_fixed(group: Any) -> _Frame:
  """The format "fixed": blocks of columns of one type."""
  parts, columns = [], []
  for number in range(int(group.attrs["nblocks"])):
    names = _index(group, f"block{number}_items")
    block = group[f"block{number}_values"]
    values = np.asarray(block)
    columns += names
    # Written transposed or not, by the version.
    parts.append(values if values.shape[1] == len(names) else values.T)
  images = ["/".join(names) for names in _index(group, "axis1")]
  order = _index(group, "axis0")
  values = np.concatenate(parts, axis=1).astype(np.float64)
  return order, images, values[:, [columns.index(name) for name in order]]


def _index(group: Any, name: str) -> list[tuple[str, ...]]:
  if name in group:
    return [(_text(value),) for value in group[name]]
  levels = []
  for number in range(int(group.attrs[f"{name}_nlevels"])):
    texts = [_text(value) for value in group[f"{name}_level{number}"]]
    levels.append([texts[i] for i in group[f"{name}_label{number}"]])
  return list(zip(*levels, strict=True))


def _read_table(group: Any) -> _Frame:
  """The format "table": rows with the index and blocks of values."""
  table = group["table"]
  columns: list[tuple[str, ...]] = []
  parts = []
  for name in table.dtype.names:
    if name.startswith("values_block_"):
      columns += _unpickle(table.attrs[f"{name}_kind"])
      parts.append(np.asarray(table[name], np.float64))
  images = [_text(value) for value in table["index"]]
  ((_, order), *_) = _unpickle(group.attrs["non_index_axes"])
  values = np.concatenate(parts, axis=1)
  return order, images, values[:, [columns.index(name) for name in order]]


def _text(value: Any) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)


class _Texts(pickle.Unpickler):
  """Accepts no object of any class."""

  def find_class(self, module: str, name: str) -> Any:
    raise pickle.UnpicklingError(f"names of columns hold a {module}.{name}")


def _unpickle(data: Any) -> Any:
  data = data if isinstance(data, bytes) else str(data).encode("latin-1")
  return _Texts(io.BytesIO(data)).load()

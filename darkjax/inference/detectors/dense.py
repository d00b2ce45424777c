"""Outputs with a box for each cell of the network's maps: YOLOX and YOLO.

The maps have strides of 8, 16 and 32 px, in some networks of 4 or 64 too, and
follow one another by stride, each by rows.
"""

from collections.abc import Sequence

import numpy as np

from darkjax.inference.detectors.outputs import (
  Candidates,
  Input,
  Outputs,
  corners_of,
  person_column,
)

_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64))


def _count_cells(size: tuple[int, int], strides: Sequence[int]) -> int:
  return sum((size[0] // s) * (size[1] // s) for s in strides)


def _grid(size: tuple[int, int], count: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns the indices (x, y) [N, 2] and the strides [N, 1] of N cells."""
  strides = next(s for s in _STRIDES if _count_cells(size, s) == count)
  cells, sizes = [], []
  for stride in strides:
    rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride]
    cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
    sizes.append(np.full((rows.size, 1), stride))
  return np.concatenate(cells), np.concatenate(sizes)


def _match(outputs: Outputs, given: Input, *, axis: int, least: int, each: int):
  """Returns the name of a first output [B, ., .] with `each` boxes per cell.

  Args:
    outputs: of the network.
    given: its input.
    axis: of the boxes.
    least: size of the other axis.
    each: boxes per cell.
  """
  name, array = next(iter(outputs.items()))
  if array.ndim != 3 or array.dtype.kind != "f":
    return None
  counts = {each * _count_cells(given.size, strides) for strides in _STRIDES}
  fits = array.shape[axis] in counts and array.shape[3 - axis] >= least
  return name if fits else None


def match_yolox(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [B, N, 5 + C] of cells, centres in cells from each cell."""
  name = _match(outputs, given, axis=1, least=6, each=1)
  return [name] if name and not _is_decoded(outputs[name][0], given) else None


def match_yolox_decoded(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [B, N, 5 + C] of cells, centres in px."""
  name = _match(outputs, given, axis=1, least=6, each=1)
  return [name] if name and _is_decoded(outputs[name][0], given) else None


def _is_decoded(rows: np.ndarray, given: Input) -> bool:
  """Tells centres in px from those in cells, which are about 0.5 everywhere."""
  cells, strides = _grid(given.size, len(rows))
  center = rows[:, :2].astype(np.float64)
  from_cells = np.median(np.abs(center / strides - cells - 0.5))
  return bool(from_cells < np.median(np.abs(center - 0.5)))


def read_yolox(arrays, given: Input, person_class: int) -> Candidates:
  """Reads what `match_yolox` finds."""
  rows = arrays[0][0].astype(np.float32)
  cells, strides = _grid(given.size, len(rows))
  rows[:, :2] = (rows[:, :2] + cells) * strides
  rows[:, 2:4] = np.exp(rows[:, 2:4]) * strides
  return _read_rows(rows, person_class)


def match_yolov5(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [B, N, 5 + C] with three boxes per cell, in px."""
  name = _match(outputs, given, axis=1, least=6, each=3)
  return [name] if name else None


def read_with_objectness(arrays, given: Input, person_class: int) -> Candidates:
  """Reads (x, y, w, h, objectness, classes), centres, px."""
  return _read_rows(arrays[0][0], person_class)


def _read_rows(rows: np.ndarray, person_class: int) -> Candidates:
  scores = rows[:, 4] * person_column(rows, 5, person_class)
  return Candidates(corners_of(rows), scores)


def match_yolov8(outputs: Outputs, given: Input) -> list[str] | None:
  """Matches [B, 4 + C, N] of cells, in px."""
  name = _match(outputs, given, axis=2, least=5, each=1)
  return [name] if name else None


def read_yolov8(arrays, given: Input, person_class: int) -> Candidates:
  """Reads (x, y, w, h, classes), centres, px, a column each."""
  rows = arrays[0][0].T
  return Candidates(corners_of(rows), person_column(rows, 4, person_class))

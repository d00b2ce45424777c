"""Records that the readers of detectors' outputs share."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

Outputs = Mapping[str, np.ndarray]  # by name, in the order of the file


class Input(NamedTuple):
  """What a network ran on, as far as its outputs depend on it."""

  size: tuple[int, int]  # (height, width), px
  metadata: Mapping[str, str] = {}  # of the file


class Candidates(NamedTuple):
  """N boxes of people, those of one person perhaps several times."""

  corners: np.ndarray  # [N, 4] (x0, y0, x1, y1), px of the network's input
  scores: np.ndarray  # [N]


def corners_of(rows: np.ndarray) -> np.ndarray:
  """Returns (x0, y0, x1, y1) of rows (x, y, w, h, ...) with centres x, y."""
  center, half = rows[:, :2], rows[:, 2:4] / 2
  return np.concatenate([center - half, center + half], axis=1)


def person_column(rows: np.ndarray, first: int, person_class: int):
  """Returns the scores [N] of people in rows [N, first + C].

  Raises:
    ValueError: the network has no such class.
  """
  count = rows.shape[1] - first
  if person_class >= count:
    raise ValueError(
      f"person_class is an index of the network's {count} classes, from 0 on, "
      f"got {person_class}"
    )
  return rows[:, first + person_class]

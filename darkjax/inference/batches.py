"""Batches of people's crops through a backend, in the order of photographs."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from darkjax.inference.keypoints import Keypoints
from darkjax.inference.people import People


class Row(NamedTuple):
  """One row of a batch: a person's crop, or a photograph without people.

  The latter bounds reading ahead where there are no people.
  """

  people: People  # of the photograph, extended by each row's person
  bbox: np.ndarray | None
  crop: tuple[np.ndarray, np.ndarray] | None  # pixels, image_from_heatmap
  last: bool  # of the photograph
  score: float = 1.0  # of the box


def run(
  rows: Iterator[Row], backend: Callable[..., Keypoints], batch_size: int
) -> Iterator[tuple[list[Row], Keypoints]]:
  """Yields rows and the keypoints of their crops, as NumPy arrays.

  The host cuts the next batch while the device works on one.

  Args:
    rows: crops and photographs without any.
    backend: one of backends.py.
    batch_size: most rows at once.
  """
  running = None
  while batch := list(itertools.islice(rows, batch_size)):
    started = batch, *_start(batch, backend, rest=running is not None)
    if running is not None:
      yield _finish(*running)
    running = started
  if running is not None:
    yield _finish(*running)


def _start(rows, backend, rest: bool) -> tuple[Keypoints, int]:
  """Sends crops to the backend; does not wait."""
  crops = [row.crop for row in rows if row.crop is not None]
  if not crops:
    return Keypoints(*[np.zeros(0)] * 3), 0
  images, matrices = (np.stack(arrays) for arrays in zip(*crops, strict=True))
  return backend(images, matrices, rest=rest), len(crops)


def _finish(rows, keypoints, count: int) -> tuple[list[Row], Keypoints]:
  """Waits for a batch and drops its padding."""
  return rows, jax.tree.map(lambda x: np.asarray(x)[:count], keypoints)

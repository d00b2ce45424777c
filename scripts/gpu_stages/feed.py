"""Stage d: people in the card's memory, against images that the host sends.

Sides and their meaning are those of bench_resident.py. `send+step` has batches
ready in the host's memory: what the decoding of files costs comes on top.
"""

import functools
from collections.abc import Iterator

import bench_resident

from gpu_stages import background, training
from gpu_stages.cells import Budget, Cell, Line

_BATCHES = 10


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields a cell without training steps, and one with them."""
  del budget
  for steps in (False, True):
    run = functools.partial(measure, steps, flags)
    yield Cell("d/steps" if steps else "d/input", run, 150 if steps else 30)


def measure(steps: bool, flags) -> Iterator[Line]:
  """Yields a line for each side."""
  config = training.read_config(training.RUNS["unbiased"], flags)
  background.wait()
  config.data.train = tuple(training.packed_pairs(flags.packs))
  config.data.pack = flags.packs
  yield from bench_resident.measure(config, _BATCHES, flags.turns, steps=steps)

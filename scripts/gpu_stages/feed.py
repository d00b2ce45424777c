"""Stage d: people in the card's memory, against images that the host sends.

Sides and their meaning are those of bench_resident.py. `send+step` has batches
ready in the host's memory: what the decoding of files costs comes on top.
"""

import functools
import pathlib
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
  names = training.pack_names(flags.packs)["train"]
  config.data.pack = str(pathlib.Path(flags.packs))
  config.data.train = tuple((f"{name}.json", "") for name in names)
  yield from bench_resident.measure(config, _BATCHES, flags.turns, steps=steps)

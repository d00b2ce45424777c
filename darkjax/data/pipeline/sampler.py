"""Choice of the people of each step.

Pure functions of the step: any can be the first, and the number of processes
changes neither the order nor the crops.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry, Crops, Dataset


def steps_per_epoch(
  datasets: Sequence[Dataset], *, global_batch_size: int
) -> int:
  """Returns the number of full batches of all processes in one epoch.

  Raises:
    ValueError: fewer people than one batch.
  """
  people = sum(len(dataset.people) for dataset in datasets)
  if not 0 < global_batch_size <= people:
    raise ValueError(
      f"the global batch must have between 1 and {people} examples (the people "
      f"of the data sets), got {global_batch_size}; change the batch size"
    )
  return people // global_batch_size


def training_sampler(
  geometry: CropGeometry,
  augmentation: Augmentation,
  *,
  batch_size: int,
  seed: int,
  **process: int,
) -> Callable[[int], Crops]:
  """Returns a function from a step, from 0, to this process's crops of it.

  Arguments and errors as of `batches.train_batches`.
  """
  size, rows = _global_batch(batch_size, **process)
  steps = steps_per_epoch(geometry.datasets, global_batch_size=size)

  def sample(step: int) -> Crops:
    epoch, position = divmod(step, steps)
    order = permutation(len(geometry.people), seed, epoch)
    index = order[position * size + rows]
    return geometry.augmented(index, augmentation, seed=seed, epoch=epoch)

  return sample


def evaluation_sampler(
  geometry: CropGeometry, *, batch_size: int, **process: int
) -> tuple[Callable[[int], Crops], range]:
  """Returns a function as of `training_sampler`, and its steps.

  Every person comes once; rows past the last person are padding.
  """
  size, rows = _global_batch(batch_size, **process)
  steps = -(-len(geometry.people) // size)
  return lambda step: geometry.padded(step * size + rows), range(steps)


@functools.lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
  """Returns the order of an epoch, a function of (seed, epoch) alone."""
  key = np.array([seed, epoch], np.uint64)
  order = np.random.Generator(np.random.Philox(key=key)).permutation(count)
  order.flags.writeable = False
  return order


def _global_batch(
  batch_size: int, process_index: int = 0, process_count: int = 1
) -> tuple[int, np.ndarray]:
  """Returns the size of the batch of all processes, and this one's rows."""
  if batch_size < 1 or not 0 <= process_index < process_count:
    raise ValueError(
      "expected batch_size of at least 1 and 0 <= process_index < "
      f"process_count, got batch_size {batch_size}, process_index "
      f"{process_index}, process_count {process_count}"
    )
  rows = process_index * batch_size + np.arange(batch_size)
  return batch_size * process_count, rows

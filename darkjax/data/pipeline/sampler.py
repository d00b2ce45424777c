"""Which people a step takes, whatever their pixels come from.

Arithmetic on the table of people: a step gives an epoch and a position, (seed,
epoch) a permutation, and a process takes its rows of each global batch. So any
step can be the first, and the number of processes changes neither the order nor
the crops.
"""

from collections.abc import Callable, Sequence

import numpy as np

from darkjax.convention import Convention
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_plan import DataSet, Plan, Planner, permutation


def steps_per_epoch(
  sources: Sequence[DataSet], *, global_batch_size: int
) -> int:
  """Full batches of all processes together in one epoch; the rest is dropped.

  Raises:
    ValueError: fewer people than one batch.
  """
  people = sum(len(source.people) for source in sources)
  if not 0 < global_batch_size <= people:
    raise ValueError(
      f"the global batch must have between 1 and {people} examples (the people "
      f"of the sources), got {global_batch_size}; change the batch size"
    )
  return people // global_batch_size


def training(
  planner: Planner,
  augmentation: Augmentation,
  *,
  batch_size: int,
  seed: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Callable[[int], Plan]:
  """The plan of this process for each step, counted from 0.

  Args:
    planner: of the people.
    augmentation: how crops vary.
    batch_size: examples of this process in each batch.
    seed: of order and augmentation, at least 0.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.

  Raises:
    ValueError: too few people for a batch.
  """
  rows = _rows(batch_size, process_index, process_count)
  size = batch_size * process_count
  steps = steps_per_epoch(planner.sources, global_batch_size=size)

  def plan(step: int) -> Plan:
    epoch, position = divmod(step, steps)
    order = permutation(len(planner.people), seed, epoch)
    index = order[position * size + rows]
    return planner.training(index, augmentation, seed=seed, epoch=epoch)

  return plan


def evaluation(
  planner: Planner,
  *,
  batch_size: int,
  process_index: int = 0,
  process_count: int = 1,
) -> tuple[Callable[[int], Plan], int]:
  """The plan of this process for each step of an evaluation, and their number.

  Every person comes once; all processes get the same number of batches, and
  rows past the last person are padding.

  Args:
    planner: of the people.
    batch_size: examples of this process in each batch.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.
  """
  rows = _rows(batch_size, process_index, process_count)
  size = batch_size * process_count

  def plan(step: int) -> Plan:
    return planner.evaluation(step * size + rows)

  return plan, -(-len(planner.people) // size)


def check_keypoints(sources: Sequence[DataSet], convention: Convention) -> None:
  """Refuses data sets of other keypoints than the convention's, and none.

  Raises:
    ValueError: names the first such data set.
  """
  if not sources:
    raise ValueError("no sources: expected at least one data set")
  expected = convention.skeleton.keypoint_names
  for source in sources:
    if source.skeleton.keypoint_names != expected:
      raise ValueError(
        f"{source.annotations} has the keypoints "
        f"{source.skeleton.keypoint_names}, the convention expects {expected}; "
        "train and evaluate on files with the same keypoints in the same order"
      )


def _rows(batch_size: int, index: int, count: int) -> np.ndarray:
  """The rows of each global batch that belong to this process."""
  if batch_size < 1 or not 0 <= index < count:
    raise ValueError(
      "expected batch_size of at least 1 and 0 <= process_index < "
      f"process_count, got batch_size {batch_size}, process_index {index}, "
      f"process_count {count}"
    )
  return index * batch_size + np.arange(batch_size)

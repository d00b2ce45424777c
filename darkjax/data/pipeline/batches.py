"""Batches of crops from prepared sources, by tf.data.

A step number says which people come (see steps.py) and how their crops vary
(plan.py). Records are read at random positions; nothing but a few batches is
held in memory.

Plans are made by one Python thread and handed to tf.data through a queue;
decoding and warping are TensorFlow ops, in parallel. There is no Python inside
the dataset: a generator there can hang the interpreter at exit, and turns every
exception into an InvalidArgumentError.
"""

import functools
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from darkjax.convention import Convention
from darkjax.data import batch
from darkjax.data.pipeline import sampler, tf_crop
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_plan import Plan, Planner
from darkjax.data.pipeline.record_reader import StoredImages
from darkjax.data.prepared import Source

Batch = dict[str, np.ndarray]

# Batches that are planned (records read) before they are needed.
_PLANNED_AHEAD = 4
# Batches that are finished before they are needed.
_FINISHED_AHEAD = 2

# What a plan holds beside the fields of a batch.
_INGREDIENTS = {
  "record": ((), tf.string),
  "window": ((4,), tf.int32),
  "window_from_crop": ((2, 3), tf.float32),
}


def train_batches(
  sources: Sequence[Source],
  convention: Convention,
  augmentation: Augmentation,
  *,
  batch_size: int,
  seed: int,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
  num_threads: int | None = None,
) -> Iterator[Batch]:
  """Endless batches of augmented crops, as `schema.BATCH` says.

  Args:
    sources: data sets with the convention's keypoints. Their order counts: it
      is part of what augmentation is random by.
    convention: sizes and alignment; crops are RGB, see inference.normalize.
    augmentation: how crops vary.
    batch_size: examples of this process in each batch.
    seed: of order and augmentation, at least 0.
    start_step: batches that are skipped without reading anything.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.
    num_threads: threads of the pipeline; None is one per core.

  Raises:
    ValueError: a source has other keypoints, or too few people for a batch.
  """
  sampler.check_keypoints(sources, convention)
  plan = sampler.training(
    Planner(sources, convention),
    augmentation,
    batch_size=batch_size,
    seed=seed,
    process_index=process_index,
    process_count=process_count,
  )
  images = StoredImages(sources, convention)
  dataset = _Execution(sources[0], convention, batch_size, num_threads)
  endless = range(start_step, sys.maxsize)
  return _batches(lambda step: images.add(plan(step)), endless, dataset)


def eval_batches(
  source: Source,
  convention: Convention,
  *,
  batch_size: int,
  process_index: int = 0,
  process_count: int = 1,
  num_threads: int | None = None,
) -> Iterator[Batch]:
  """Every trainable person of a source once, cropped by the annotated box.

  All processes get the same number of batches; rows past the last person repeat
  it with mask 0, visibility 0 and ids -1.

  Args:
    source: data set with the convention's keypoints.
    convention: sizes and alignment; crops are RGB, see inference.normalize.
    batch_size: examples of this process in each batch.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.
    num_threads: threads of the pipeline; None is one per core.

  Raises:
    ValueError: the source has other keypoints.
  """
  sampler.check_keypoints([source], convention)
  plan, count = sampler.evaluation(
    Planner([source], convention),
    batch_size=batch_size,
    process_index=process_index,
    process_count=process_count,
  )
  images = StoredImages([source], convention)
  dataset = _Execution(source, convention, batch_size, num_threads)
  return _batches(lambda step: images.add(plan(step)), range(count), dataset)


def _batches(
  plan: Callable[[int], Plan], steps: range, execution: "_Execution"
) -> Iterator[Batch]:
  """Plans the steps some batches ahead of the dataset that executes them."""
  dataset = execution.dataset(len(steps))
  steps = iter(steps)
  batches = None
  with futures.ThreadPoolExecutor(1, "darkjax-plan") as pool:

    def hand_over(count: int) -> list[futures.Future]:
      some = itertools.islice(steps, count)
      return [pool.submit(lambda s=s: execution.put(plan(s))) for s in some]

    pending = deque(hand_over(_PLANNED_AHEAD))
    try:
      while pending:
        pending.popleft().result()  # raises what planning raised
        pending.extend(hand_over(1))
        batches = batches or dataset.as_numpy_iterator()
        yield next(batches)
    finally:
      if tf is not None:  # as it is while the interpreter exits
        execution.close()


class _Execution:
  """The tf.data half: plans go in by `put`, batches come out in order."""

  def __init__(
    self,
    source: Source,
    convention: Convention,
    batch_size: int,
    num_threads: int | None,
  ):
    _hide_gpus()
    self._source, self._convention = source, convention
    self._batch_size, self._num_threads = batch_size, num_threads
    self._specs = _specs(convention, batch_size)
    self._queue = tf.queue.FIFOQueue(
      # One more than are ever underway: `put` does not block.
      capacity=_PLANNED_AHEAD + 1,
      dtypes=[spec.dtype for spec in self._specs.values()],
      shapes=[spec.shape for spec in self._specs.values()],
      names=list(self._specs),
    )

  def put(self, plan: Plan) -> None:
    self._queue.enqueue(
      {
        name: tf.constant(plan[name], spec.dtype)
        for name, spec in self._specs.items()
      }
    )

  def close(self) -> None:
    """Ends a dataset that still waits for plans."""
    self._queue.close()

  def dataset(self, steps: int) -> tf.data.Dataset:
    plans = tf.data.Dataset.range(steps)
    plans = plans.map(lambda _: self._queue.dequeue())
    crops = plans.unbatch().map(
      functools.partial(_crop, self._source, self._convention),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    )
    batches = crops.batch(self._batch_size, drop_remainder=True)
    batches = batches.prefetch(_FINISHED_AHEAD)
    return batches.with_options(_options(self._num_threads))


def _hide_gpus() -> None:
  """Keeps TensorFlow off the accelerators, which belong to JAX."""
  try:
    tf.config.set_visible_devices([], "GPU")
  except RuntimeError:  # already started; tensorflow-cpu sees none anyway
    pass


def _specs(convention: Convention, batch_size: int) -> dict[str, tf.TensorSpec]:
  """Shapes and dtypes of a plan."""
  sizes = {"K": convention.skeleton.num_keypoints}
  fields = {
    name: (tuple(sizes.get(n, n) for n in field.shape), field.dtype)
    for name, field in batch.BATCH.items()
    if name != "image"
  }
  return {
    name: tf.TensorSpec((batch_size, *shape), dtype)
    for name, (shape, dtype) in {**fields, **_INGREDIENTS}.items()
  }


def _crop(
  source: Source, convention: Convention, planned: dict[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
  """One example of a batch from its plan."""
  data = source.image_bytes(planned["record"])
  part = tf_crop.decode_window(data, planned["window"])
  image = tf_crop.warp_inverse(
    part, planned["window_from_crop"], convention.crop_size
  )
  image.set_shape((*convention.crop_size, 3))
  fields = {n: v for n, v in planned.items() if n not in _INGREDIENTS}
  return {"image": image, **fields}


def _options(num_threads: int | None) -> tf.data.Options:
  options = tf.data.Options()
  options.deterministic = True
  # Own threads, one op each, so that XLA's are not starved.
  threads = num_threads or len(os.sched_getaffinity(0))
  options.threading.private_threadpool_size = threads
  options.threading.max_intra_op_parallelism = 1
  return options

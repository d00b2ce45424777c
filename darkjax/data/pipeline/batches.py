"""Batches of crops from prepared data sets, by tf.data.

One Python thread makes the crops' geometry and reads their records, and hands
both to tf.data through a queue. There is no Python inside the dataset: a
generator there can hang the interpreter at exit, and hides exceptions.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from darkjax.convention import Convention
from darkjax.data import batch
from darkjax.data.pipeline import appearance, sampler, tf_crop
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry, Crops
from darkjax.data.pipeline.record_reader import RecordReader
from darkjax.data.prepared import PreparedDataset
from darkjax.runtime.prefetch import map_ahead

Batch = dict[str, np.ndarray]

# Batches whose records are read, and that are finished, before they are needed.
_READ_AHEAD = 4
_FINISHED_AHEAD = 2

# What crops hold beside the fields of a batch when they are handed over.
Inputs = dict[str, tuple[tuple[int, ...], tf.DType]]
_INPUTS: Inputs = {
  "record": ((), tf.string),
  "window": ((4,), tf.int32),
  "window_from_crop": ((2, 3), tf.float32),
}


def train_batches(
  datasets: Sequence[PreparedDataset],
  convention: Convention,
  augmentation: Augmentation,
  *,
  batch_size: int,
  seed: int,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """Returns endless batches of augmented crops, with the fields of `BATCH`.

  Args:
    datasets: with the convention's keypoints; their order seeds augmentation.
    convention: sizes and alignment; crops are RGB, see inference.normalize.
    augmentation: how crops vary.
    batch_size: examples of this process in each batch.
    seed: of order and augmentation, at least 0.
    start_step: the first step.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.

  Raises:
    ValueError: a data set has other keypoints, or too few people for a batch.
  """
  geometry = CropGeometry(datasets, convention)
  sample = sampler.training_sampler(
    geometry,
    augmentation,
    batch_size=batch_size,
    seed=seed,
    process_index=process_index,
    process_count=process_count,
  )
  steps = range(start_step, sys.maxsize)
  inputs = _INPUTS
  if augmentation.changes_pixels:
    inputs = inputs | {"appearance": ((appearance.SIZE,), tf.float32)}
  return _batches(datasets, geometry, sample, steps, batch_size, inputs)


def eval_batches(
  dataset: PreparedDataset,
  convention: Convention,
  *,
  batch_size: int,
  **process: int,
) -> Iterator[Batch]:
  """Returns batches of every person of a data set once, without augmentation.

  Rows past the last person repeat it with mask 0, visibility 0 and ids -1. All
  processes get as many batches. Other arguments as of `train_batches`.

  Raises:
    ValueError: the data set has other keypoints.
  """
  geometry = CropGeometry([dataset], convention)
  sample, steps = sampler.evaluation_sampler(
    geometry, batch_size=batch_size, **process
  )
  return _batches([dataset], geometry, sample, steps, batch_size)


def _batches(
  datasets: Sequence[PreparedDataset],
  geometry: CropGeometry,
  sample: Callable[[int], Crops],
  steps: range,
  batch_size: int,
  inputs: Inputs = _INPUTS,
) -> Iterator[Batch]:
  """Samples the steps some batches ahead of the dataset that cuts the crops."""
  with contextlib.suppress(RuntimeError):  # TensorFlow has already started
    tf.config.set_visible_devices([], "GPU")  # they belong to JAX
  reader = RecordReader(datasets, geometry)
  specs = _specs(geometry.convention, batch_size, inputs)
  queue = tf.queue.FIFOQueue(
    capacity=_READ_AHEAD + 1,  # one more than are ever in it: it never blocks
    dtypes=[spec.dtype for spec in specs.values()],
    shapes=[spec.shape for spec in specs.values()],
    names=list(specs),
  )

  def enqueue(step: int) -> None:
    crops = reader.add_records(sample(step))
    queue.enqueue(
      {name: tf.constant(crops[name], s.dtype) for name, s in specs.items()}
    )

  crops = tf.data.Dataset.range(len(steps)).map(lambda _: queue.dequeue())
  crops = crops.unbatch().map(
    functools.partial(_crop, datasets[0], geometry.convention),
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=True,
  )
  dataset = crops.batch(batch_size, drop_remainder=True)
  dataset = dataset.prefetch(_FINISHED_AHEAD)
  dataset = dataset.with_options(_options())
  batches = None
  try:
    for _ in map_ahead(enqueue, steps, ahead=_READ_AHEAD):
      batches = batches or dataset.as_numpy_iterator()
      yield next(batches)
  finally:
    if tf is not None:  # as it is while the interpreter exits
      queue.close()  # ends a dataset that still waits


def _specs(
  convention: Convention, batch_size: int, inputs: Inputs
) -> dict[str, tf.TensorSpec]:
  """Shapes and dtypes of what is handed over."""
  sizes: dict[Any, Any] = {"K": convention.skeleton.num_keypoints}
  fields = {n: (f.shape, f.dtype) for n, f in batch.BATCH.items()} | inputs
  del fields["image"]
  return {
    name: tf.TensorSpec((batch_size, *(sizes.get(n, n) for n in shape)), dtype)
    for name, (shape, dtype) in fields.items()
  }


def _crop(
  dataset: PreparedDataset, convention: Convention, crop: dict[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
  """One example of a batch."""
  data = dataset.image_bytes(crop["record"])
  part = tf_crop.decode_window(data, crop["window"])
  image = tf_crop.warp(part, crop["window_from_crop"], convention.crop_size)
  image.set_shape((*convention.crop_size, 3))
  if "appearance" in crop:
    image = tf_crop.change(image, crop["appearance"])
  fields = {n: v for n, v in crop.items() if n in batch.BATCH}
  return {"image": image, **fields}


def _options() -> tf.data.Options:
  options = tf.data.Options()
  options.deterministic = True
  # Own threads, one op each, so that XLA's are not starved.
  options.threading.private_threadpool_size = 0  # as many as cores
  options.threading.max_intra_op_parallelism = 1
  return options

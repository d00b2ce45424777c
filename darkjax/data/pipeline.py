"""Batches of crops from prepared sources, by tf.data.

Which person comes when is arithmetic on the table of people: a step number
gives an epoch and a position, (seed, epoch) gives a permutation, and process p
takes its rows of each global batch. So any step can be the first, and the
number of processes changes neither the order nor the crops. Records are read at
random positions; nothing but a few batches is held in memory.

Per batch, Python plans (permutation, augmentation, matrices) and fetches the
stored records; decoding and warping are TensorFlow ops, in parallel.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data import augment, crop, schema
from darkjax.data.augment import Augmentation
from darkjax.data.source import People, Source, concatenate

Batch = dict[str, np.ndarray]


def steps_per_epoch(
  sources: Sequence[Source], *, global_batch_size: int
) -> int:
  """Full batches of all processes together in one epoch; the rest is dropped.

  Raises:
    ValueError: fewer people than one batch.
  """
  people = sum(source.num_people for source in sources)
  if not 0 < global_batch_size <= people:
    raise ValueError(
      f"the global batch must have between 1 and {people} examples (the people "
      f"of the sources), got {global_batch_size}; make the batch smaller"
    )
  return people // global_batch_size


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
    convention: sizes, alignment, channel order.
    augmentation: how crops vary.
    batch_size: examples of this process in each batch.
    seed: of order and augmentation.
    start_step: batches that are skipped without reading anything.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.
    num_threads: threads of the pipeline; None is one per core.

  Raises:
    ValueError: a source has other keypoints, or too few people for a batch.
  """
  _check_skeletons(sources, convention)
  global_batch_size = batch_size * process_count
  steps = steps_per_epoch(sources, global_batch_size=global_batch_size)
  crops = _Crops(sources, convention)
  rows = process_index * batch_size + np.arange(batch_size)

  def plan(step: int) -> Batch:
    epoch, position = divmod(step, steps)
    order = _permutation(len(crops.people), seed, epoch)
    index = order[position * global_batch_size + rows]
    return crops.plan_training(index, augmentation, seed=seed, epoch=epoch)

  wanted = itertools.count(start_step)
  return _batches(crops, plan, wanted, batch_size, num_threads)


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
    convention: sizes, alignment, channel order.
    batch_size: examples of this process in each batch.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.
    num_threads: threads of the pipeline; None is one per core.

  Raises:
    ValueError: the source has other keypoints.
  """
  _check_skeletons([source], convention)
  crops = _Crops([source], convention)
  global_batch_size = batch_size * process_count
  rows = process_index * batch_size + np.arange(batch_size)

  def plan(step: int) -> Batch:
    return crops.plan_evaluation(step * global_batch_size + rows)

  steps = range(-(-source.num_people // global_batch_size))
  return _batches(crops, plan, steps, batch_size, num_threads)


def _check_skeletons(sources: Sequence[Source], convention: Convention) -> None:
  expected = convention.skeleton.keypoint_names
  for source in sources:
    if source.skeleton.keypoint_names != expected:
      raise ValueError(
        f"{source.annotations} has the keypoints "
        f"{source.skeleton.keypoint_names}, the convention expects {expected}; "
        "train and evaluate on files with the same keypoints in the same order"
      )


@functools.lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> np.ndarray:
  """The order of an epoch, a function of (seed, epoch) alone."""
  key = np.array([seed, epoch], np.uint64)
  return np.random.Generator(np.random.Philox(key=key)).permutation(count)


def clean_boxes(people: People, *, alignment: str) -> np.ndarray:
  """Boxes [N, 4] (x, y, w, h), image px, clipped to the image.

  As in the official code, the left upper corner is clipped first, the last
  pixel counts as x + w - 1, and hrnet then takes last - first for the width,
  one pixel less than dark and udp. Never less than 1 px.
  """
  bbox = people.bbox.astype(np.float64)
  limit = people.image_size[:, ::-1] - 1
  first = np.maximum(bbox[:, :2], 0)
  last = np.minimum(limit, first + np.maximum(bbox[:, 2:] - 1, 0))
  size = last - first + (0 if alignment == "hrnet" else 1)
  return np.concatenate([first, np.maximum(size, 1)], -1)


class _Crops:
  """Plans crops of the people of several sources."""

  def __init__(self, sources: Sequence[Source], convention: Convention):
    self.convention = convention
    self.sources = sources
    self.people = concatenate([source.people for source in sources])
    self.source_index = np.repeat(
      np.arange(len(sources)), [source.num_people for source in sources]
    )
    boxes = clean_boxes(self.people, alignment=convention.alignment)
    self.center, self.scale, _ = convention.crop_from_box(boxes)
    self._records = [source.serialized() for source in sources]

  def plan_training(
    self, index: np.ndarray, augmentation: Augmentation, *, seed, epoch
  ) -> Batch:
    people = self.people.rows(index)
    draws = augment.draw(
      seed=seed,
      epoch=epoch,
      sources=self.source_index[index],
      annotation_ids=people.annotation_id,
    )
    center, scale, rotation, flip = augment.augment(
      augmentation,
      draws,
      center=self.center[index],
      scale=self.scale[index],
      keypoints_image=people.keypoints[..., :2].astype(np.float64),
      visibility=people.keypoints[..., 2],
      skeleton=self.convention.skeleton,
    )
    return self._plan(index, center, scale, rotation, flip)

  def plan_evaluation(self, index: np.ndarray) -> Batch:
    real = index < len(self.people)
    index = np.minimum(index, len(self.people) - 1)
    count = len(index)
    batch = self._plan(
      index,
      self.center[index],
      self.scale[index],
      np.zeros(count),
      np.zeros(count, bool),
    )
    batch["mask"] = real.astype(np.float32)
    batch["visibility"] *= real[:, None]
    for name in ("image_id", "annotation_id"):
      batch[name] = np.where(real, batch[name], -1)
    return batch

  def _plan(self, index, center, scale, rotation, flip) -> Batch:
    """Everything of a batch but the pixels, and what they are made from."""
    people, convention = self.people.rows(index), self.convention
    crop_from_image = self._crop_from_image(
      people, center, scale, rotation, flip
    )
    window = crop.windows(
      crop_from_image,
      crop_size=convention.crop_size,
      image_size=people.image_size,
    )
    image_from_crop = geometry.invert(crop_from_image)
    image_from_crop[..., 2] -= window[:, 1::-1]
    heatmap_from_image = geometry.compose(
      convention.heatmap_from_crop(), crop_from_image
    )
    keypoints, visibility = self._keypoints(people, heatmap_from_image, flip)
    return {
      "record": self._read(index, people.record),
      "window": window,
      "window_from_crop": image_from_crop.astype(np.float32),
      "keypoints_heatmap": keypoints.astype(np.float32),
      "visibility": visibility.astype(np.float32),
      "image_from_heatmap": geometry.invert(heatmap_from_image).astype(
        np.float32
      ),
      "mask": np.ones(len(index), np.float32),
      "image_id": people.image_id,
      "annotation_id": people.annotation_id,
      "score": people.score,
      "box_area": scale.prod(-1).astype(np.float32),
    }

  def _crop_from_image(
    self, people: People, center, scale, rotation, flip
  ) -> np.ndarray:
    """[B, 2, 3]; a flipped crop is the crop of the mirrored image."""
    mirror = augment.mirror(people.image_size[:, 1])
    mirrored = geometry.apply_affine(mirror, center[:, None])[:, 0]
    center = np.where(flip[:, None], mirrored, center)
    plain = self.convention.crop_from_image(center, scale, rotation)
    flipped = geometry.compose(plain, mirror)
    return np.where(flip[:, None, None], flipped, plain)

  def _keypoints(self, people: People, heatmap_from_image, flip):
    """keypoints_heatmap [B, K, 2] and visibility [B, K], sides swapped."""
    points = geometry.apply_affine(
      heatmap_from_image, people.keypoints[..., :2].astype(np.float64)
    )
    visible = people.keypoints[..., 2] > 0
    points = np.where(visible[..., None], points, 0.0)
    swap = list(self.convention.skeleton.flip_indices)
    flip = flip[:, None]
    return (
      np.where(flip[..., None], points[:, swap], points),
      np.where(flip, visible[:, swap], visible),
    )

  def _read(self, index: np.ndarray, record: np.ndarray) -> np.ndarray:
    """[B] bytes, the stored records."""
    stored = np.empty(len(index), object)
    source_index = self.source_index[index]
    for i, records in enumerate(self._records):
      mine = np.flatnonzero(source_index == i)
      stored[mine] = records.__getitems__(record[mine].tolist())
    return stored


# What a plan holds beside the fields of a batch.
_PLAN = {
  "record": ((), tf.string),
  "window": ((4,), tf.int32),
  "window_from_crop": ((2, 3), tf.float32),
}


def _batches(
  crops: _Crops,
  plan: Callable[[int], Batch],
  steps: Sequence[int] | Iterator[int],
  batch_size: int,
  num_threads: int | None,
) -> Iterator[Batch]:
  """Runs the plans of the steps: fetch, decode, warp, batch, prefetch."""
  _hide_gpus()

  def plans() -> Iterator[Batch]:
    return (plan(step) for step in steps)

  dataset = tf.data.Dataset.from_generator(
    plans, output_signature=_signature(crops.convention, batch_size)
  )
  to_crop = functools.partial(_crop, crops.sources[0], crops.convention)
  dataset = dataset.unbatch().map(
    to_crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(2)
  dataset = dataset.with_options(_options(num_threads))
  return dataset.as_numpy_iterator()


def _hide_gpus() -> None:
  """Keeps TensorFlow off the accelerators, which belong to JAX."""
  try:
    tf.config.set_visible_devices([], "GPU")
  except RuntimeError:  # already started; tensorflow-cpu sees none anyway
    pass


def _signature(convention: Convention, batch_size: int):
  sizes = {"K": convention.skeleton.num_keypoints}
  fields = {
    name: (tuple(sizes.get(n, n) for n in field.shape), field.dtype)
    for name, field in schema.BATCH.items()
    if name != "image"
  }
  return {
    name: tf.TensorSpec((batch_size, *shape), dtype)
    for name, (shape, dtype) in {**fields, **_PLAN}.items()
  }


def _crop(source: Source, convention: Convention, planned):
  """One example of a batch from its plan."""
  data = source.image_bytes(planned["record"])
  part = crop.decode_window(data, planned["window"])
  image = crop.warp_inverse(
    part, planned["window_from_crop"], convention.crop_size
  )
  if convention.channel_order == "bgr":
    image = image[..., ::-1]
  image.set_shape((*convention.crop_size, 3))
  fields = {n: v for n, v in planned.items() if n not in _PLAN}
  return {"image": image, **fields}


def _options(num_threads: int | None) -> tf.data.Options:
  options = tf.data.Options()
  options.deterministic = True
  # Own threads, one op each, so that XLA's are not starved.
  options.threading.private_threadpool_size = num_threads or len(
    os.sched_getaffinity(0)
  )
  options.threading.max_intra_op_parallelism = 1
  return options

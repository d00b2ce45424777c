"""Benchmark of crops from a pack on the device, beside tf.data.

  python -m darkjax.data.pack --config=CONFIG --config.data.pack=PACKS
  python scripts/bench_resident.py --config=CONFIG --config.data.pack=PACKS

Prints one line of json per measurement, in images a second, with machine and
commit; medians over turns that the sides take in one process:

  tf.data   finished batches, by threads on all cores (without TensorFlow, left
            out); those that were ready before do not count
  plan      all of a resident batch but its pixels, by one thread on the host
  cut       its pixels, on the device
  send      images from the host's memory to the device
  step      a training step on images that are on the device
  cut+step  a training step that cuts them first, as training does
  send+step a training step on images that the host sends, as with tf.data

People and augmentation are the same on all sides. The first device alone works.
"""

import functools
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator

import bench
import jax
import numpy as np
import optax

from darkjax import convention as convention_lib
from darkjax import models
from darkjax.data import batch as schema
from darkjax.data.pack import batches as resident
from darkjax.data.pack import files
from darkjax.data.pipeline import augment
from darkjax.runtime import command, startup
from darkjax.train import device_crop, device_pack, optim
from darkjax.train.step import create_state, train_step

_READY = 8  # batches that tf.data may have finished or begun in others' turns


def main(flags: command.Flags, _) -> None:
  """Prints the measurements."""
  startup.start()
  config = flags.config
  for line in measure(config, flags.batches, flags.turns, steps=flags.steps):
    bench.show(**line, device=jax.devices()[0].device_kind)


def measure(config, count: int, turns: int, *, steps: bool) -> Iterator[dict]:
  """Yields a line for each side."""
  sides = make_sides(config, count, steps=steps)
  times = {name: [] for name in sides}
  for turn in range(turns + 1):
    for name, side in sides.items():
      seconds = side()
      if turn:  # the first compiles
        times[name].append(seconds / count)
  for name, seconds in times.items():
    rate = config.train.batch_size / float(np.median(seconds))
    yield {
      "side": name,
      "model": config.model.name,
      "crop_size": list(config.convention.crop_size),
      "batch_size": config.train.batch_size,
      "images_per_second": round(rate, 1),
      "turns": turns,
    }


def make_sides(
  config, count: int, *, steps: bool
) -> dict[str, Callable[[], float]]:
  """Returns the sides: functions that give the seconds of `count` batches."""
  packs = files.assign_pages(
    [
      files.read(files.folder_of(config.data.pack, *pair))
      for pair in config.data.train
    ]
  )
  convention = convention_lib.from_config(
    config.convention, skeleton=packs[0].skeleton
  )
  options = {
    "convention": convention,
    "augmentation": augment.from_config(config.augmentation),
    "batch_size": config.train.batch_size,
    "seed": config.seed,
  }
  pages = device_pack.place(packs).addressable_data(0)
  planned = functools.partial(resident.train_batches, packs, **options)
  batches = on_device(planned(), count)
  cut = functools.partial(cut_crops, crop_size=convention.crop_size)
  images = [jax.device_get(jax.jit(cut)(pages, batch)) for batch in batches]
  sides = {
    "cut": timed(jax.jit(cut), [(pages, batch) for batch in batches]),
    "send": timed(jax.device_put, [(batch,) for batch in images]),
  }
  if steps:
    sides |= step_sides(config, convention, cut, pages, batches, images)
  sides["plan"] = functools.partial(plan_side, planned, count)
  if importlib.util.find_spec("tensorflow") is not None:
    sides["tf.data"] = functools.partial(
      drawn, tf_batches(config, options), count
    )
  return sides


def tf_batches(config, options) -> Iterator[dict[str, np.ndarray]]:
  """Returns the same batches from image files."""
  from darkjax.data import from_config
  from darkjax.data.pipeline import batches as pipeline

  return pipeline.train_batches(from_config.prepare_training(config), **options)


def drawn(batches: Iterator, count: int) -> float:
  """Returns the seconds of `count` batches, after those that were ready."""
  for _ in itertools.islice(batches, _READY):
    pass
  start = time.perf_counter()
  for _ in itertools.islice(batches, count):
    pass
  return time.perf_counter() - start


def plan_side(planned: Callable[..., Iterator], count: int) -> float:
  """Returns the seconds of `count` plans of a new stream."""
  stream = planned()
  start = time.perf_counter()
  for _ in itertools.islice(stream, count):
    pass
  seconds = time.perf_counter() - start
  stream.close()
  return seconds


def on_device(planned: Iterator, count: int) -> list[dict[str, jax.Array]]:
  """Returns batches that are planned and sent before anything is timed."""
  batches = [
    jax.device_put(schema.to_device_fields(batch))
    for batch in itertools.islice(planned, count)
  ]
  planned.close()
  return batches


def cut_crops(pages, batch, *, crop_size):
  """Returns the batch with images, from pages [M, P, 3]."""
  return device_crop.with_images(batch, pages, crop_size=crop_size)


def step_sides(config, convention, cut, pages, batches, images):
  """Returns a training step alone, and after cutting or sending `images`."""
  model = models.create_model(
    config.model.name,
    convention.skeleton.num_keypoints,
    dtype=config.model.dtype,
    **config.model.overrides,
  )
  optimizer = optim.create_optimizer(
    optax.constant_schedule(config.optimizer.learning_rate),
    clip_norm=config.optimizer.clip_norm,
  )
  state = create_state(
    jax.random.key(0, impl="rbg"),
    model,
    optimizer,
    crop_size=convention.crop_size,
  )
  step = functools.partial(
    train_step,
    model=model,
    optimizer=optimizer,
    convention=convention,
    loss=config.loss.name,
  )

  def cut_and_step(state, pages, batch):
    return step(state, cut(pages, batch))

  step = jax.jit(step)
  there = jax.device_put(images)
  return {
    "step": timed(step, [(state, batch) for batch in there]),
    "send+step": timed(step, [(state, batch) for batch in images]),
    "cut+step": timed(
      jax.jit(cut_and_step), [(state, pages, batch) for batch in batches]
    ),
  }


def timed(function, arguments) -> Callable[[], float]:
  """Returns a side that runs a function on all arguments."""
  return lambda: bench.seconds(
    lambda: jax.block_until_ready([function(*one) for one in arguments])
  )


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.config("config", None, "Configuration file, of configs/.")
  define.integer("batches", 10, "Batches of a turn.")
  define.bool("steps", True, "Measure training steps too.")
  define.integer("turns", 7, "How often each side is timed.")
  define.required(["config"])


if __name__ == "__main__":
  command.run(main, define_flags)

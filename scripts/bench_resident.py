"""How fast crops come from canvases on the device, beside tf.data.

  python -m darkjax.data.pack --config=CONFIG --config.data.pack=PACKS
  python scripts/bench_resident.py --config=CONFIG --config.data.pack=PACKS

Prints one line of json per measurement, in images a second, with machine and
commit; medians over turns that the sides take in one process:

  tf.data   finished batches, by threads on all cores (left out where TensorFlow
            is not installed); those that were ready before do not count
  plan      all of a resident batch but its pixels, by one thread on the host
  cut       its pixels, on the device
  step      a training step on images that are on the device
  cut+step  a training step that cuts them first, as training does

People and augmentation are the same on all sides. The first device alone works.
"""

import functools
import importlib.util
import itertools
import json
import time
from collections.abc import Callable, Iterator

import config_path  # noqa: F401 so that --config finds configs/
import jax
import numpy as np
import provenance
from absl import app, flags
from ml_collections import config_flags

from darkjax import convention as convention_lib
from darkjax import models
from darkjax.data import batch as schema
from darkjax.data.pack import batches as resident
from darkjax.data.pack import files
from darkjax.data.pipeline import augment
from darkjax.runtime import startup
from darkjax.train import device_crop, device_pack, optim
from darkjax.train.step import create_state, train_step

_READY = 8  # batches that tf.data may have finished or begun in others' turns


def main(argv) -> None:
  """Prints the measurements."""
  del argv
  startup.start()
  flag = flags.FLAGS
  sides = make_sides(flag.config, flag.batches)
  times = {name: [] for name in sides}
  for turn in range(flag.turns + 1):
    for name, side in sides.items():
      seconds = side()
      if turn:  # the first compiles
        times[name].append(seconds / flag.batches)
  for name, seconds in times.items():
    show(
      name,
      flag.config,
      images_per_second=round(
        flag.config.train.batch_size / float(np.median(seconds)), 1
      ),
      turns=flag.turns,
    )


def make_sides(config, count: int) -> dict[str, Callable[[], float]]:
  """Every side: seconds that `count` batches take."""
  packs = files.assign_pages(
    [
      files.read(files.folder_of(config.data.pack, pair[0]))
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
  sides = {"cut": timed(jax.jit(cut), [(pages, batch) for batch in batches])}
  if flags.FLAGS.steps:
    sides |= step_sides(config, convention, cut, pages, batches)
  sides["plan"] = functools.partial(plan_side, planned, count)
  if importlib.util.find_spec("tensorflow") is not None:
    sides["tf.data"] = functools.partial(
      drawn, tf_batches(config, options), count
    )
  return sides


def tf_batches(config, options) -> Iterator[dict[str, np.ndarray]]:
  """The same batches from image files."""
  from darkjax.data import from_config
  from darkjax.data.pipeline import batches as pipeline

  return pipeline.train_batches(from_config.prepare_training(config), **options)


def drawn(batches: Iterator, count: int) -> float:
  """Seconds of `count` batches, after those that were ready."""
  for _ in itertools.islice(batches, _READY):
    pass
  start = time.perf_counter()
  for _ in itertools.islice(batches, count):
    pass
  return time.perf_counter() - start


def plan_side(planned: Callable[..., Iterator], count: int) -> float:
  """Seconds of `count` plans; a new stream each time has none ready."""
  stream = planned()
  start = time.perf_counter()
  for _ in itertools.islice(stream, count):
    pass
  seconds = time.perf_counter() - start
  stream.close()
  return seconds


def on_device(planned: Iterator, count: int) -> list[dict[str, jax.Array]]:
  """Some batches, planned and sent before anything is timed."""
  batches = [
    jax.device_put(schema.to_device_fields(batch))
    for batch in itertools.islice(planned, count)
  ]
  planned.close()
  return batches


def cut_crops(pages, batch, *, crop_size):
  """The batch with images, from pages [1, M, P, 3]."""
  return device_crop.with_images(batch, pages[0], crop_size=crop_size)


def step_sides(config, convention, cut, pages, batches):
  """A step without and with the cutting before it."""
  model = models.create_model(
    config.model.name,
    convention.skeleton.num_keypoints,
    dtype=config.model.dtype,
    **config.model.overrides,
  )
  optimizer = optim.create_optimizer(
    config.optimizer, steps_per_epoch=1, batch_size=config.train.batch_size
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

  images = [jax.jit(cut)(pages, batch) for batch in batches]
  return {
    "step": timed(jax.jit(step), [(state, batch) for batch in images]),
    "cut+step": timed(
      jax.jit(cut_and_step), [(state, pages, batch) for batch in batches]
    ),
  }


def timed(function, arguments) -> Callable[[], float]:
  """A side: seconds of a function of the device on all arguments."""

  def side() -> float:
    start = time.perf_counter()
    jax.block_until_ready([function(*one) for one in arguments])
    return time.perf_counter() - start

  return side


def show(name: str, config, **measurement) -> None:
  """Prints a measurement and where it comes from."""
  facts = {
    "side": name,
    "model": config.model.name,
    "crop_size": list(config.convention.crop_size),
    "batch_size": config.train.batch_size,
    **measurement,
    "device": jax.devices()[0].device_kind,
    "machine": provenance.machine(),
    "commit": provenance.commit(),
  }
  print(json.dumps(facts), flush=True)


if __name__ == "__main__":
  config_flags.DEFINE_config_file("config", None, "A file of configs/.")
  flags.DEFINE_integer("batches", 10, "Batches of a turn.")
  flags.DEFINE_bool("steps", True, "Measure training steps too.")
  flags.DEFINE_integer("turns", 7, "How often each side is timed.")
  flags.mark_flag_as_required("config")
  app.run(main)

"""Stage f: training on packs until the time is up.

The recipe is that of configs/coco_hrnet_w32_128x96.py with bfloat16 layers, but
the learning rate drops after the same shares of the time (170 and 200 of 210)
as there of the epochs. All runs compile while earlier stages do. Weights are
written in half precision, in parts of at most 15 MiB (`cat NAME.safetensors.* >
NAME.safetensors`); `python -m darkjax.evaluate` scores them elsewhere.
"""

import functools
import json
import pathlib
import runpy
import time
from collections.abc import Generator, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from darkjax import checkpoint, models
from darkjax import convention as convention_lib
from darkjax.data import batch as batch_lib
from darkjax.data.pack import batches, files
from darkjax.data.pipeline import augment
from darkjax.runtime import command, devices
from darkjax.train import device_crop, device_pack, optim
from darkjax.train.step import State, create_state, train_step
from gpu_stages import background
from gpu_stages.cells import Budget, Cell, Line

_PART = 15 * 2**20  # bytes
_WRITING = 8.0  # s, about what reading back and writing take
_LINE_EVERY = 10.0  # s


class Run(NamedTuple):
  """A network to train; `share` is of the time, against the other runs."""

  variant: str  # of the configuration
  model: str
  ema_decay: float
  share: float


RUNS = {
  "unbiased": Run("", "hrnet_w32", 0.0, 2.0),
  "biased": Run("biased", "hrnet_w32", 0.0, 2.0),
  "small": Run("", "hrnet_small", 0.999, 2.0),
}


class Prepared(NamedTuple):
  """A run whose step is compiled."""

  config: Any
  fields: dict[str, Any]  # of `create_model`
  convention: convention_lib.Convention
  step: Any
  state: State
  stream: Iterator[dict[str, np.ndarray]]
  people: int


class Data(NamedTuple):
  """Packs, and their pixels on the devices."""

  train: list[files.Pack]
  pages: jax.Array


def packed_pairs(folder: str | None) -> list[tuple[str, str]]:
  """Returns (json, images) of training's packs in a folder of gpu_pack.py."""
  if not folder:
    raise ValueError("stages d and f need --packs, see gpu_pack.py")
  pairs = json.loads((pathlib.Path(folder) / "packs.json").read_text())
  return list(map(tuple, pairs["train"]))


def read_config(run: Run, flags):
  """Returns the configuration of a run."""
  path, _ = command.config_path("coco_hrnet_w32_128x96")
  config = runpy.run_path(str(path))["get_config"](run.variant)
  config.model.name = flags.train_network or run.model
  config.model.dtype = flags.dtypes[0]
  config.train.batch_size = flags.batch
  return config


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields a cell for each run; begins to compile them all."""
  runs = {name: RUNS[name] for name in flags.runs}
  data = background.begin(functools.partial(place, flags.packs))
  prepared = {
    name: background.begin(functools.partial(prepare, run, data, flags))
    for name, run in runs.items()
  }
  for i, (name, run) in enumerate(runs.items()):
    rest = sum(other.share for other in [*runs.values()][i:])
    measure = functools.partial(
      *(train, name, run.share / rest, data, prepared[name], budget, flags)
    )
    yield Cell(f"f/{name}", measure, flags.shortest_s, adapts=True)


def place(folder: str | None) -> Data:
  """Copies the packs of training in a folder to the devices."""
  pairs = packed_pairs(folder)
  paths = [files.folder_of(str(folder), *pair) for pair in pairs]
  packs = files.assign_pages(list(map(files.read, paths)))
  return Data(packs, device_pack.place(packs))


def prepare(run: Run, waiting: futures.Future, flags) -> Prepared:
  """Creates a run and takes its first step, which compiles."""
  config = read_config(run, flags)
  data: Data = waiting.result()
  convention = convention_lib.from_config(
    config.convention, skeleton=data.train[0].skeleton
  )
  fields = {
    "name": config.model.name,
    "num_keypoints": convention.skeleton.num_keypoints,
    "dtype": config.model.dtype,
  }
  model = models.create_model(**fields)
  state = create_state(
    jax.random.key(config.seed, impl="rbg"),
    model,
    _optimizer(config.optimizer.learning_rate),
    crop_size=convention.crop_size,
    averaged=run.ema_decay > 0,
  )

  def take(state, batch, shared, axis_name):
    pages, rate = shared
    batch = device_crop.with_images(
      batch, pages, crop_size=convention.crop_size
    )
    return train_step(
      state,
      batch,
      model=model,
      optimizer=_optimizer(rate),
      convention=convention,
      ema_decay=run.ema_decay,
      axis_name=axis_name,
    )

  step = devices.map_step(take, mapping=config.train.mapping)
  stream = batches.train_batches(
    data.train,
    convention,
    augment.from_config(config.augmentation),
    batch_size=config.train.batch_size,
    seed=config.seed,
  )
  first = batch_lib.to_device_fields(next(stream))
  shared = data.pages, devices.replicate(np.float32(1e-3))
  state, values = step(devices.replicate(state), first, shared)
  jax.block_until_ready(values)
  people = sum(len(pack.people) for pack in data.train)
  return Prepared(config, fields, convention, step, state, stream, people)


def _optimizer(rate) -> optax.GradientTransformation:
  return optim.create_optimizer(lambda step: rate, clip_norm=0.0)


def rate_at(share: float, settings) -> float:
  """Returns the learning rate after a share of the time."""
  passed = sum(share >= epoch / 210 for epoch in settings.milestones)
  return settings.learning_rate * settings.decay**passed


def train(
  name: str,
  share: float,
  data: futures.Future,
  prepared: futures.Future,
  budget: Budget,
  flags,
) -> Iterator[Line]:
  """Trains for a share of the time that is left, and saves."""
  made = prepared.result()
  yield {"compiled": True, "left_s": round(budget.left(), 1)}
  seconds = share * budget.left() - _WRITING
  state = yield from steps(made, data.result().pages, seconds)
  state = jax.device_get(devices.first_copy(state))
  if flags.weights:
    metadata = checkpoint.Metadata(made.convention, made.fields, {})
    path = pathlib.Path(flags.weights) / f"{name}.safetensors"
    yield {"weights": save(path, state.variables, metadata)}


def steps(
  made: Prepared, pages: jax.Array, seconds: float
) -> Generator[Line, None, State]:
  """Yields a line now and then; returns the state in the end.

  Raises:
    FloatingPointError: the loss is not finite.
  """
  settings, state, values = made.config.optimizer, made.state, None
  size = made.config.train.batch_size
  start = last = time.monotonic()
  count = before = 0
  rate, shared = None, None
  while (now := time.monotonic()) < start + seconds or not count:
    new = rate_at((now - start) / seconds, settings) if seconds > 0 else 0.0
    if new != rate:
      rate, shared = new, (pages, devices.replicate(np.float32(new)))
    fields = batch_lib.to_device_fields(next(made.stream))
    done = values
    state, values = made.step(state, fields, shared)
    count += 1
    # Waits for the step before while the card is busy with this one.
    loss = None if done is None else float(devices.first_copy(done["loss"]))
    if loss is not None and not np.isfinite(loss):
      raise FloatingPointError(f"the loss is {loss} after {count} steps")
    if now - last > _LINE_EVERY:
      yield {
        "step": count,
        "epoch": round(count * size / made.people, 2),
        "loss": loss,
        "learning_rate": rate,
        "images_per_second": round((count - before) * size / (now - last), 1),
      }
      last, before = now, count
  made.stream.close()
  jax.block_until_ready(state)
  spent = time.monotonic() - start
  yield {
    "steps": count,
    "epochs": round(count * size / made.people, 2),
    "trained_s": round(spent, 1),
    "images_per_second": round(count * size / spent, 1),
  }
  return state


def save(
  path: pathlib.Path, variables: Any, metadata: checkpoint.Metadata
) -> list[str]:
  """Writes a file of weights in parts; returns their names."""
  path.parent.mkdir(parents=True, exist_ok=True)
  checkpoint.save_file(path, variables, metadata)
  data = path.read_bytes()
  parts = [
    path.with_name(f"{path.name}.{i}") for i in range(-(-len(data) // _PART))
  ]
  for i, part in enumerate(parts):
    part.write_bytes(data[i * _PART : (i + 1) * _PART])
  path.unlink()
  return [part.name for part in parts]

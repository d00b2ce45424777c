"""Parts shared by the benchmarks: turns of several sides, data, and printing.

Needs neither TensorFlow nor ml-collections.
"""

import functools
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from darkjax import convention, skeletons

Side = Callable[[], object]
RATE = 1e-3  # of Adam


class Setting(NamedTuple):
  """A network and how it is run."""

  model: str
  size: tuple[int, int]  # (height, width) of the crops, px
  dtype: str  # "float32" | "bfloat16", of the layers
  torch_mode: str  # of torch.compile, or "eager" without it
  remat: bool = False  # whether darkjax recomputes activations in training


def machine() -> str:
  """Returns processor, cores this process may use, and the version of JAX."""
  cores = len(os.sched_getaffinity(0))
  return f"{_processor()}, {cores} cores, jax {jax.__version__}"


def _processor() -> str:
  """Linux has the name in a file only."""
  file = pathlib.Path("/proc/cpuinfo")
  lines = file.read_text().splitlines() if file.exists() else []
  names = [line.split(":")[1].strip() for line in lines if "model name" in line]
  return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
  """Returns the commit of this repository, with "-dirty" where files differ.

  "unknown" without a repository or without git.
  """
  if not shutil.which("git"):
    return "unknown"
  described = subprocess.run(
    ["git", "describe", "--always", "--dirty"],
    cwd=pathlib.Path(__file__).parent,
    capture_output=True,
    text=True,
    check=False,
  )
  return described.stdout.strip() or "unknown"


def origin() -> dict[str, str]:
  """Returns the machine and commit that a measurement comes from."""
  return {"machine": machine(), "commit": commit()}


def show(**measurement: Any) -> None:
  """Prints a measurement and its origin as one line of json."""
  print(json.dumps(measurement | origin()), flush=True)


def seconds(side: Side) -> float:
  """Returns the wall-clock time of one call."""
  start = time.perf_counter()
  side()
  return time.perf_counter() - start


def take_turns(
  sides: Mapping[str, Side],
  turns: int,
  *,
  calls: int = 1,
  pause: float = 0.0,
  seldom: Collection[str] = (),
) -> dict[str, np.ndarray]:
  """Times every side in turn, after a first call that compiles.

  Args:
    sides: functions by name.
    turns: how often each side is timed.
    calls: calls in a row in a turn, as in an evaluation. The median of the
      later half counts, when threads and caches of the last side are gone.
    pause: seconds before each side's calls.
    seldom: names of slow sides, which take part in every tenth turn only.

  Returns:
    Seconds [turns] of a call by side; nan in turns without that side.
  """
  for side in sides.values():
    side()
  times = {name: np.full(turns, np.nan) for name in sides}
  for turn in range(turns):
    for name, side in sides.items():
      if name in seldom and turn % 10:
        continue
      time.sleep(pause)
      row = [seconds(side) for _ in range(calls)]
      times[name][turn] = np.median(row[calls // 2 :])
  return times


def ratio(one: np.ndarray, other: np.ndarray) -> float:
  """Returns the median of one / other over the turns that have both."""
  return round(float(np.nanmedian(one / other)), 4)


def run_again(script: str, *flags: str, **options: Any) -> str:
  """Runs a script in a new process and returns the last line it prints."""
  command = [sys.executable, script, *flags]
  done = subprocess.run(
    command, check=True, stdout=subprocess.PIPE, text=True, **options
  )
  return done.stdout.splitlines()[-1]


def parse_size(text: str) -> tuple[int, int]:
  """Returns (height, width) of a text as "128x96"."""
  height, width = map(int, text.split("x"))
  return height, width


def define_data_flags(define) -> None:
  """Adds the flags of `read_data`."""
  define.config("config", None, "Configuration file, of configs/.")
  define.string("annotations", None, "COCO-format json.")
  define.string("images", None, "Folder of its images.")
  define.string("cache", "", "Folder for prepared records.")
  define.required(["config", "annotations", "images"])


def read_data(flags):
  """Returns the data set of the flags, and the configuration's convention."""
  from darkjax.data.coco import prepare  # TensorFlow

  source = prepare.load(flags.annotations, flags.images, cache_dir=flags.cache)
  return source, convention.from_config(
    flags.config.convention, skeleton=source.skeleton
  )


def make_convention(
  size: tuple[int, int] = (128, 96),
  skeleton: skeletons.Skeleton = skeletons.COCO,
) -> convention.Convention:
  """Returns the convention of configs/coco_hrnet_w32_*.py.

  Args:
    size: (height, width) of the crops, px; 128, 256 or 384 high.
    skeleton: of the people.
  """
  height, width = size
  return convention.Convention(
    skeleton=skeleton,
    crop_size=size,
    heatmap_size=(height // 4, width // 4),
    alignment="dark",
    padding=1.25,
    sigma=height / 128,
    quantize="none",
    truncate=None,
    blur_kernel={128: 3, 256: 11, 384: 11}[height],
    flip_shift=0,
    channel_order="rgb",
  )


def make_batch(
  count: int, size: tuple[int, int] = (128, 96)
) -> dict[str, np.ndarray]:
  """Returns a training batch of noise and random keypoints.

  Args:
    count: number of people.
    size: (height, width) of the crops, px.

  Returns:
    The fields of a batch that a training step reads, 17 keypoints a person.
  """
  height, width = size
  noise = np.random.default_rng(0)
  corner = [width / 4 - 4, height / 4 - 4]  # heatmap px
  points = noise.uniform([2, 2], corner, (count, 17, 2))
  return {
    "image": noise.integers(0, 256, (count, height, width, 3), np.uint8),
    "keypoints_heatmap": points.astype(np.float32),
    "visibility": np.ones((count, 17), np.float32),
    "image_from_heatmap": np.tile(np.eye(2, 3, dtype="f4"), (count, 1, 1)),
    "mask": np.ones(count, np.float32),
  }


def training_step(
  setting: Setting, batch: dict[str, np.ndarray]
) -> tuple[Callable, Any, Any]:
  """Returns a step to be jitted, with Adam, and its state and batch.

  The batch, from `make_batch`, is put on the device.
  """
  import optax

  from darkjax import models
  from darkjax.train import step as step_lib

  network = models.create_model(
    setting.model, dtype=setting.dtype, remat=setting.remat
  )
  optimizer = optax.adam(RATE)
  state = step_lib.create_state(
    jax.random.key(0), network, optimizer, crop_size=setting.size
  )
  take = functools.partial(
    step_lib.train_step,
    model=network,
    optimizer=optimizer,
    convention=make_convention(setting.size),
  )
  return take, state, jax.device_put(batch)


def darkjax_training(
  setting: Setting, batch: dict[str, np.ndarray]
) -> Callable[[int], None]:
  """`train_step` on one device, with Adam."""
  from darkjax.runtime import xla_options

  take, state, batch = training_step(setting, batch)
  step = xla_options.tuned(jax.jit(take, donate_argnums=0), "training")

  def run(steps):
    nonlocal state
    for _ in range(steps):
      state, _ = step(state, batch)
    jax.block_until_ready(state)

  return run

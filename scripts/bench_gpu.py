"""Benchmark of training and inference on a GPU, beside PyTorch.

    python scripts/bench_gpu.py --out=gpu.jsonl --minutes=9

HRNet-W32 and W48 at 256x192 in bfloat16; PyTorch runs timm's HRNet with a 1x1
head, channels-last, in torch.autocast under torch.compile. gpu_sides.py defines
a step. Needs JAX, Flax, optax, orbax, PyTorch and timm, and neither
TensorFlow nor pycocotools nor ml-collections. Where there is no GPU both sides
take the CPU, for small cases:

    python scripts/bench_gpu.py --models=hrnet_small --size=128x96 \
      --dtype=float32 --training=8 --inference=8 --steps=1 --turns=5

A cell is a model, a task and a batch size. All its sides take turns in one
process; a figure is the median over the turns, a ratio the median of the ratios
within a turn. One line of json per side, printed and appended to --out once the
cell is done: started again with the same file, the command goes on with the
cells that are not in it for this card and commit.

  of_torch        PyTorch's seconds by this side's
  share_of_peak   operations (two per multiply-add of the convolutions, three
                  times that for training) a second, by the card's dense
                  bfloat16 peak; null for other cards and types
  decode_share    share of inference's time that DARK takes more than argmax
"""

import functools
import json
import os
import pathlib
import time
from typing import NamedTuple

import bench
import jax
import numpy as np
from absl import app, flags

from darkjax import models
from darkjax.models import cost
from darkjax.runtime import startup

# FLOP/s in dense bfloat16 by JAX's name of the card: NVIDIA's data sheets of
# the H100 SXM and the H200 SXM.
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}


class Cell(NamedTuple):
  """One measurement: `batch` people a step, `size` is HxW."""

  model: str
  task: str
  size: str
  dtype: str
  batch: int


class Origin(NamedTuple):
  """Device and commit of a line, which decide what is done already."""

  device: str
  commit: str


def main(argv: list[str]) -> None:
  """Measures the cells that are not in the file."""
  del argv
  # Before JAX starts: it would take three quarters of the memory at once.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  startup.start()
  check_same_device()
  flag = flags.FLAGS
  commit = flag.commit or bench.commit()
  origin = Origin(jax.devices()[0].device_kind, commit)
  batches = {"training": flag.training, "inference": flag.inference}
  cells = make_cells(flag.models, batches, flag.size, flag.dtype)
  cells = unfinished(cells, read(flag.out), origin)
  measure = functools.partial(run, origin=origin, flag=flag)
  left = within(cells, 60 * flag.minutes, measure=measure)
  for cell in left:
    print(f"no time for {' '.join(map(str, cell))}", flush=True)


def check_same_device() -> None:
  """Exits if one of the two frameworks has a GPU and the other has not."""
  import gpu_sides

  backend = jax.default_backend()
  if (backend == "gpu") != (gpu_sides.DEVICE == "cuda"):
    raise SystemExit(
      f"JAX uses the {backend}, PyTorch the device {gpu_sides.DEVICE!r}: both "
      "must use the GPU, or neither (JAX_PLATFORMS=cpu CUDA_VISIBLE_DEVICES=)"
    )


def make_cells(
  names: list[str], batches: dict[str, list[str]], size: str, dtype: str
) -> list[Cell]:
  """Returns all cells by model, task and batch, the most important first."""
  return [
    Cell(name, task, size, dtype, int(batch))
    for name in names
    for task, sizes in batches.items()
    for batch in sizes
  ]


def read(path: str | None) -> list[dict]:
  """Returns the lines of a file, none if there is no file."""
  if not path or not pathlib.Path(path).exists():
    return []
  return [json.loads(x) for x in pathlib.Path(path).read_text().splitlines()]


def unfinished(
  cells: list[Cell], lines: list[dict], origin: Origin
) -> list[Cell]:
  """Returns the cells without a line from this card and commit."""
  done = {
    tuple(line[name] for name in Cell._fields + Origin._fields)
    for line in lines
  }
  return [cell for cell in cells if cell + origin not in done]


def within(cells: list[Cell], seconds: float, *, measure) -> list[Cell]:
  """Measures cells while one as slow as the slowest would end in time.

  Returns:
    The cells that were not started.
  """
  start, longest = time.monotonic(), 0.0
  for number, cell in enumerate(cells):
    before = time.monotonic()
    if before - start + longest > seconds:
      return cells[number:]
    measure(cell)
    longest = max(longest, time.monotonic() - before)
  return []


def run(cell: Cell, origin: Origin, flag: flags.FlagValues) -> None:
  """Times a cell, prints its lines and appends them to the file."""
  import gpu_sides

  size = bench.parse_size(cell.size)
  setting = bench.Setting(cell.model, size, cell.dtype, flag.torch_mode)
  runners = gpu_sides.TASKS[cell.task](setting, cell.batch)
  sides = {n: functools.partial(run, flag.steps) for n, run in runners.items()}
  times = bench.take_turns(sides, flag.turns, calls=10)
  if flag.profile:
    trace(os.path.join(flag.profile, "_".join(map(str, cell))), runners)
  del runners, sides
  gpu_sides.forget()
  counts = cost.model_cost(models.create_model(cell.model), size)
  seconds = {name: spent / flag.steps for name, spent in times.items()}
  setting = {
    "turns": flag.turns,
    "steps": flag.steps,
    "torch_mode": flag.torch_mode,
    "torch": gpu_sides.torch.__version__,
    "machine": bench.machine(),
  }
  lines = [
    json.dumps(cell._asdict() | line | setting | origin._asdict()) + "\n"
    for line in summarize(cell, seconds, counts.macs, origin.device)
  ]
  print(*lines, sep="", end="", flush=True)
  if flag.out:
    with pathlib.Path(flag.out).open("a") as file:
      file.write("".join(lines))


def trace(folder: str, runners) -> None:
  """Writes a trace of two steps of each side, for TensorBoard or Perfetto."""
  with jax.profiler.trace(folder):
    for name, run_steps in runners.items():
      with jax.profiler.TraceAnnotation(name):
        run_steps(2)


def summarize(
  cell: Cell, seconds: dict[str, np.ndarray], macs: int, device: str
) -> list[dict]:
  """Returns the figures of each side, None where one has no meaning.

  Args:
    cell: what was measured.
    seconds: of a step, by side and turn.
    macs: multiply-adds of one image, forward.
    device: JAX's name of the card.
  """
  peak = PEAKS.get(device) if cell.dtype == "bfloat16" else None
  operations = 2 * macs * (3 if cell.task == "training" else 1)
  lines = []
  for side, spent in seconds.items():
    rate = cell.batch / float(np.median(spent))
    argmax = seconds.get(f"{side}-argmax")
    lines.append(
      {
        "side": side,
        "images_per_second": round(rate, 2),
        "of_torch": bench.ratio(seconds["torch"], spent),
        "share_of_peak": peak and round(operations * rate / peak, 4),
        "decode_share": (
          None if argmax is None else round(1 - bench.ratio(argmax, spent), 4)
        ),
      }
    )
  return lines


if __name__ == "__main__":
  flags.DEFINE_list(
    "models", ["hrnet_w32", "hrnet_w48"], "The most important first."
  )
  flags.DEFINE_list("training", ["64"], "Batch sizes; empty for no training.")
  flags.DEFINE_list("inference", ["128"], "Batch sizes; empty for none.")
  flags.DEFINE_string("size", "256x192", "Height x width of the crops.")
  flags.DEFINE_enum(
    "dtype", "bfloat16", ["float32", "bfloat16"], "Type of the layers."
  )
  flags.DEFINE_enum(
    "torch_mode",
    "default",
    ["default", "reduce-overhead", "max-autotune", "eager"],
    "Mode of torch.compile; eager for none.",
  )
  flags.DEFINE_integer("turns", 10, "How often each side is timed.")
  flags.DEFINE_integer("steps", 10, "Steps of a call.")
  flags.DEFINE_float("minutes", 9.0, "Start no cell that would end later.")
  flags.DEFINE_string("out", None, "File to append to and to resume from.")
  flags.DEFINE_string("profile", None, "Folder for traces of all sides.")
  flags.DEFINE_string("commit", None, "Commit of this code, where git is not.")
  app.run(main)

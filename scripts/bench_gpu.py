"""Training and inference on a GPU, beside PyTorch on the same card.

    python scripts/bench_gpu.py --out=gpu.jsonl --minutes=9

HRNet-W32 and W48 at 256x192 in bfloat16; PyTorch runs timm's HRNet with a 1x1
head, channels-last, in torch.autocast under torch.compile. gpu_sides.py says
what a step is. Needs JAX, Flax, optax, orbax, PyTorch and timm, and neither
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
  decode_share    of inference's time, what DARK takes more than argmax
"""

import functools
import json
import os
import pathlib
import time
from typing import NamedTuple

import bench_decode
import jax
import numpy as np
import provenance
from absl import app, flags

from darkjax import models
from darkjax.models import cost
from darkjax.runtime import startup

# FLOP/s in dense bfloat16 by JAX's name of the card: NVIDIA's data sheets of
# the H100 SXM and the H200 SXM.
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}


class Cell(NamedTuple):
  """What is measured at a time: `batch` people a step, `size` is HxW."""

  model: str
  task: str
  size: str
  dtype: str
  batch: int


class Origin(NamedTuple):
  """Where a line comes from, as far as it decides what is done already."""

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
  origin = Origin(
    jax.devices()[0].device_kind, flag.commit or provenance.commit()
  )
  batches = {"training": flag.training, "inference": flag.inference}
  cells = make_cells(flag.models, batches, flag.size, flag.dtype)
  cells = unfinished(cells, read(flag.out), origin)
  measure = functools.partial(run, origin=origin)
  left = within(cells, 60 * flag.minutes, measure=measure)
  for cell in left:
    print(f"no time for {' '.join(map(str, cell))}", flush=True)


def check_same_device() -> None:
  """Stops where one of the two frameworks sees a GPU and the other does not."""
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
  """All cells, the first the most important: by model, task and batch."""
  return [
    Cell(name, task, size, dtype, int(batch))
    for name in names
    for task, sizes in batches.items()
    for batch in sizes
  ]


def read(path: str | None) -> list[dict]:
  """The lines of a file, none where there is no file."""
  if not path or not pathlib.Path(path).exists():
    return []
  return [json.loads(x) for x in pathlib.Path(path).read_text().splitlines()]


def unfinished(
  cells: list[Cell], lines: list[dict], origin: Origin
) -> list[Cell]:
  """The cells that no line is of, from this card and commit."""
  done = {
    tuple(line[name] for name in Cell._fields + Origin._fields)
    for line in lines
  }
  return [cell for cell in cells if cell + origin not in done]


def within(cells: list[Cell], seconds: float, *, measure) -> list[Cell]:
  """Measures cells while the next, if as slow as the slowest, can end in time.

  Returns:
    The cells that were not begun.
  """
  start, longest = time.monotonic(), 0.0
  for number, cell in enumerate(cells):
    before = time.monotonic()
    if before - start + longest > seconds:
      return cells[number:]
    measure(cell)
    longest = max(longest, time.monotonic() - before)
  return []


def run(cell: Cell, origin: Origin) -> None:
  """Times a cell, prints its lines and appends them to the file."""
  import gpu_sides

  flag = flags.FLAGS
  height, width = (int(side) for side in cell.size.split("x"))
  runners = gpu_sides.TASKS[cell.task](cell.model, (height, width), cell.batch)
  times = bench_decode.take_turns(
    {name: functools.partial(run, flag.steps) for name, run in runners.items()},
    flag.turns,
  )
  if flag.profile:
    trace(cell, runners)
  del runners
  gpu_sides.forget()
  counts = cost.model_cost(models.create_model(cell.model), (height, width))
  seconds = {name: spent / flag.steps for name, spent in times.items()}
  setting = {
    "turns": flag.turns,
    "steps": flag.steps,
    "torch_mode": flag.torch_mode,
    "torch": gpu_sides.torch.__version__,
    "machine": provenance.machine(),
  }
  lines = [
    json.dumps(cell._asdict() | line | setting | origin._asdict()) + "\n"
    for line in summarize(cell, seconds, counts.macs, origin.device)
  ]
  print(*lines, sep="", end="", flush=True)
  if flag.out:
    with pathlib.Path(flag.out).open("a") as file:
      file.write("".join(lines))


def trace(cell: Cell, runners) -> None:
  """Writes a trace of two steps of each side, for TensorBoard or Perfetto."""
  folder = "_".join(map(str, cell))
  with jax.profiler.trace(os.path.join(flags.FLAGS.profile, folder)):
    for name, run_steps in runners.items():
      with jax.profiler.TraceAnnotation(name):
        run_steps(2)


def summarize(
  cell: Cell, seconds: dict[str, np.ndarray], macs: int, device: str
) -> list[dict]:
  """The figures of each side.

  Args:
    cell: what was measured.
    seconds: of a step, by side and turn.
    macs: multiply-adds of one image, forward.
    device: JAX's name of the card.

  Returns:
    A dict for each side; null where a figure has no meaning.
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
        "of_torch": bench_decode.ratio(seconds["torch"], spent),
        "share_of_peak": peak and round(operations * rate / peak, 4),
        "decode_share": (
          None
          if argmax is None
          else round(1 - bench_decode.ratio(argmax, spent), 4)
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
    "dtype", "bfloat16", ["float32", "bfloat16"], "Of the network's layers."
  )
  flags.DEFINE_enum(
    "torch_mode",
    "default",
    ["default", "reduce-overhead", "max-autotune", "eager"],
    "Of torch.compile; eager for none.",
  )
  flags.DEFINE_integer("turns", 10, "How often each side is timed.")
  flags.DEFINE_integer("steps", 10, "Of a turn.")
  flags.DEFINE_float("minutes", 9.0, "Begin no cell that would end later.")
  flags.DEFINE_string("out", None, "File to append to, and to go on from.")
  flags.DEFINE_string("profile", None, "Folder for traces of all sides.")
  flags.DEFINE_string("commit", None, "Of this code, where git can't tell it.")
  app.run(main)

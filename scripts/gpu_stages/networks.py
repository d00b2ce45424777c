"""Stage c: training and inference of HRNet beside PyTorch.

PyTorch runs timm's HRNet with a 1x1 head, channels-last, in torch.autocast
under torch.compile; gpu_sides.py defines a step. A cell is a network, a task, a
batch size and a type. Its sides take turns; a figure is the
median over the turns, a ratio the median of the ratios within a turn:

  of_torch        PyTorch's seconds by this side's
  share_of_peak   operations (two per multiply-add of the convolutions, three
                  times that for training) a second, by the card's dense
                  bfloat16 peak; null for other cards and types
  decode_share    share of inference's time that DARK takes more than argmax
  compile_s       seconds until the first step is done; they compile at once
  peak_gb         most memory that the framework took until then
"""

import functools
import importlib.util
import itertools
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import bench
import jax
import numpy as np

from darkjax import models
from darkjax.models import cost
from gpu_stages import background
from gpu_stages.cells import Budget, Cell, Line

# FLOP/s in dense bfloat16 by JAX's name of the card: NVIDIA's data sheets of
# the H100 SXM and the H200 SXM.
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}


class Case(NamedTuple):
  """What a cell measures: `batch` people a step, `size` is HxW."""

  model: str
  task: str
  batch: int
  dtype: str
  size: str


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields the cells, the most important first."""
  for case in cases(flags):
    name = "/".join(map(str, case))
    run = functools.partial(measure, case, budget, flags)
    yield Cell(f"c/{name}", run, 40)


def cases(flags) -> list[Case]:
  """Returns the first type's cases, by network, then by place in a list."""
  batches = {"training": flags.training, "inference": flags.inference}
  every = [
    ((i, j, k), Case(model, task, int(batch), dtype, flags.size))
    for (i, dtype), (j, model), (task, sizes) in itertools.product(
      enumerate(flags.dtypes), enumerate(flags.networks), batches.items()
    )
    for k, batch in enumerate(sizes)
  ]
  return [case for _, case in sorted(every, key=lambda pair: pair[0])]


def check_same_device() -> None:
  """Exits if one of the two frameworks has a GPU and the other has not."""
  if importlib.util.find_spec("torch") is None:
    return
  import gpu_sides

  backend = jax.default_backend()
  if (backend == "gpu") != (gpu_sides.DEVICE == "cuda"):
    raise SystemExit(
      f"JAX uses the {backend}, PyTorch the device {gpu_sides.DEVICE!r}: both "
      "must use the GPU, or neither (JAX_PLATFORMS=cpu CUDA_VISIBLE_DEVICES=)"
    )


class Sides(NamedTuple):
  """Sides of a case that compile: JAX's in threads, PyTorch in a process."""

  jax: dict[str, futures.Future]
  torch: Any


class Side(NamedTuple):
  """A side that ran one step; `seconds` with building and compiling."""

  run: Callable[[int], None]
  seconds: float
  peak_bytes: int


def begin(case: Case, flags) -> Sides:
  """Begins to compile the sides of a case."""
  import gpu_sides  # PyTorch

  size = bench.parse_size(case.size)
  setting = bench.Setting(case.model, size, case.dtype, flags.torch_mode)
  builders = gpu_sides.TASKS[case.task](setting, case.batch)
  del builders["torch"]
  return Sides(
    {
      name: background.begin(functools.partial(compile_side, name, build))
      for name, build in builders.items()
    },
    gpu_sides.TorchProcess(case.task, setting, case.batch),
  )


def compile_side(name: str, build) -> Side:
  """Builds a side and runs its first step."""
  import gpu_sides

  start = time.perf_counter()
  run = build()
  run(1)
  seconds = time.perf_counter() - start
  return Side(run, seconds, gpu_sides.peak_bytes(name))


def measure(case: Case, budget: Budget, flags) -> Iterator[Line]:
  """Yields a line for each side, with an error for one that does not run."""
  sides = begin(case, flags)
  background.wait(budget.left() - flags.reserve_s)
  compiled = {}
  waiting: dict[str, Callable[[], Side]] = {
    name: future.result for name, future in sides.jax.items()
  }

  def torch_side():
    return Side(
      sides.torch, *sides.torch.ready(budget.left() - flags.reserve_s)
    )

  for name, result in (waiting | {"torch": torch_side}).items():
    try:
      compiled[name] = result()
    except Exception as error:  # the others are worth their time
      traceback.print_exc()
      text = f"{type(error).__name__}: {error}"[:500]
      yield case._asdict() | {"side": name, "error_of_side": text}
  times = bench.take_turns(
    {
      name: functools.partial(side.run, flags.steps)
      for name, side in compiled.items()
    },
    flags.turns,
    calls=2,
  )
  sides.torch.close()
  counts = cost.model_cost(
    models.create_model(case.model), bench.parse_size(case.size)
  )
  seconds = {name: spent / flags.steps for name, spent in times.items()}
  device = jax.devices()[0].device_kind
  for line in summarize(case, seconds, counts.macs, device):
    side = compiled[line["side"]]
    more = {
      "compile_s": round(side.seconds, 1),
      "peak_gb": round(side.peak_bytes / 1e9, 2),
      "torch_mode": flags.torch_mode,
    }
    yield case._asdict() | line | more


def summarize(
  case: Case, seconds: dict[str, np.ndarray], macs: int, device: str
) -> list[Line]:
  """Returns the figures of each side, None where one has no meaning.

  Args:
    case: what was measured.
    seconds: of a step, by side and turn.
    macs: multiply-adds of one image, forward.
    device: JAX's name of the card.
  """
  peak = PEAKS.get(device) if case.dtype == "bfloat16" else None
  operations = 2 * macs * (3 if case.task == "training" else 1)
  lines = []
  for side, spent in seconds.items():
    rate = case.batch / float(np.median(spent))
    argmax, torch = seconds.get(f"{side}-argmax"), seconds.get("torch")
    lines.append(
      {
        "side": side,
        "images_per_second": round(rate, 2),
        "of_torch": None if torch is None else bench.ratio(torch, spent),
        "share_of_peak": peak and round(operations * rate / peak, 4),
        "decode_share": (
          None if argmax is None else round(1 - bench.ratio(argmax, spent), 4)
        ),
      }
    )
  return lines

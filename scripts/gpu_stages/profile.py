"""Stage e: a profile of the training step, as time by kind of operation.

Kernels of the first network's step (first batch and type of stage c) are
assigned by their own name, where it is a library's, else by that of the
operation that XLA compiled to it: a fusion counts as what its root computes.
"""

import collections
import functools
import pathlib
import re
import tempfile
import time
from collections.abc import Iterable, Iterator

import bench
import jax

from darkjax.runtime import xla_options
from gpu_stages import background
from gpu_stages.cells import Budget, Cell, Line

_STEPS = 3
# Kinds by patterns, the first that fits: of a kernel's name, then of the path
# of functions and modules that an operation comes from.
KERNELS = {
  "layout copies": r"nchwtonhwc|nhwctonchw|transpose|copy|memcpy|memset",
  "convolution": r"fprop|dgrad|wgrad|conv(?!ert)|xmma|cutlass|cudnn|gemm",
}
_LAST = r"/(jit\(relu\)/)?[a-z_]+$"  # an operation of the module itself
OPERATIONS = {
  "input cutting": r"cut_crops",
  "targets": r"draw_targets",
  "optimizer": r"optimizer",
  "convolution": r"conv_general_dilated|dot_general",
  "resize and fuse": r"fuse_layers|stage\d_\d" + _LAST,
  "batch norm": r"/(bn\d|downsample_1|transition\w+_1)/",
  "residual additions": r"(branches_\d_\d|layer1_\d)" + _LAST,
}


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields the one cell of the stage."""
  del budget
  if flags.training:
    yield Cell("e/training", functools.partial(measure, flags), 120)


def measure(flags) -> Iterator[Line]:
  """Yields a line for each kind, and one of the longest kernels."""
  size = bench.parse_size(flags.size)
  model, dtype, count = flags.networks[0], flags.dtypes[0], flags.training[0]
  setting = bench.Setting(model, size, dtype, flags.torch_mode)
  people = bench.make_batch(int(count), size)
  take, state, batch = bench.training_step(setting, people)
  lowered = jax.jit(take, donate_argnums=0).lower(state, batch)
  options = xla_options.options("training")
  step = lowered.compile(compiler_options=options)
  state, _ = step(state, batch)
  jax.block_until_ready(state)
  background.wait()
  settings = jax.profiler.ProfileOptions()
  settings.python_tracer_level = 0  # it would slow the steps down
  with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    with jax.profiler.trace(folder, profiler_options=settings):
      for _ in range(_STEPS):
        state, _ = step(state, batch)
      jax.block_until_ready(state)
    wall = time.perf_counter() - start
    spent = kernel_seconds(pathlib.Path(folder))
  paths = operation_paths(step.as_text())
  kinds = by_kind(spent, paths)
  busy = sum(kinds.values())
  for kind, seconds in sorted(kinds.items(), key=lambda pair: -pair[1]):
    yield {
      "kind": kind,
      "ms_per_step": round(1e3 * seconds / _STEPS, 3),
      "share": round(seconds / busy, 4),
    }
  top = collections.Counter(spent).most_common(60)
  yield {
    "busy_ms_per_step": round(1e3 * busy / _STEPS, 3),
    "traced_wall_ms_per_step": round(1e3 * wall / _STEPS, 3),
    "kernels": len(spent),
    "longest": [
      (round(1e3 * s / _STEPS, 3), n[:80], paths.get(kernel_name(n), "")[-80:])
      for n, s in top
    ],
  }


def kernel_seconds(folder: pathlib.Path) -> dict[str, float]:
  """Returns seconds by kernel of a trace; those of the CPU without a card."""
  (path,) = folder.rglob("*.xplane.pb")
  planes = list(jax.profiler.ProfileData.from_file(str(path)).planes)
  cards = [plane for plane in planes if plane.name.startswith("/device:GPU")]
  measured = cards or [plane for plane in planes if plane.name == "/host:CPU"]
  lines = [line for plane in measured for line in plane.lines]
  # Of a card, the others repeat the same by operation or module.
  streams = [line for line in lines if line.name.startswith("Stream")]
  spent: collections.Counter[str] = collections.Counter()
  for line in streams or lines:
    add_events(spent, line.events)
  return dict(spent)


def add_events(spent: collections.Counter[str], events: Iterable) -> None:
  """Adds the seconds of events by the operation or, without, the kernel.

  Libraries' kernels keep their own names, which say more.
  """
  for event in events:
    stats = dict(event.stats)
    name = event.name
    if not _kind_of(name, KERNELS):
      name = str(stats.get("hlo_op", name))
    spent[name] += event.duration_ns / 1e9


def operation_paths(text: str) -> dict[str, str]:
  """Returns the path of an operation by its name in compiled HLO's text.

  Kernels are named like operations, with _ for dots and hyphens.
  """
  pattern = r"^\s*(?:ROOT )?%?([\w.-]+) = .*?metadata={[^}]*?op_name=\"([^\"]+)"
  return {
    kernel_name(name): path for name, path in re.findall(pattern, text, re.M)
  }


def kernel_name(operation: str) -> str:
  """Returns the name that XLA gives the kernel of an operation."""
  return re.sub(r"[.-]", "_", operation)


def by_kind(spent: dict[str, float], paths: dict[str, str]) -> dict[str, float]:
  """Returns the seconds of kernels by kind, "other" for the rest."""
  kinds: collections.Counter[str] = collections.Counter()
  for name, seconds in spent.items():
    path = paths.get(kernel_name(name), "")
    kind = _kind_of(name, KERNELS) or _kind_of(path, OPERATIONS)
    kinds[kind or "other"] += seconds
  return dict(kinds)


def _kind_of(name: str, patterns: dict[str, str]) -> str | None:
  fits = (k for k, p in patterns.items() if re.search(p, name.lower()))
  return next(fits, None)

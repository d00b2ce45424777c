"""Benchmark of training steps beside PyTorch, and of the time to the first.

    pip install "darkjax[bench]"
    python scripts/bench_training.py
    python scripts/bench_training.py --start

The first takes the steps of bench_memory.py (HRNet-W32 at 128x96) in turns in
one process; a figure is the median over the turns, a ratio the median of the
ratios within a turn. The second starts two processes with a compilation cache
that is empty at first, and counts the seconds from importing darkjax to the end
of the first step.

Prints one line of json per side or process, with machine and commit.
"""

import os
import tempfile
import time

import jax
import numpy as np

START = time.perf_counter()  # with JAX imported, and before darkjax is

import bench  # noqa: E402
import bench_memory  # noqa: E402

from darkjax.runtime import command, startup  # noqa: E402


def main(flags: command.Flags, _) -> None:
  """Measures steps, or with --start the time to the first."""
  if flags.first:
    measure_first_step(flags.batch)
  elif flags.start:
    measure_start(flags.batch)
  else:
    measure_steps(flags.batch, flags.turns)


def measure_steps(batch: int, turns: int) -> None:
  """Times the steps of both sides in turns."""
  startup.start()
  people = bench.make_batch(batch)
  sides = {
    name: bench_memory.make_side("training", name, people)
    for name in ("darkjax", "torch")
  }
  # After compiling, one more turn to settle.
  times = bench.take_turns(sides, turns + 1)
  for name, seconds in times.items():
    show(
      batch,
      side=name,
      images_per_second=batch / float(np.median(seconds[1:])),
      of_torch=bench.ratio(times["torch"][1:], seconds[1:]),
    )


def measure_start(batch: int) -> None:
  """Times the first step of two processes that share a compilation cache."""
  with tempfile.TemporaryDirectory() as cache:
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    for name in ("cold", "cached"):
      flags = ("--first", f"--batch={batch}")
      line = bench.run_again(__file__, *flags, env=environment)
      show(batch, start=name, seconds=float(line))


def measure_first_step(batch: int) -> None:
  """Prints the seconds from importing darkjax to the first step's end."""
  startup.start()
  people = bench.make_batch(batch)
  bench.darkjax_training(bench_memory.SETTING, people)(1)
  print(time.perf_counter() - START)


def show(batch: int, **measurement) -> None:
  """Prints a measurement and its origin."""
  what = {"model": "hrnet_w32", "size": "128x96", "batch": batch}
  device = jax.devices()[0].device_kind
  bench.show(**what, **measurement, device=device)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.integer("batch", 16, "People in a step.")
  define.integer("turns", 7, "How often each side is timed.")
  define.bool("start", False, "Measure the time to the first step.")
  define.bool("first", False, "Internal: one of those processes.")


if __name__ == "__main__":
  command.run(main, define_flags)

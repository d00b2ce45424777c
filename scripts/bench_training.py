"""Training steps per second beside PyTorch, and how soon the first is done.

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

import json
import os
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
import provenance
from absl import app, flags


def main(argv: list[str]) -> None:
  """Measures what the flags say."""
  flag = flags.FLAGS
  if flag.first:
    measure_first_step()
  elif flag.start:
    measure_start(argv[0])
  else:
    measure_steps()


def measure_steps() -> None:
  """Times the steps of both sides in turns."""
  import bench_memory

  from darkjax.runtime import startup

  startup.start()
  flag = flags.FLAGS
  batch = bench_memory.make_batch(flag.batch)
  sides = {
    "darkjax": bench_memory.darkjax_steps("training", batch, remat=False),
    "torch": bench_memory.torch_steps("training", batch),
  }
  times = {name: [] for name in sides}
  for turn in range(-2, flag.turns):  # the first two compile and settle
    for name, step in sides.items():
      start = time.perf_counter()
      step()
      if turn >= 0:
        times[name].append(time.perf_counter() - start)
  torch_times = np.array(times["torch"])
  for name, seconds in times.items():
    show(
      side=name,
      images_per_second=flag.batch / float(np.median(seconds)),
      of_torch=float(np.median(torch_times / seconds)),
    )


def measure_start(script: str) -> None:
  """Times the first step of two processes that share a compilation cache."""
  flag = flags.FLAGS
  command = [sys.executable, script, "--first", f"--batch={flag.batch}"]
  with tempfile.TemporaryDirectory() as cache:
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    for name in ("cold", "cached"):
      child = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
      )
      show(start=name, seconds=float(child.stdout.splitlines()[-1]))


def measure_first_step() -> None:
  """Prints the seconds from importing darkjax to the first step's end."""
  start = time.perf_counter()
  import bench_memory

  from darkjax.runtime import startup

  startup.start()
  batch = bench_memory.make_batch(flags.FLAGS.batch)
  bench_memory.darkjax_steps("training", batch, remat=False)()
  print(time.perf_counter() - start)


def show(**measurement) -> None:
  """Prints a measurement and where it comes from."""
  what = {"model": "hrnet_w32", "size": "128x96", "batch": flags.FLAGS.batch}
  origin = {
    "device": jax.devices()[0].device_kind,
    "machine": provenance.machine(),
    "commit": provenance.commit(),
  }
  print(json.dumps(what | measurement | origin), flush=True)


if __name__ == "__main__":
  flags.DEFINE_integer("batch", 16, "People in a step.")
  flags.DEFINE_integer("turns", 7, "How often each side is timed.")
  flags.DEFINE_bool("start", False, "Measure the time to the first step.")
  flags.DEFINE_bool("first", False, "Internal: one of those processes.")
  app.run(main)

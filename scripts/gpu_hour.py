r"""Checks, benchmarks and training on a GPU, in the time that there is.

    python scripts/gpu_hour.py --out=gpu.jsonl --budget_s=540
    python scripts/gpu_hour.py --stages=f --packs=PACKS --weights=FOLDER \
        --out=gpu.jsonl --budget_s=400

Stages, each of several cells:

  a  versions, the card's ceilings, a decode and training steps against the CPU
  b  decoding alone, against the official algorithm in PyTorch
  c  training and inference of HRNet beside PyTorch (gpu_sides.py)
  d  data in the card's memory against data sent by the host; needs --packs
  e  profile of the training step, as time by kind of operation
  f  training on --packs until the time is up; weights go into --weights

Prints lines of json and appends them to --out at once; with --skip_done, cells
that the file has of this card and commit are not run again. Cells that would
end after --budget_s are not begun, and one that fails does not keep the next
from running. PACKS are from gpu_pack.py. Needs no TensorFlow, and PyTorch for c
and b's comparison alone. Where there is no GPU all runs on the CPU, for small
cases:

    python scripts/gpu_hour.py --networks=hrnet_small --size=128x96 \
        --dtypes=float32 --training=8 --inference=8 --turns=2 --many=1
"""

import os
from collections.abc import Iterator

import bench
import jax
from absl import flags as absl_flags
from gpu_stages import checks, decode, feed, networks, profile, training
from gpu_stages.cells import Budget, Cell, Journal, run_all, without

from darkjax.runtime import command, startup

STAGES = {
  "a": checks.cells,
  "b": decode.cells,
  "c": networks.cells,
  "d": feed.cells,
  "e": profile.cells,
  "f": training.cells,
}


def main(flags: command.Flags, _) -> None:
  """Runs the stages that the flags name."""
  # Before JAX starts: it would take three quarters of the memory at once.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  budget = Budget(flags.budget_s)
  unknown = set(flags.stages) - set(STAGES)
  if unknown:
    raise absl_flags.Error(
      f"unknown --stages {sorted(unknown)}; known: {', '.join(STAGES)}"
    )
  startup.start()
  networks.check_same_device()
  origin = {
    "device": jax.devices()[0].device_kind,
    "commit": flags.commit or bench.commit(),
  }
  journal = Journal(flags.out, origin)
  done = journal.done() if flags.skip_done else set()
  cells = without([*all_cells(flags, budget)], done)
  run_all(cells, journal, budget)


def all_cells(flags: command.Flags, budget: Budget) -> Iterator[Cell]:
  """Yields the cells of all stages in order; f begins to compile."""
  for stage in flags.stages:
    yield from STAGES[stage](flags, budget)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the script."""
  define.list("stages", list("abcde"), "Stages to run, in this order.")
  define.string("out", None, "File to append the lines to.")
  define.bool("skip_done", False, "Leave out what --out has already.")
  define.float("budget_s", 540.0, "Seconds that the script may take.")
  define.string("commit", None, "Commit of this code, where git is not.")
  define.integer("turns", 5, "How often each side is timed.", 1)
  define.integer("steps", 10, "Steps of a call.", 1)
  define.integer("many", 32, "b: batches in one, to leave the card's cache.", 1)
  define.list("networks", ["hrnet_w32", "hrnet_w48"], "c, e: networks.")
  define.list("training", ["64", "128"], "c, e: batch sizes; empty for none.")
  define.list("inference", ["128", "1", "32"], "c: batch sizes.")
  define.string("size", "256x192", "c, e: height x width of the crops.")
  define.float("reserve_s", 0.0, "c: seconds that waiting for PyTorch leaves.")
  define.list("dtypes", ["bfloat16", "float32"], "c, e: types of the layers.")
  define.enum(
    "torch_mode",
    "default",
    ["default", "reduce-overhead", "max-autotune", "eager"],
    "c: mode of torch.compile; eager for none.",
  )
  define.string("packs", None, "d, f: folder of packs, see gpu_pack.py.")
  define.list(
    "runs",
    list(training.RUNS),
    f"f: of {', '.join(training.RUNS)}, in this order.",
  )
  define.string("train_network", None, "d, f: network in place of the runs'.")
  define.integer("batch", 128, "d, f: people of a step.", 1)
  define.float("shortest_s", 90.0, "f: a run is not begun with less left.")
  define.string("weights", None, "f: folder for the weights.")


if __name__ == "__main__":
  command.run(main, define_flags)

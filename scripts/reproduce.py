"""The paper's tables on photographs and drawn people, from one command.

    python scripts/reproduce.py --workdir=runs/reproduce --lsp=DATA

trains every network that Tables 1-6 and 8 need, three seeds each, and reads
each by every decoder; DATA holds lsp/ and lspet/ as scripts/prepare_lsp.py
makes them. Drawn people (--data=lsp,synthetic) are drawn first if --synthetic
is not there. Started again, it goes on where it was; --minutes=9 ends it in
time for a machine lent for ten.

  --scale=small   small networks at 64x64, 128x96, 192x160: for CPUs
  --scale=paper   HRNet-W32, SimpleBaseline-50, Hourglass-4: for a GPU

--jobs=2 runs two networks at a time, each on its share of the cores.
"""

import logging
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from absl import app, flags
from reproduce_cells import FAMILIES, plan
from reproduce_runs import ROOT, Runner

_LOG = logging.getLogger(__name__)
# Shows of the training people; see config_fields for the rest of the recipe.
EPOCHS = {"lsp": 10, "synthetic": 5}
SYNTHETIC_PEOPLE = {"train": 4000, "val": 1000}


def cells():
  """The plan the flags ask for."""
  flag = flags.FLAGS
  epochs = {name: flag.epochs or EPOCHS[name] for name in flag.data}
  return plan(
    [int(number) for number in flag.tables],
    data=flag.data,
    scale=flag.scale,
    epochs=epochs,
    seeds=flag.seeds,
  )


def draw_people(folder: str) -> None:
  """Draws the synthetic set, if it is not there."""
  if pathlib.Path(folder, "annotations/person_keypoints_val.json").exists():
    return
  people = [f"--{split}={n}" for split, n in SYNTHETIC_PEOPLE.items()]
  command = [sys.executable, "-m", "darkjax.data.synthetic", f"--out={folder}"]
  subprocess.run([*command, *people], cwd=ROOT, check=True)


def stopper(minutes: float) -> threading.Event:
  """Set after so many minutes (0: never), by SIGTERM or by Ctrl-C."""
  stop = threading.Event()
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
  if minutes:
    timer = threading.Timer(60 * minutes, stop.set)
    timer.daemon = True
    timer.start()
  return stop


def main(argv: Sequence[str]) -> None:
  """Runs what is left to do, and says how much that was."""
  del argv
  flag = flags.FLAGS
  logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
  start, stop = time.monotonic(), stopper(flag.minutes)
  roots = {"lsp": flag.lsp, "synthetic": flag.synthetic}
  roots = {name: str(pathlib.Path(roots[name]).resolve()) for name in flag.data}
  if "synthetic" in roots:
    draw_people(roots["synthetic"])
  workdir = pathlib.Path(flag.workdir).resolve()
  runner = Runner(workdir, roots, flag.set, stop.is_set)
  planned = cells()
  failed = runner.run_all(planned, flag.jobs)
  done = sum(runner.is_done(cell) for cell in planned)
  minutes = (time.monotonic() - start) / 60
  _LOG.info("%d of %d done; %.1f minutes", done, len(planned), minutes)
  if failed:
    sys.exit(f"{len(failed)} failed; started again, they are tried again")


if __name__ == "__main__":
  flags.DEFINE_string("workdir", "runs/reproduce", "Folder of all runs.")
  flags.DEFINE_string("lsp", "data", "Folder that holds lsp/ and lspet/.")
  flags.DEFINE_string(
    "synthetic", "data/synthetic_4000", "Folder of the drawn people."
  )
  flags.DEFINE_list("data", "lsp", "lsp, synthetic or both; first comes first.")
  flags.DEFINE_list("tables", "1,2,3,4,5,6,8", "Of the paper.")
  flags.DEFINE_enum("scale", "small", FAMILIES, "Which networks and sizes.")
  flags.DEFINE_integer("seeds", 3, "Runs of each network.", 1)
  flags.DEFINE_integer("epochs", 0, "Of every run; 0: 10 LSP, 5 drawn.", 0)
  flags.DEFINE_float("minutes", 0, "Stop and save after; 0: never.", 0)
  flags.DEFINE_integer("jobs", 1, "Networks trained at a time.", 1)
  flags.DEFINE_multi_string(
    "set", [], "Further fields of the configuration, as data.cache=/tmp."
  )
  app.run(main)

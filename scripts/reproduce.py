"""The paper's tables on photographs and drawn people, from one command.

    python scripts/reproduce.py --workdir=runs/reproduce --lsp=DATA

trains every network that Tables 1-6 and 8 need, three seeds each, and reads
each by every decoder; DATA holds lsp/ and lspet/ as scripts/prepare_lsp.py
makes them. Drawn people (--data=lsp,synthetic) are drawn first if --synthetic
is not there. Started again, it goes on where it was; --minutes=9 ends it in
time for a machine lent for ten.

  --scale=small   small networks at 64x64, 128x96, 192x128: for CPUs
  --scale=paper   HRNet-W32, SimpleBaseline-50, Hourglass-4: for a GPU

--jobs=2 runs two networks at a time, each on its share of the cores: an epoch
of LSP on one CPU core took 0.65 of the CPU seconds that it took on two.

    python scripts/reproduce.py --workdir=runs/reproduce \
        --report=docs/results.md

trains nothing; it writes what there is between comments of the page that name
data and scale (and --named, for runs of another kind), and plots beside it.
"""

import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from absl import app, flags, logging
from reproduction import plots, report, verdicts
from reproduction.cells import FAMILIES
from reproduction.runs import ROOT, Runner, locked
from reproduction.tables import DATA_TABLES, plan, tables

# The rest of the recipe: cells.config_fields.
EPOCHS = {"lsp": 10, "synthetic": 5}
SYNTHETIC_PEOPLE = {"train": 4000, "val": 1000}


def numbers() -> dict[str, Sequence[int]]:
  """Of the tables the flags ask for, by data set."""
  chosen = sorted(map(int, flags.FLAGS.tables))
  return {name: chosen or DATA_TABLES[name] for name in flags.FLAGS.data}


def cells():
  """The plan the flags ask for."""
  flag = flags.FLAGS
  epochs = {name: flag.epochs or EPOCHS[name] for name in flag.data}
  return plan(numbers(), scale=flag.scale, epochs=epochs, seeds=flag.seeds)


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


def write_report(workdir: pathlib.Path, page: pathlib.Path) -> None:
  """Tables into the page, and a plot of each beside it."""
  flag, planned = flags.FLAGS, cells()
  for data, chosen in numbers().items():
    results = verdicts.read(workdir, report.of_data(planned, data))
    chosen = {number: tables(flag.scale)[number] for number in chosen}
    name = " ".join(filter(None, (data, flag.scale, flag.named)))
    title = ", ".join(filter(None, (data, flag.named)))
    pictures = {}
    for number, table in chosen.items():
      heading = f"Table {number}, {table.title}: {title}, {flag.scale} networks"
      picture = plots.plot(results, table, heading)
      if picture is not None:
        file = f"reproduce_{name.replace(' ', '_')}_{number}.png"
        picture.quantize(64).save(page.parent / file)
        pictures[number] = file
    text = "\n".join(report.lines(results, chosen, title, pictures))
    report.write(page, name, text)
    print(f"{name}: {len(results)} networks")


def main(argv: Sequence[str]) -> None:
  """Reports, or trains."""
  del argv
  workdir = pathlib.Path(flags.FLAGS.workdir).resolve()
  if flags.FLAGS.report:
    write_report(workdir, pathlib.Path(flags.FLAGS.report))
  else:
    run(workdir)


def run(workdir: pathlib.Path) -> None:
  """Does what is left to do, and says how much that was."""
  flag = flags.FLAGS
  logging.set_verbosity(logging.INFO)
  start, stop = time.monotonic(), stopper(flag.minutes)
  roots = {"lsp": flag.lsp, "synthetic": flag.synthetic}
  roots = {name: str(pathlib.Path(roots[name]).resolve()) for name in flag.data}
  if "synthetic" in roots:
    draw_people(roots["synthetic"])
  runner = Runner(workdir, roots, flag.set, stop.is_set)
  planned = cells()
  with locked(workdir):
    runner.check(planned)
    failed = runner.run_all(planned, flag.jobs)
  done = sum(runner.is_done(cell) for cell in planned)
  minutes = (time.monotonic() - start) / 60
  logging.info("%d of %d done; %.1f minutes", done, len(planned), minutes)
  if failed:
    sys.exit(f"{len(failed)} failed; started again, they are tried again")


if __name__ == "__main__":
  flags.DEFINE_string("workdir", "runs/reproduce", "Folder of all runs.")
  flags.DEFINE_string("lsp", "data", "Folder that holds lsp/ and lspet/.")
  flags.DEFINE_string(
    "synthetic", "data/synthetic_4000", "Folder of the drawn people."
  )
  flags.DEFINE_list("data", "lsp", "lsp, synthetic or both; first comes first.")
  flags.register_validator(
    "data", set(DATA_TABLES).issuperset, f"is of {sorted(DATA_TABLES)}"
  )
  flags.DEFINE_list(
    "tables", "", "Of the paper; default: LSP all, drawn people 1,2,3,8."
  )
  flags.register_validator(
    "tables", lambda names: all(n.isdigit() for n in names), "are numbers"
  )
  flags.DEFINE_enum("scale", "small", FAMILIES, "Which networks and sizes.")
  flags.DEFINE_integer("seeds", 3, "Runs of each network.", 1)
  flags.DEFINE_integer("epochs", 0, "Of every run; 0: 10 LSP, 5 drawn.", 0)
  flags.DEFINE_float("minutes", 0, "Stop and save after; 0: never.", 0)
  flags.DEFINE_string("report", "", "Train nothing; write into this page.")
  flags.DEFINE_string(
    "named", "", "What makes these runs differ, in the report's headings."
  )
  flags.DEFINE_integer("jobs", 1, "Networks trained at a time.", 1)
  flags.DEFINE_multi_string(
    "set", [], "Further fields of the configuration, as data.cache=/tmp."
  )
  app.run(main)

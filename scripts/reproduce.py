"""Reproduction of the paper's tables on photographs and drawn people.

    python scripts/reproduce.py --workdir=runs/reproduce --lsp=DATA

trains every network that Tables 1-6 and 8 need, three seeds each, and reads
each by every decoder; DATA holds lsp/ and lspet/ as scripts/prepare_lsp.py
makes them. --data=people17 takes ten thousand people of DATA/people17, with
COCO's keypoints. Drawn people (--data=lsp,synthetic) are drawn first if
--synthetic does not exist. Started again, it continues; --minutes=9 stops and
saves after nine minutes.

  --scale=small   small networks at 64x64, 128x96, 192x128: for CPUs
  --scale=paper   HRNet-W32, SimpleBaseline-50, Hourglass-4: for a GPU

--jobs=2 runs two networks at a time, each on its share of the cores: an epoch
of LSP on one CPU core took 0.65 of the CPU seconds that it took on two.

    python scripts/reproduce.py --workdir=runs/reproduce \
        --tables=1 --report=docs/results/table_1.md

trains nothing; it writes the finished results between comments of the page that
name data and scale (and --named, for runs of another kind), and plots beside
it.
"""

import logging
import pathlib
import signal
import subprocess
import sys
import threading
import time

from reproduction import plots, report, verdicts
from reproduction.cells import FAMILIES
from reproduction.runs import ROOT, Runner, locked
from reproduction.tables import DATA_TABLES, plan, tables

from darkjax.runtime import command

# The rest of the recipe: cells.config_fields.
EPOCHS = {"lsp": 10, "people17": 10, "synthetic": 5}
SYNTHETIC_PEOPLE = {"train": 4000, "val": 1000}


def choose(flags: command.Flags):
  """Returns the numbers of the tables by data set, and the cells they need."""
  chosen = sorted(map(int, flags.tables))
  numbers = {name: chosen or DATA_TABLES[name] for name in flags.data}
  epochs = {name: flags.epochs or EPOCHS[name] for name in flags.data}
  cells = plan(numbers, scale=flags.scale, epochs=epochs, seeds=flags.seeds)
  return numbers, cells


def draw_people(folder: str) -> None:
  """Draws the synthetic data set unless it exists."""
  if pathlib.Path(folder, "annotations/person_keypoints_val.json").exists():
    return
  people = [f"--{split}={n}" for split, n in SYNTHETIC_PEOPLE.items()]
  command = [sys.executable, "-m", "darkjax.data.synthetic", f"--out={folder}"]
  subprocess.run([*command, *people], cwd=ROOT, check=True)


def stopper(minutes: float) -> threading.Event:
  """Returns an event set after `minutes` (0: never), SIGTERM or Ctrl-C."""
  stop = threading.Event()
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
  if minutes:
    timer = threading.Timer(60 * minutes, stop.set)
    timer.daemon = True
    timer.start()
  return stop


def write_report(workdir: pathlib.Path, flags: command.Flags) -> None:
  """Writes tables into the page, and a plot of each beside it."""
  page = pathlib.Path(flags.report)
  numbers, cells = choose(flags)
  for data, chosen in numbers.items():
    of_data = [cell for cell in cells if cell.data == data]
    results = verdicts.read(workdir, of_data)
    chosen = {number: tables(flags.scale)[number] for number in chosen}
    name = " ".join(filter(None, (data, flags.scale, flags.named)))
    title = ", ".join(filter(None, (data, flags.named)))
    pictures = {}
    for number, table in chosen.items():
      heading = (
        f"Table {number}, {table.title}: {title}, {flags.scale} networks"
      )
      picture = plots.plot(results, table, heading)
      if picture is not None:
        file = f"reproduce_{name.replace(' ', '_')}_{number}.png"
        picture.quantize(64).save(page.parent / file)
        pictures[number] = file
    text = "\n".join(report.lines(results, chosen, title, pictures))
    report.write(page, name, text)
    print(f"{name}: {len(results)} networks")


def main(flags: command.Flags, _) -> None:
  """Reports, or trains."""
  workdir = pathlib.Path(flags.workdir).resolve()
  if flags.report:
    write_report(workdir, flags)
  else:
    run(workdir, flags)


def run(workdir: pathlib.Path, flags: command.Flags) -> None:
  """Trains and scores what is left, and logs how much is done."""
  logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
  start, stop = time.monotonic(), stopper(flags.minutes)
  photographs = {"lsp": flags.lsp, "people17": flags.lsp}
  roots = photographs | {"synthetic": flags.synthetic}
  roots = {n: str(pathlib.Path(roots[n]).resolve()) for n in flags.data}
  if "synthetic" in roots:
    draw_people(roots["synthetic"])
  runner = Runner(workdir, roots, flags.set, stop.is_set)
  _, cells = choose(flags)
  with locked(workdir):
    runner.check(cells)
    failed = runner.run_all(cells, flags.jobs)
  done = sum(runner.is_done(cell) for cell in cells)
  minutes = (time.monotonic() - start) / 60
  logging.info("%d of %d done; %.1f minutes", done, len(cells), minutes)
  if failed:
    sys.exit(f"{len(failed)} failed; the next start tries them again")


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("workdir", "runs/reproduce", "Folder of all runs.")
  define.string("lsp", "data", "Folder of lsp/, lspet/, people17/, ...")
  define.string("synthetic", "data/synthetic_4000", "Folder of drawn people.")
  known = list(DATA_TABLES)
  define.list("data", "lsp", f"Of {', '.join(known)}, in this order.")
  define.check("data", set(known).issuperset, f"is of {known}")
  define.list("tables", "", "Of the paper; default: LSP all, else 1,2,3,8.")
  define.check("tables", lambda n: all(map(str.isdecimal, n)), "are numbers")
  define.enum("scale", "small", list(FAMILIES), "Networks and sizes.")
  define.integer("seeds", 3, "Runs of each network.", 1)
  define.integer("epochs", 0, "Of every run; 0: 10, drawn people 5.", 0)
  define.float("minutes", 0, "Stop and save after; 0: never.", 0)
  define.string(
    "report", "", "Page to write the tables into, without training."
  )
  define.string("named", "", "Name of these runs in the report's headings.")
  define.integer("jobs", 1, "Networks trained at a time.", 1)
  define.multi_string("set", [], "Further configuration, as data.cache=/tmp.")


if __name__ == "__main__":
  command.run(main, define_flags)

"""Soak test of training's memory, with a plot and a verdict.

  python scripts/soak.py --data=data/synthetic --minutes=120

Trains the quickstart's configuration on the first people of its data, so that
epochs are short and evaluations and checkpoints many, until the time is up;
SIGTERM then ends the run. Reads the resident memory of the training process and
its children every few seconds. Needs `pip install darkjax[figures]`. Written to
--workdir:

  memory.csv    seconds, MiB, last step of metrics.jsonl
  memory.png    the curve, with the line through its second half
  train.log     what the training printed

Compiling and the first evaluations allocate memory that is kept, so only the
second half counts. The exit status is 1 where the training ended by itself or
memory grew by more than --limit.
"""

import csv
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import figures
import numpy as np
import psutil

from darkjax.runtime import command
from darkjax.train.log import whole_lines

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 2**20


class Sample(NamedTuple):
  """Memory at one moment."""

  seconds: float  # since the start of the training
  mib: float  # resident memory of the process and its children
  step: int  # last step in the log


def first_people(path: pathlib.Path, count: int) -> dict[str, Any]:
  """Returns a json's first `count` annotations, and their images."""
  whole = json.loads(path.read_text())
  people = whole["annotations"][:count]
  shown = {person["image_id"] for person in people}
  images = [image for image in whole["images"] if image["id"] in shown]
  return whole | {"annotations": people, "images": images}


def write_data(
  data: pathlib.Path, out: pathlib.Path, sizes: dict[str, int]
) -> None:
  """Writes a subset of a synthetic data set: `sizes` people by split."""
  (out / "annotations").mkdir(parents=True, exist_ok=True)
  if not (out / "images").exists():
    (out / "images").symlink_to((data / "images").resolve())
  for split, count in sizes.items():
    name = f"annotations/person_keypoints_{split}.json"
    (out / name).write_text(json.dumps(first_people(data / name, count)))


def training(
  config: pathlib.Path, workdir: pathlib.Path, data: pathlib.Path
) -> list[str]:
  """Returns the command to watch, a training of practically no end."""
  return [
    *(sys.executable, "-m", "darkjax.train"),
    f"--config={config.resolve()}",
    f"--workdir={workdir}",
    f"--config.data.root={data}",
    "--config.train.epochs=1000000",
    "--config.train.evaluate_every_epochs=1",
    "--config.train.checkpoint_every_epochs=1",
    "--config.train.log_every_steps=10",
  ]


def resident_mib(process: psutil.Process) -> float:
  """Returns the memory of a process and its children, MiB."""
  total = 0
  for one in (process, *process.children(recursive=True)):
    try:
      total += one.memory_info().rss
    except psutil.NoSuchProcess:  # a child that has just ended
      continue
  return total / MIB


def last_step(log: pathlib.Path) -> int:
  """Returns the step of the last whole line, 0 without one."""
  lines = whole_lines(log)
  return lines[-1]["step"] if lines else 0


def watch(
  child: subprocess.Popen, log: pathlib.Path, *, seconds: float, every: float
) -> Iterator[Sample]:
  """Yields samples until the time is up or the child has ended."""
  process, start = psutil.Process(child.pid), time.monotonic()
  while (passed := time.monotonic() - start) < seconds:
    if child.poll() is not None:
      return
    yield Sample(passed, resident_mib(process), last_step(log))
    time.sleep(every)


def slope(samples: list[Sample]) -> tuple[float, float]:
  """Fits a line to the second half: MiB per hour, and MiB at 0 s."""
  times, memory = second_half(samples)
  per_second, start = np.polyfit(times, memory, 1)
  return per_second * 3600, start


def second_half(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
  """Returns seconds and MiB of the samples of the second half."""
  late = [s for s in samples if s.seconds >= samples[-1].seconds / 2]
  return np.array([s.seconds for s in late]), np.array([s.mib for s in late])


def draw(samples: list[Sample]) -> Any:
  """Returns a figure of memory over minutes, with the second half's line."""
  figure = figures.new_figure(9.0, 4.2)
  axis = figure.subplots()
  minutes = [sample.seconds / 60 for sample in samples]
  axis.plot(minutes, [sample.mib for sample in samples], label="resident")
  per_hour, start = slope(samples)
  ends = np.array([minutes[-1] / 2, minutes[-1]])
  axis.plot(ends, start + per_hour * ends / 60, label=f"{per_hour:+.1f} MiB/h")
  axis.set(xlabel="minutes", ylabel="memory, MiB", ylim=(0, None))
  axis.legend()
  return figure


def verdict(samples: list[Sample], log: pathlib.Path) -> str:
  """Summarizes the run in one line."""
  evaluations = sum("dark/AP/gt_boxes" in line for line in whole_lines(log))
  memory = second_half(samples)[1]
  return (
    f"{samples[-1].seconds / 60:.0f} min, {samples[-1].step} steps, "
    f"{evaluations} evaluations and as many checkpoints: second half "
    f"{memory.min():.0f} to {memory.max():.0f} MiB, "
    f"{slope(samples)[0]:+.1f} MiB/h"
  )


def run(argv: list[str], workdir: pathlib.Path, **timing) -> list[Sample]:
  """Trains, writes memory.csv while it goes, and ends the training.

  Raises:
    RuntimeError: the training ended before the time was up.
  """
  samples, log = [], workdir / "metrics.jsonl"
  with (
    (workdir / "train.log").open("w") as printed,
    (workdir / "memory.csv").open("w") as table,
    subprocess.Popen(argv, cwd=ROOT, stdout=printed, stderr=printed) as child,
  ):
    rows = csv.writer(table)
    rows.writerow(Sample._fields)
    try:
      for sample in watch(child, log, **timing):
        samples.append(sample)
        rows.writerow(
          [f"{sample.seconds:.1f}", f"{sample.mib:.1f}", sample.step]
        )
        table.flush()
      if child.poll() is not None:
        raise RuntimeError(
          f"the training ended by itself with status {child.returncode}, see "
          f"{printed.name}"
        )
    finally:
      child.send_signal(signal.SIGTERM)
  return samples


def main(flags: command.Flags, _) -> None:
  """Runs the soak as the flags say."""
  workdir = pathlib.Path(flags.workdir).resolve()
  shutil.rmtree(workdir, ignore_errors=True)
  data = workdir / "data"
  sizes = {"train": flags.people, "val": flags.val_people}
  write_data(pathlib.Path(flags.data), data, sizes)
  samples = run(
    training(pathlib.Path(flags.config), workdir, data),
    workdir,
    seconds=60 * flags.minutes,
    every=flags.every,
  )
  draw(samples).savefig(workdir / "memory.png")
  print(verdict(samples, workdir / "metrics.jsonl"))
  if slope(samples)[0] > flags.limit:
    sys.exit(f"memory grows by more than {flags.limit} MiB/h")


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("config", "configs/quickstart.py", "Configuration to train.")
  define.string("data", "data/synthetic", "Folder of synthetic people.")
  define.string("workdir", "runs/soak", "Folder of the run; is emptied.")
  define.float("minutes", 120.0, "Duration.", 0.1)
  define.float("every", 5.0, "Seconds between two samples.")
  define.integer("people", 320, "People of an epoch of training.")
  define.integer("val_people", 50, "People of an evaluation.")
  define.float("limit", 20.0, "Growth in MiB per hour that counts as none.")


if __name__ == "__main__":
  command.run(main, define_flags)

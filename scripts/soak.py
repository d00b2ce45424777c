"""Does training hold on to memory? A soak, with a plot and a verdict.

  python scripts/soak.py --data=data/synthetic --minutes=120

Trains the quickstart's configuration on the first people of its data, so that
an epoch is short and evaluations and checkpoints are many, until the time is
up; the run is then ended by SIGTERM. The resident memory of the training
process and its children is read every few seconds. Written to --workdir:

  memory.csv    seconds, MiB, last step of metrics.jsonl
  memory.png    the curve, with the line through its second half
  train.log     what the training printed

Compiling and the first evaluations allocate what is then kept, so only the
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

import numpy as np
import PIL.Image
import PIL.ImageDraw
import psutil
from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 2**20
PICTURE = (900, 420)  # px, width and height
MARGIN = 60  # px


class Sample(NamedTuple):
  """Memory at one moment.

  Attributes:
    seconds: since the training was started.
    mib: resident memory of the process and its children.
    step: last step in the log.
  """

  seconds: float
  mib: float
  step: int


def first_people(path: pathlib.Path, count: int) -> dict[str, Any]:
  """The first `count` annotations of a json, and the images they are in."""
  whole = json.loads(path.read_text())
  people = whole["annotations"][:count]
  shown = {person["image_id"] for person in people}
  images = [image for image in whole["images"] if image["id"] in shown]
  return whole | {"annotations": people, "images": images}


def write_data(
  data: pathlib.Path, out: pathlib.Path, sizes: dict[str, int]
) -> None:
  """Writes `out`/annotations with fewer people; the images stay where they are.

  Args:
    data: folder that `python -m darkjax.data.synthetic` wrote.
    out: folder of the smaller set.
    sizes: split ("train", "val") -> people.
  """
  (out / "annotations").mkdir(parents=True, exist_ok=True)
  if not (out / "images").exists():
    (out / "images").symlink_to((data / "images").resolve())
  for split, count in sizes.items():
    name = f"annotations/person_keypoints_{split}.json"
    (out / name).write_text(json.dumps(first_people(data / name, count)))


def command(
  config: pathlib.Path, workdir: pathlib.Path, data: pathlib.Path
) -> list[str]:
  """The training that is watched: it would not end by itself for weeks."""
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
  """Memory of a process and its children, MiB."""
  total = 0
  for one in (process, *process.children(recursive=True)):
    try:
      total += one.memory_info().rss
    except psutil.NoSuchProcess:  # a child that has just ended
      continue
  return total / MIB


def last_step(log: pathlib.Path) -> int:
  """The last whole line's step, 0 before there is any."""
  if not log.exists():
    return 0
  with log.open("rb") as file:
    file.seek(max(0, log.stat().st_size - 8192))
    lines = file.read().split(b"\n")[:-1]
  return json.loads(lines[-1])["step"] if lines else 0


def watch(
  child: subprocess.Popen, log: pathlib.Path, *, seconds: float, every: float
) -> Iterator[Sample]:
  """Samples until the time is up or the child has ended."""
  process, start = psutil.Process(child.pid), time.monotonic()
  while (passed := time.monotonic() - start) < seconds:
    if child.poll() is not None:
      return
    yield Sample(passed, resident_mib(process), last_step(log))
    time.sleep(every)


def slope(samples: list[Sample]) -> tuple[float, float]:
  """(MiB per hour, MiB at 0 s) of the least-squares line, second half only."""
  times, memory = second_half(samples)
  per_second, start = np.polyfit(times, memory, 1)
  return per_second * 3600, start


def second_half(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
  """Seconds and MiB of the samples of the second half of the time."""
  late = [s for s in samples if s.seconds >= samples[-1].seconds / 2]
  return np.array([s.seconds for s in late]), np.array([s.mib for s in late])


def draw(samples: list[Sample]) -> PIL.Image.Image:
  """The curve over hours, and the line through its second half."""
  image = PIL.Image.new("RGB", PICTURE, "white")
  canvas = PIL.ImageDraw.Draw(image)
  width, height = (side - 2 * MARGIN for side in PICTURE)
  end, top = samples[-1].seconds, 1.1 * max(s.mib for s in samples)

  def place(seconds, mib):
    return MARGIN + seconds / end * width, PICTURE[1] - MARGIN - (
      mib / top * height
    )

  for share in np.linspace(0, 1, 6):
    canvas.line([place(0, share * top), place(end, share * top)], "#dddddd")
    canvas.text(
      (8, place(0, share * top)[1] - 6), f"{share * top:.0f}", "black"
    )
    x = place(share * end, 0)[0]
    canvas.text((x - 12, PICTURE[1] - 50), f"{share * end / 60:.0f}", "black")
  canvas.text((8, 12), "resident memory, MiB", "black")
  canvas.text((PICTURE[0] - 90, PICTURE[1] - 28), "minutes", "black")
  canvas.line([place(s.seconds, s.mib) for s in samples], "#1f5f9f", 2)
  per_hour, start = slope(samples)
  line = [place(t, start + per_hour * t / 3600) for t in (end / 2, end)]
  canvas.line(line, "#c04020", 2)
  canvas.text((MARGIN + width // 2, 12), f"{per_hour:+.1f} MiB/h", "#c04020")
  return image


def verdict(samples: list[Sample], log: pathlib.Path) -> str:
  """What was seen, in one line."""
  lines = [json.loads(line) for line in log.read_text().splitlines()]
  evaluations = sum("dark/AP/gt_boxes" in line for line in lines)
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


def main(argv) -> None:
  """Runs the soak as the flags say."""
  del argv
  flag = flags.FLAGS
  workdir = pathlib.Path(flag.workdir).resolve()
  shutil.rmtree(workdir, ignore_errors=True)
  data = workdir / "data"
  sizes = {"train": flag.people, "val": flag.val_people}
  write_data(pathlib.Path(flag.data), data, sizes)
  samples = run(
    command(pathlib.Path(flag.config), workdir, data),
    workdir,
    seconds=60 * flag.minutes,
    every=flag.every,
  )
  draw(samples).save(workdir / "memory.png")
  print(verdict(samples, workdir / "metrics.jsonl"))
  if slope(samples)[0] > flag.limit:
    sys.exit(f"memory grows by more than {flag.limit} MiB/h")


if __name__ == "__main__":
  flags.DEFINE_string("config", "configs/quickstart.py", "What to train.")
  flags.DEFINE_string("data", "data/synthetic", "Folder of synthetic people.")
  flags.DEFINE_string("workdir", "runs/soak", "Folder of the run; is emptied.")
  flags.DEFINE_float("minutes", 120.0, "How long.", lower_bound=0.1)
  flags.DEFINE_float("every", 5.0, "Seconds between two samples.")
  flags.DEFINE_integer("people", 320, "People of an epoch of training.")
  flags.DEFINE_integer("val_people", 50, "People of an evaluation.")
  flags.DEFINE_float("limit", 20.0, "MiB per hour that are still called flat.")
  app.run(main)

"""Training and scoring of cells, several at a time, in processes of their own.

A cell's folder holds the training run, parts.jsonl with the time of each part
of the work, and, once all is done, cell.json. A crash or a stop loses no more
than the steps since the last checkpoint.
"""

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import bench

from darkjax.runtime import files
from darkjax.train.log import whole_lines
from reproduction import recipes
from reproduction.cells import Cell, config_fields

_LOG = logging.getLogger(__name__)
ROOT = pathlib.Path(__file__).resolve().parents[2]
_PYTHON = (sys.executable, "-m")
CONFIGS = {
  "lsp": "lsp_hrnet_small_128x96",
  "people17": "lsp_hrnet_small_128x96",
  "synthetic": "quickstart",
}
# Data in place of the configuration's: all of LSP Extended, 17 keypoints.
DATA_FIELDS = {
  "people17": {
    "data.train": (
      ("people17/lsp_train.json", "lsp/images"),
      ("people17/lspet.json", "lspet/images"),
      ("people17/lspet_more.json", "lspet_more/images"),
    ),
    "data.val": ("people17/lsp_test.json", "lsp/images"),
  },
}
POLL_SECONDS = 0.2


class StopRequested(Exception):  # noqa: N818 not an error
  """The user stops the work."""


class RunError(Exception):
  """A process ended with an error; the message names its log."""


@dataclasses.dataclass(frozen=True)
class Runner:
  """Runner of cells.

  Attributes:
    workdir: folder of the cells' folders.
    roots: data folder by data set.
    overrides: further fields of the configuration, as "data.cache=/tmp".
    stop: returns whether to end; called several times a second.
  """

  workdir: pathlib.Path
  roots: dict[str, str]
  overrides: Sequence[str]
  stop: Callable[[], bool]

  def is_done(self, cell: Cell) -> bool:
    """Whether nothing is left to do."""
    return (self.workdir / cell.name / "cell.json").exists()

  def check(self, cells: Sequence[Cell]) -> None:
    """Checks the overrides and the runs in the folder before training.

    Raises:
      ValueError: a field that configurations do not have, or runs of another
        recipe, whose numbers would be mixed with new ones.
    """
    for override in self.overrides:
      if "=" not in override:
        raise ValueError(f"--set is FIELD=VALUE, got {override!r}")
    for cell in cells:
      folder = self.workdir / cell.name
      changes = recipes.changes(folder, recipes.recipe(self.fields(cell)))
      if changes:
        raise ValueError(
          f"{folder} was made by another recipe ({'; '.join(changes)}); take "
          "another --workdir, or remove it"
        )

  def run_all(self, cells: Sequence[Cell], jobs: int) -> list[Cell]:
    """Finishes the cells, `jobs` at a time, each on its share of the cores.

    Returns:
      The cells that failed; a stop is not a failure.
    """
    left = iter([cell for cell in cells if not self.is_done(cell)])
    lock, failed = threading.Lock(), []

    def work(cores):
      while not self.stop():
        with lock:
          cell = next(left, None)
        if cell is None:
          return
        try:
          self.run(cell, cores)
        except StopRequested:
          return
        except Exception as error:  # of any kind, the others go on
          expected = isinstance(error, RunError)
          _LOG.error("%s: %s", cell.name, error, exc_info=not expected)
          failed.append(cell)

    threads = [
      threading.Thread(target=work, args=(cores,)) for cores in shares(jobs)
    ]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    return failed

  def run(self, cell: Cell, cores: set[int]) -> None:
    """Finishes one cell; StopRequested after a stop, RunError if it fails."""
    folder = self.workdir / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    if not is_trained(folder):
      _LOG.info("training %s", cell.name)
      if "data.source=resident" in self.overrides:
        self._process(self.pack_command(cell), folder, cores, "pack")
      self._process(self.train_command(cell), folder, cores, "train")
      if not is_trained(folder):
        raise StopRequested  # by a signal to the training
    command = [*_PYTHON, "reproduction.scores", f"--run={folder}"]
    command.append(f"--out={folder / 'scores.json'}")
    self._process(command, folder, cores, "evaluate")
    text = json.dumps(summary(cell, folder))
    files.write_whole(folder / "cell.json", text.encode())
    _LOG.info("done     %s", cell.name)

  def train_command(self, cell: Cell) -> list[str]:
    """Returns the command that trains a cell, or continues it."""
    workdir = f"--workdir={self.workdir / cell.name}"
    return [*_PYTHON, "darkjax.train", *self.fields(cell), workdir]

  def pack_command(self, cell: Cell) -> list[str]:
    """Returns the command that packs a cell's data, if it is not packed yet."""
    return [*_PYTHON, "darkjax.data.pack", *self.fields(cell)]

  def fields(self, cell: Cell) -> list[str]:
    """Returns a cell's configuration as flags."""
    name = CONFIGS[cell.data]
    variant = ":biased" if cell.network.encoding == "biased" else ""
    # Packed parts of images depend on the size and alignment of crops.
    packs = f"{cell.data}-{cell.network.size_name}-{cell.network.encoding}"
    fields = config_fields(cell) | {
      "data.root": self.roots[cell.data],
      "data.pack": self.workdir / "packs" / packs,
    }
    fields |= DATA_FIELDS.get(cell.data, {})
    fields |= dict(one.split("=", 1) for one in self.overrides)
    return [
      f"--config={ROOT / 'configs' / name}.py{variant}",
      *(f"--config.{field}={value}" for field, value in fields.items()),
    ]

  def _process(self, command, folder, cores, kind) -> None:
    """Runs a command to its end and records its time in parts.jsonl."""
    log = folder / f"{kind}.log"
    start, commit = time.monotonic(), bench.commit()
    with log.open("ab") as output, _started(command, cores, output) as process:
      stopped = False
      while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        if not stopped and self.stop():
          stopped = True
          process.terminate()
        time.sleep(POLL_SECONDS)
      process.returncode = os.waitstatus_to_exitcode(ended[1])
    part = {
      "kind": kind,
      "seconds": round(time.monotonic() - start, 1),
      "cpu_seconds": round(ended[2].ru_utime + ended[2].ru_stime, 1),
      "cores": len(cores),
      "host": platform.node(),
      "machine": bench.machine(),
      "commit": commit,
      "overrides": list(self.overrides),
    }
    parts = [*whole_lines(folder / "parts.jsonl"), part]
    lines = "".join(json.dumps(one) + "\n" for one in parts)
    files.write_whole(folder / "parts.jsonl", lines.encode())
    if stopped:
      raise StopRequested
    if process.returncode:
      raise RunError(f"status {process.returncode}, see {log}")


@contextlib.contextmanager
def _started(command, cores, output) -> Iterator[subprocess.Popen]:
  """A process on these cores, which an exception ends too."""
  paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
  process = subprocess.Popen(
    command,
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    stdin=subprocess.DEVNULL,
    stdout=output,
    stderr=output,
    # This program receives a Ctrl-C and passes it on as SIGTERM.
    start_new_session=True,
    close_fds=False,  # the lock stays open
  )
  os.sched_setaffinity(process.pid, cores)
  try:
    yield process
  except BaseException:
    process.kill()
    process.wait()
    raise


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
  """Locks a folder for this program and the processes it starts.

  Raises:
    RuntimeError: another program has it, or left a process that still runs.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  with (workdir / "lock").open("w") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise RuntimeError(
        f"{workdir} is in use: let the other program end, or end it"
      ) from error
    os.set_inheritable(file.fileno(), True)
    yield


def shares(jobs: int) -> list[set[int]]:
  """Divides this process's cores among jobs; ValueError for too many jobs."""
  cores = sorted(os.sched_getaffinity(0))
  if not 1 <= jobs <= len(cores):
    raise ValueError(f"jobs is 1 to {len(cores)}, the cores here; got {jobs}")
  return [set(cores[i::jobs]) for i in range(jobs)]


def is_trained(folder: pathlib.Path) -> bool:
  """Whether the training is finished: evaluated, with its last step saved."""
  last = [
    line["step"]
    for line in whole_lines(folder / "metrics.jsonl")
    if "argmax/AP/gt_boxes" in line
  ]
  return bool(last) and (folder / "checkpoints" / str(last[-1])).is_dir()


def summary(cell: Cell, folder: pathlib.Path) -> dict:
  """Returns the content of cell.json: the cell, its scores and times."""
  parts = whole_lines(folder / "parts.jsonl")
  training = [part for part in parts if part["kind"] == "train"]
  rates = [
    line["images_per_second"]
    for line in whole_lines(folder / "metrics.jsonl")
    if "images_per_second" in line
  ]
  return {
    "cell": cell.to_json(),
    **json.loads((folder / "scores.json").read_text()),
    "training_seconds": round(sum(part["seconds"] for part in training)),
    "training_cpu_seconds": round(sum(p["cpu_seconds"] for p in training)),
    "images_per_second": round(statistics.median(rates), 1),
    "parts": parts,
  }

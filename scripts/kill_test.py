"""Test that killed runs lose nothing: compares one with an undisturbed run.

  python scripts/kill_test.py --kills=20

Trains a tiny network on a few synthetic people, with `python -m darkjax.train`
as a user would. The run is killed (SIGKILL) in turn while it starts, writes a
checkpoint, evaluates and trains, at moments drawn from --seed, and a few times
stopped (SIGTERM), which it must obey with status 0. It is restarted each time
and at last runs to its end. Another run is left alone. Both must have the same
checkpoint, bit for bit on one CPU device, the same metrics.jsonl but for the
speed, and the same curves in TensorBoard.
"""

import dataclasses
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import orbax.checkpoint as ocp
from tensorboard.backend.event_processing import event_accumulator

from darkjax.data.synthetic import dataset
from darkjax.runtime import command, startup
from darkjax.train.log import whole_lines

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEOPLE = {"train": 24, "val": 12}
BATCH_SIZE = 4
STEPS_PER_EPOCH = PEOPLE["train"] // BATCH_SIZE
POLL = 0.005  # s
PATIENCE = 600.0  # s, longest wait for a moment to kill at


@dataclasses.dataclass
class Run:
  """A run on disk.

  Attributes:
    folder: its workdir.
    data: folder of the people.
    cache: of prepared records and compiled programs.
    epochs: its length.
    start_up: s, about the time from a process's start to the moment.
  """

  folder: pathlib.Path
  data: pathlib.Path
  cache: pathlib.Path
  epochs: int
  start_up: float = 20.0

  def start(self) -> subprocess.Popen:
    """Starts or continues it in a process with one CPU device."""
    environment = os.environ | {
      "DARKJAX_CACHE": str(self.cache),
      "JAX_PLATFORMS": "cpu",
      "JAX_NUM_CPU_DEVICES": "1",
      "PYTHONPATH": str(ROOT),
    }
    self.folder.mkdir(parents=True, exist_ok=True)
    training = [
      *(sys.executable, "-m", "darkjax.train"),
      f"--config={ROOT / 'tests' / 'tiny_config.py'}",
      f"--workdir={self.folder}",
      f"--config.data.root={self.data}",
      f"--config.train.batch_size={BATCH_SIZE}",
      f"--config.train.epochs={self.epochs}",
    ]
    with self.folder.with_suffix(".log").open("a") as log:
      return subprocess.Popen(
        training, cwd=ROOT, env=environment, stdout=log, stderr=log
      )

  def finish(self) -> None:
    """Continues to the end; RuntimeError if it fails."""
    child = self.start()
    if child.wait():
      raise RuntimeError(
        f"the run ended with status {child.returncode}, see "
        f"{self.folder.with_suffix('.log')}"
      )

  def lines(self) -> list[dict[str, float]]:
    """Returns the log without the speed, which always differs."""
    lines = whole_lines(self.folder / "metrics.jsonl")
    for line in lines:
      line.pop("images_per_second", None)
    return lines

  def last_step(self) -> int:
    """Returns the last step of the log, 0 before there is any."""
    lines = self.lines()
    return lines[-1]["step"] if lines else 0

  def arrays(self) -> dict[str, np.ndarray]:
    """Returns all arrays of the last checkpoint by name."""
    folder = self.folder / "checkpoints"
    last = max(int(p.name) for p in folder.iterdir() if p.name.isdecimal())
    handler = ocp.PyTreeCheckpointHandler()
    tree = {
      item: handler.restore(folder / str(last) / item)
      for item in ("variables", "training")
    }
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(k): np.asarray(leaf) for k, leaf in leaves}

  def curves(self) -> dict[str, list[tuple[int, float]]]:
    """Returns TensorBoard's curves, without the speed."""
    events = event_accumulator.EventAccumulator(
      str(self.folder), size_guidance={event_accumulator.SCALARS: 0}
    )
    events.Reload()
    return {
      # A kill between the curve and the log has the point drawn twice.
      name: list(dict.fromkeys((p.step, p.value) for p in events.Scalars(name)))
      for name in events.Tags()["scalars"]
      if name != "images_per_second"
    }

  def half_written(self) -> set[str]:
    """Returns the names of checkpoints that are not written to the end."""
    return {p.name for p in self.folder.glob("checkpoints/*checkpoint-tmp*")}


def while_starting(run: Run, rng: random.Random, wait) -> None:
  """Waits for any time from the process's start to its first logged step."""
  before = run.last_step()
  at = time.monotonic() + rng.uniform(0, run.start_up)
  wait(lambda: time.monotonic() > at or run.last_step() > before)


def while_training(run: Run, rng: random.Random, wait) -> None:
  """Waits until just after a step has been logged."""
  before = run.last_step()
  wait(lambda: run.last_step() > before)
  time.sleep(rng.uniform(0, 0.2))


def while_evaluating(run: Run, rng: random.Random, wait) -> None:
  """Waits for the time between an epoch's last step and its evaluation."""
  before = run.last_step()

  def evaluating() -> bool:
    last = (run.lines() or [{"step": 0}])[-1]
    return (
      last["step"] > before
      and last["step"] % STEPS_PER_EPOCH == 0
      and "epoch" in last
    )

  wait(evaluating)
  time.sleep(rng.uniform(0, 0.3))


def while_saving(run: Run, rng: random.Random, wait) -> None:
  """Waits until a checkpoint has its temporary name."""
  before = run.half_written()
  wait(lambda: run.half_written() - before)
  time.sleep(rng.uniform(0, 0.05))


MOMENTS = (while_starting, while_saving, while_evaluating, while_training)
STOP_MOMENTS = (while_training, while_evaluating)


def end(
  run: Run, moment: Callable, number: signal.Signals, rng: random.Random
) -> None:
  """Starts the run and ends it at a moment by a signal.

  Raises:
    RuntimeError: it had ended before, the moment never came, or it did not end
      as the signal says.
  """
  child, start = run.start(), time.monotonic()

  def wait(until: Callable[[], object]) -> None:
    while not until() and child.poll() is None:
      if time.monotonic() - start > PATIENCE:
        break
      time.sleep(POLL)
    run.start_up = time.monotonic() - start

  moment(run, rng, wait)
  before = child.poll()
  child.send_signal(number)
  status = child.wait(PATIENCE)
  expected = 0 if number == signal.SIGTERM else -number
  if before is not None or status != expected or run.start_up > PATIENCE:
    raise RuntimeError(
      f"{moment.__name__}, {number.name}: ended with status {status} "
      f"({before} before the signal), see {run.folder.with_suffix('.log')}"
    )


def plan(
  kills: int, stops: int, rng: random.Random
) -> list[tuple[Callable, signal.Signals]]:
  """Returns moments and signals: kills in turn, stops anywhere after one."""
  turns = itertools.islice(itertools.cycle(MOMENTS), kills)
  planned = [(moment, signal.SIGKILL) for moment in turns]
  for moment in itertools.islice(itertools.cycle(STOP_MOMENTS), stops):
    at = rng.randint(1, len(planned))
    planned.insert(at, (moment, signal.SIGTERM))
  return planned


def differences(whole: Run, killed: Run) -> Iterator[str]:
  """Yields the differences of two finished runs, one line each."""
  for name, read in (("checkpoint", Run.arrays), ("curve", Run.curves)):
    one, other = read(whole), read(killed)
    for key in sorted(one.keys() | other.keys()):
      if key not in one or key not in other:
        yield f"{name} {key}: only in one of the runs"
      elif not np.array_equal(one[key], other[key]):
        yield f"{name} {key}: values differ"
  if whole.lines() != killed.lines():
    yield "metrics.jsonl: lines differ"
  if killed.half_written():
    yield f"left over: {killed.half_written()}"


def main(flags: command.Flags, _) -> int:
  """Kills, restarts and compares; 1 if the runs differ."""
  startup.start()  # silences libraries
  rng, workdir = (
    random.Random(flags.seed),
    pathlib.Path(flags.workdir).resolve(),
  )
  shutil.rmtree(workdir, ignore_errors=True)
  for split, count in PEOPLE.items():
    dataset.write_dataset(
      workdir / "data", num_people=count, seed=0, split=split
    )
  # One moment takes an epoch at the most, late ones reach into another.
  epochs = 2 * (flags.kills + flags.stops) + 2
  killed = Run(workdir / "killed", workdir / "data", workdir / "cache", epochs)
  for moment, number in plan(flags.kills, flags.stops, rng):
    end(killed, moment, number, rng)
    print(
      f"{number.name} {moment.__name__}: step {killed.last_step()}, "
      f"{len(killed.half_written())} checkpoints half written",
      flush=True,
    )
  killed.finish()
  whole = dataclasses.replace(killed, folder=workdir / "whole")
  whole.finish()
  found = list(differences(whole, killed))
  print(
    f"{flags.kills} kills, {flags.stops} stops, {whole.last_step()} steps, "
    f"{len(whole.arrays())} arrays, {len(whole.lines())} lines, "
    f"{len(whole.curves())} curves: "
    + ("; ".join(found) or "all equal those of the run left alone")
  )
  return int(bool(found))


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.integer("kills", 20, "How often to kill.", 1)
  define.integer("stops", 4, "How often to stop.", 0)
  define.integer("seed", 0, "Seed of the moments.")
  define.string("workdir", "runs/kill_test", "Folder; is emptied.")


if __name__ == "__main__":
  command.run(main, define_flags)

"""What a run tells: metrics.jsonl, TensorBoard, first lines, and progress.

`metrics.jsonl` has one json object a line, each with `step`; resuming a run
drops the lines after the step it resumes from, so that the file reads like that
of an uninterrupted run.
"""

import datetime
import json
import logging
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
from PIL import Image
from tqdm import tqdm

from darkjax.convention import Convention
from darkjax.models import cost
from darkjax.runtime import distributed
from darkjax.train import optim
from darkjax.train.step import State
from darkjax.train.tensorboard import Curves

_LOG = logging.getLogger(__name__)

_TIMED_STEPS = 10  # that the expected time is told from


class Report:
  """Writes the metrics of a run and shows its progress; on process 0 only.

  Use it in a `with`, so that what is buffered reaches the disk.
  """

  def __init__(
    self, workdir: str | pathlib.Path, *, start_step: int, total_steps: int
  ):
    """Opens the files.

    Args:
      workdir: folder of the run.
      start_step: steps done before; later lines of the log are dropped.
      total_steps: steps of the whole run.
    """
    self._writes = jax.process_index() == 0
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    if self._writes:
      self._open(pathlib.Path(workdir), start_step)
    self._first, self._total = start_step + 1, total_steps
    self._seen = (start_step, time.monotonic())
    self._compiled = None  # when the first step was done
    self._bar = tqdm(
      total=total_steps,
      initial=start_step,
      unit="step",
      dynamic_ncols=True,
      disable=not (self._writes and sys.stderr.isatty()),
    )

  def _open(self, workdir: pathlib.Path, start_step: int) -> None:
    workdir.mkdir(parents=True, exist_ok=True)
    _drop_after(self._path, start_step)
    self._file = self._path.open("a")
    self._curves = Curves(workdir, start_step=start_step)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._bar.close()
    if self._writes:
      self._file.close()
      self._curves.close()

  def advance(self, step: int) -> None:
    """Moves the progress bar to `step`; says once how long the run will be."""
    self._bar.update(step - self._bar.n)
    if step == self._first:
      self._compiled = time.monotonic()
    elif step == self._first + _TIMED_STEPS:
      seconds = (time.monotonic() - self._compiled) / _TIMED_STEPS
      rest = datetime.timedelta(seconds=round(seconds * (self._total - step)))
      _LOG.info(
        "%.3g s a step: about %s for the rest, evaluations aside", seconds, rest
      )

  def rate(self, step: int, batch_size: int) -> float:
    """People per second since the last call."""
    (before, then), now = self._seen, time.monotonic()
    self._seen = (step, now)
    return (step - before) * batch_size / max(now - then, 1e-9)

  def write(
    self, step: int, metrics: Mapping[str, float], *, shown: bool = True
  ) -> None:
    """Adds one line to the log and its numbers to the curves."""
    if not self._writes:
      return
    numbers = {name: float(value) for name, value in metrics.items()}
    for name, value in numbers.items():
      self._curves.scalar(name, value, step)
    # Both are on disk before a checkpoint is that says they are.
    self._curves.flush()
    self._file.write(json.dumps({"step": step, **numbers}) + "\n")
    self._file.flush()
    if shown:
      self._show(step, numbers)

  def picture(self, step: int, name: str, picture: Image.Image) -> None:
    """Adds a picture to TensorBoard."""
    if self._writes:
      self._curves.image(name, picture, step)

  def evaluation(self, step: int) -> dict[str, float]:
    """The metrics that the log has of the evaluation at a step, or {}."""
    for line in whole_lines(self._path):
      # The lines of training, and they alone, count epochs.
      if line["step"] == step and "epoch" not in line:
        return {name: v for name, v in line.items() if name != "step"}
    return {}

  def _show(self, step, numbers) -> None:
    line = "  ".join(f"{name} {v:.4g}" for name, v in numbers.items())
    if self._bar.disable:
      _LOG.info("step %d/%d  %s", step, self._total, line)
    else:
      self._bar.set_postfix_str(line[:60], refresh=False)


def whole_lines(path: pathlib.Path) -> list[dict[str, Any]]:
  """The whole lines of a jsonl, of which a kill may have cut the last.

  [] where there is no file yet.
  """
  lines = []
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      lines.append(json.loads(line))
    except json.JSONDecodeError:
      break
  return lines


def _drop_after(path: pathlib.Path, step: int) -> None:
  """Keeps the whole lines up to a step; a kill leaves the old or the new."""
  kept = [line for line in whole_lines(path) if line["step"] <= step]
  new = path.with_name(f"{path.name}.new")
  new.write_text("".join(json.dumps(line) + "\n" for line in kept))
  new.replace(path)


def describe(
  config: ml_collections.ConfigDict,
  workdir: str | pathlib.Path,
  convention: Convention,
  model: Any,
  state: State,
  steps_per_epoch: int,
) -> None:
  """Writes the first lines of the log, and config.json.

  Raises:
    ValueError: the run is past the last step of its configuration.
  """
  total = config.train.epochs * steps_per_epoch
  if state.step > total:
    raise ValueError(
      f"{workdir} holds step {state.step}, the configuration ends at {total}: "
      "raise train.epochs or use a new --workdir"
    )
  _LOG.info("convention: %s", convention.describe())
  counts = cost.model_cost(model, convention.crop_size)
  _LOG.info(
    "%s: %.2f M parameters, %.2f G multiply-adds a person",
    config.model.name,
    counts.parameters / 1e6,
    counts.macs / 1e9,
  )
  _describe_batch(config)
  _LOG.info(
    "%d epochs of %d steps from step %d, in %s",
    config.train.epochs,
    steps_per_epoch,
    state.step,
    workdir,
  )
  if jax.process_index() == 0:
    path = pathlib.Path(workdir) / "config.json"
    path.write_text(json.dumps(config.to_dict(), indent=2))


def _describe_batch(config) -> None:
  """How large a step is, on what, and how fast."""
  people, optimizer = config.train.batch_size, config.optimizer
  share = distributed.split_training(config.train)
  everywhere = config.model.bn_sync == "global"
  _LOG.info(
    "batch: %d people a step = %d processes x %d devices (%s) x %d "
    "micro-batches x %d people; batch norm over %d",
    people,
    share.processes,
    share.devices,
    jax.devices()[0].device_kind,
    share.micro_batches,
    share.people,
    share.people * (jax.device_count() if everywhere else 1),
  )
  _LOG.info(
    "learning rate: %g for %d people a step, %g for these %d (rate_scaling %s)",
    optimizer.learning_rate,
    optimizer.rate_batch_size,
    optim.scaled_rate(optimizer, people),
    people,
    optimizer.rate_scaling,
  )

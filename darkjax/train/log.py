"""Logs of a run: metrics.jsonl, TensorBoard, first lines, and progress.

Each line of `metrics.jsonl` is a json object with `step`; resuming a run drops
the lines after its step.
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
from PIL import Image
from tqdm import tqdm

from darkjax.models import cost
from darkjax.runtime import distributed, files
from darkjax.train import optim
from darkjax.train.run import Run
from darkjax.train.tensorboard import Curves

_LOG = logging.getLogger(__name__)

_TIMED_STEPS = 10  # after the first one, to estimate the length of the run


class Report:
  """Metrics and progress of a run, from process 0; use it in a `with`."""

  def __init__(
    self,
    workdir: str | pathlib.Path,
    *,
    start_step: int,
    total_steps: int,
    evaluated: bool = True,
  ):
    """Opens the files; drops lines of the log after `start_step`.

    And that step's evaluation, unless `evaluated`: it was of other settings.
    """
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._writes = jax.process_index() == 0
    lines = [
      line
      for line in whole_lines(self._path)
      # Only lines of training have an epoch.
      if line["step"] < start_step + (evaluated or "epoch" in line)
    ]
    # Metrics and `step` of each.
    self.evaluations = [line for line in lines if "epoch" not in line]
    if self._writes:
      text = "".join(json.dumps(line) + "\n" for line in lines)
      files.write_whole(self._path, text.encode())
      self._file = self._path.open("a")
      self._curves = Curves(workdir, start_step=start_step)
    self._first, self._total = start_step + 1, total_steps
    self._last_rate = (start_step, time.monotonic())
    self._compiled = 0.0  # time at the end of the first step
    self._bar = tqdm(
      total=total_steps,
      initial=start_step,
      unit="step",
      dynamic_ncols=True,
      disable=not (self._writes and sys.stderr.isatty()),
    )

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._bar.close()
    if self._writes:
      self._file.close()
      self._curves.close()

  def advance(self, step: int) -> None:
    """Moves the progress bar to `step`; logs once how long the run will be."""
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
    """Returns the people per second since the last call."""
    (before, then), now = self._last_rate, time.monotonic()
    self._last_rate = (step, now)
    return (step - before) * batch_size / max(now - then, 1e-9)

  def write(
    self, step: int, metrics: Mapping[str, float], *, shown: bool = True
  ) -> None:
    """Adds a line to the log and points to the curves."""
    numbers = {name: float(value) for name, value in metrics.items()}
    if "epoch" not in numbers:
      self.evaluations.append({"step": step, **numbers})
    if not self._writes:
      return
    for name, value in numbers.items():
      self._curves.scalar(name, value, step)
    # Both are on disk before the checkpoint of the step is.
    self._curves.flush()
    self._file.write(json.dumps({"step": step, **numbers}) + "\n")
    self._file.flush()
    line = "  ".join(f"{name} {v:.4g}" for name, v in numbers.items())
    if shown and self._bar.disable:
      _LOG.info("step %d/%d  %s", step, self._total, line)
    elif shown:
      self._bar.set_postfix_str(line[:60], refresh=False)

  def picture(self, step: int, name: str, picture: Image.Image) -> None:
    """Adds a picture to TensorBoard."""
    if self._writes:
      self._curves.image(name, picture, step)

  def evaluation(self, step: int) -> dict[str, float]:
    """Returns the logged metrics of the evaluation at a step, or {}."""
    logged = (e for e in self.evaluations if e["step"] == step)
    return {n: x for n, x in next(logged, {}).items() if n != "step"}


def whole_lines(path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns a jsonl's lines up to one cut off by a kill; [] for no file."""
  lines = []
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      lines.append(json.loads(line))
    except json.JSONDecodeError:
      break
  return lines


def describe(run: Run, first_step: int) -> None:
  """Logs what the run is and writes config.json; ValueError if it is over."""
  config, convention = run.config, run.data.convention
  if first_step > run.last_step:
    raise ValueError(
      f"{run.workdir} holds step {first_step}, the configuration ends at "
      f"{run.last_step}: raise train.epochs or use a new --workdir"
    )
  counts = cost.model_cost(run.model, convention.crop_size)
  share = distributed.split_training(config.train)
  people, optimizer = config.train.batch_size, config.optimizer
  everywhere = config.model.bn_sync == "global"
  for line in (
    f"convention: {convention.describe()}",
    f"{config.model.name}: {counts.parameters / 1e6:.2f} M parameters, "
    f"{counts.macs / 1e9:.2f} G multiply-adds a person",
    f"batch: {people} people a step = {share.processes} processes x "
    f"{share.devices} devices ({jax.devices()[0].device_kind}) x "
    f"{share.micro_batches} micro-batches x {share.people} people; batch norm "
    f"over {share.people * (jax.device_count() if everywhere else 1)}",
    f"learning rate: {optimizer.learning_rate:g} for "
    f"{optimizer.rate_batch_size} people a step, "
    f"{optim.scaled_rate(optimizer, people):g} for these {people} "
    f"(rate_scaling {optimizer.rate_scaling})",
    f"{config.train.epochs} epochs of {run.data.steps_per_epoch} steps from "
    f"step {first_step}, in {run.workdir}",
  ):
    _LOG.info(line)
  if jax.process_index() == 0:
    path = pathlib.Path(run.workdir) / "config.json"
    text = json.dumps(config.to_dict(), indent=2)
    files.write_whole(path, text.encode())

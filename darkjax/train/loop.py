"""The training loop: steps, log lines, checkpoints and evaluations."""

import contextlib
import functools
import logging
import pathlib

import jax
import ml_collections
import orbax.checkpoint as ocp

from darkjax import checkpoint
from darkjax.data import batch as batch_lib
from darkjax.data import from_config
from darkjax.evaluate import scores
from darkjax.runtime import devices, distributed, files, preemption
from darkjax.train import (
  best,
  checks,
  device_crop,
  device_pack,
  evaluation,
  log,
  resume,
)
from darkjax.train import run as run_lib
from darkjax.train.run import Run, TrainingData
from darkjax.train.step import State
from darkjax.train.tensorboard import Trace, draw_targets
from darkjax.viz.contact_sheet import contact_sheet

_LOG = logging.getLogger(__name__)


def train(
  config: ml_collections.ConfigDict,
  workdir: str,
  *,
  profile: bool = False,
  stop: preemption.Stop | None = None,
) -> dict[str, float]:
  """Trains on the data that a configuration names; else like `fit`."""
  checks.check_settings(config)
  checks.check_folder(workdir)
  index, count = jax.process_index(), jax.process_count()
  data = from_config.read(config, process_index=index, process_count=count)
  distributed.check_same({"label files": data.labels_digests})
  checks.check_same_labels(workdir, data.labels_digests, writes=index == 0)
  pages = device_pack.place(data.packs) if data.packs else None
  people = distributed.split_training(config.train).of_process
  training_data = TrainingData(
    convention=data.convention,
    batches=lambda step: data.train_batches(step, people),
    evaluate=functools.partial(
      evaluation.evaluate, config=config, data=data, pages=pages
    ),
    steps_per_epoch=data.steps_per_epoch,
    pages=pages,
  )
  return fit(config, workdir, training_data, profile=profile, stop=stop)


def fit(
  config: ml_collections.ConfigDict,
  workdir: str,
  data: TrainingData,
  *,
  profile: bool = False,
  stop: preemption.Stop | None = None,
) -> dict[str, float]:
  """Trains on any batches.

  Args:
    config: like configs/coco_hrnet_w32_128x96.py; its `data` is not read.
    workdir: folder of the run; a run found there is continued.
    data: what to train and evaluate on.
    profile: write a trace of a few steps into the workdir.
    stop: ends the run early, after a step or in an evaluation, which is then
      the first thing done when the run continues.

  Returns:
    The metrics of the last evaluation.

  Raises:
    FloatingPointError: the loss is not finite; names step and batch.
    ValueError: a label is not finite, the settings make no run, or differ
      between processes or from the run's so far, or the workdir holds files
      like a run's that are not.
    OSError: the disk of the run is full.
    Stopped: `stop` asked for it; the run is saved.
    Where several processes run, they end instead: see `distributed`.
  """
  checks.check_settings(config)
  checks.check_folder(workdir)
  steps = {"steps of an epoch": data.steps_per_epoch}
  distributed.check_same(steps | resume.shared_fields(config))
  run = run_lib.create(config, workdir, data)
  with (
    files.explain_full_disk(workdir),
    checkpoint.manager(
      pathlib.Path(workdir) / "checkpoints", keep=config.train.keep_checkpoints
    ) as checkpoints,
    distributed.failing_together(),
  ):
    state, changed = resume.first_state(run, checkpoints)
    first = int(state.step)
    best.forget_after(workdir, first)
    log.describe(run, first)
    with (
      log.Report(
        workdir,
        start_step=first,
        total_steps=run.last_step,
        evaluated=not resume.EVALUATION.intersection(changed),
      ) as report,
      Trace(workdir if profile else None, start_step=first) as trace,
    ):
      return _train_and_evaluate(
        run, state, checkpoints, report, trace, stop or preemption.Stop()
      )


def _train_and_evaluate(
  run: Run,
  state: State,
  checkpoints: ocp.CheckpointManager,
  report: log.Report,
  trace: Trace,
  stop: preemption.Stop,
) -> dict[str, float]:
  """Steps until the last one; returns the metrics of the last evaluation."""
  settings, steps_per_epoch = run.config.train, run.data.steps_per_epoch
  save_every = settings.checkpoint_every_epochs * steps_per_epoch
  evaluate_every = settings.evaluate_every_epochs * steps_per_epoch
  first, metrics, done = int(state.step), {}, None
  state = devices.replicate(state)
  batches = run.data.batches(first)
  with stop.later(), contextlib.ExitStack() as stack:
    if hasattr(batches, "close"):  # ends the threads behind a generator
      stack.callback(batches.close)
    for step in range(first, run.last_step + 1):
      if step > first:
        batch = next(batches)
        checks.check_labels(step, batch)
        if step == first + 1:
          report.picture(step, "train/targets", _targets(run, batch))
        fields = batch_lib.to_device_fields(batch)
        state, values = run.step(state, fields, run.data.pages)
        trace.after(step, values)
        # Looks at the step before while the devices are busy with this one.
        checks.check_finite(done)
        done = step, values, batch
        report.advance(step)
        if run.is_due(step, every=settings.log_every_steps):
          checks.check_finite(done)
          _log_step(run, report, step, values)
        if run.is_due(step, every=save_every):
          checks.check_finite(done)
          resume.save(checkpoints, run.metadata, state)
      try:
        with stop.at_once(step):
          if run.is_due(step, every=evaluate_every):
            # A run that continues may have evaluated its last step, or not.
            metrics = report.evaluation(step) or _evaluate(run, report, state)
            _LOG.info("step %d\n%s", step, scores.table(metrics))
            if settings.keep_best and _is_over(run, report, state):
              checks.check_finite(done)
              resume.save(checkpoints, run.metadata, state)
              break
      except preemption.Stopped:
        checks.check_finite(done)
        resume.save(checkpoints, run.metadata, state)
        raise
  return metrics


def _is_over(run: Run, report: log.Report, state: State) -> bool:
  """Keeps the state if it is the best; returns whether none is to follow."""
  settings = run.config.train
  found = best.Best.of(report.evaluations, settings.keep_best)
  best.keep(run.workdir, found, run.metadata, resume.on_host(state))
  if not 0 < settings.patience <= found.evaluations_since:
    return False
  _LOG.info(
    "the run ends early: %d evaluations without a better %s than %.4g at step "
    "%d (train.patience)",
    found.evaluations_since, settings.keep_best, found.value, found.step,
  )  # fmt: skip
  return True


def _targets(run: Run, batch):
  """Picture of the first people of a batch with their target heatmaps."""
  convention = run.data.convention
  batch = device_crop.on_host(
    batch,
    run.data.pages,
    crop_size=convention.crop_size,
    mapping=run.config.train.mapping,
  )
  return contact_sheet(draw_targets(batch, convention, count=16), columns=8)


def _log_step(run: Run, report: log.Report, step: int, values) -> None:
  numbers = checks.first_device(values) | {
    "learning_rate": run.schedule(step - 1),
    "epoch": step / run.data.steps_per_epoch,
    "images_per_second": report.rate(step, run.config.train.batch_size),
  }
  report.write(step, numbers)


def _evaluate(run: Run, report: log.Report, state: State) -> dict[str, float]:
  """Evaluates the state and logs the metrics, which it returns."""
  state = resume.on_host(state)
  result = run.data.evaluate(run.model, state.variables)
  step = int(state.step)
  if result.picture is not None:
    report.picture(step, "val/people", result.picture)
  report.write(step, result.metrics, shown=False)
  return result.metrics

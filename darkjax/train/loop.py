"""Training: `python -m darkjax.train --config=configs/quickstart.py`.

A run lives in `--workdir`: checkpoints/, metrics.jsonl, TensorBoard events and
config.json. Started again with the same folder it continues where it stopped.
"""

import functools
import logging
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.jax_utils
import jax
import ml_collections
import numpy as np

from darkjax import checkpoint, models
from darkjax import convention as convention_lib
from darkjax.data import batch as batch_lib
from darkjax.data import from_config
from darkjax.data.from_config import Process
from darkjax.evaluate.scores import table
from darkjax.runtime import devices, distributed, files
from darkjax.train import (
  checks,
  device_crop,
  device_pack,
  optim,
  preemption,
  resume,
)
from darkjax.train.evaluation import Evaluate, evaluator
from darkjax.train.log import Report, describe
from darkjax.train.pictures import targets_sheet
from darkjax.train.profile import Trace
from darkjax.train.step import train_step

_LOG = logging.getLogger(__name__)


def _cut_and_step(state, batch, pages, *, convention, **settings):
  """`train_step`, after cutting the images that the batch does not bring."""
  batch = device_crop.with_images(batch, pages, crop_size=convention.crop_size)
  return train_step(state, batch, convention=convention, **settings)


def train(
  config: ml_collections.ConfigDict,
  workdir: str,
  *,
  profile: bool = False,
  stop: preemption.Stop | None = None,
) -> dict[str, float]:
  """Trains on the data the configuration names.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    workdir: folder of the run; a run found there is continued.
    profile: see `fit`.
    stop: see `fit`.

  Returns:
    The metrics of the evaluation after the last step.
  """
  checks.check_settings(config.train)
  process = Process(jax.process_index(), jax.process_count())
  data = from_config.read(config, process)
  distributed.check_same({"label files": data.labels_digests})
  checks.check_same_labels(
    workdir, data.labels_digests, writes=process.index == 0
  )
  pages = device_pack.place(data.packs) if data.packs else None
  share = distributed.split_training(config.train)
  return fit(
    config,
    workdir,
    convention=data.convention,
    batches=lambda step: data.train_batches(step, share.of_process),
    evaluate=evaluator(config, data, pages),
    profile=profile,
    steps_per_epoch=data.steps_per_epoch,
    pages=pages,
    stop=stop,
  )


def fit(
  config: ml_collections.ConfigDict,
  workdir: str,
  *,
  convention: convention_lib.Convention,
  batches: Callable[[int], Iterator[dict[str, np.ndarray]]],
  evaluate: Evaluate,
  steps_per_epoch: int,
  pages: jax.Array | None = None,
  profile: bool = False,
  stop: preemption.Stop | None = None,
) -> dict[str, float]:
  """Trains on any batches: data/schema.py says what is in one.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    workdir: folder of the run; a run found there is continued.
    convention: of the batches, the targets and the checkpoint.
    batches: first step -> this process's batches from that step on.
    evaluate: (model, variables) -> `Evaluation`.
    steps_per_epoch: steps that `config.train`'s epochs are made of.
    pages: what the step cuts images from, see placement.py, where the batches
      bring none.
    profile: write a trace of a few steps into the workdir.
    stop: ends the run early: after a step, or in an evaluation, which is then
      the first thing done when the run continues.

  Returns:
    The metrics of the evaluation after the last step.

  Raises:
    FloatingPointError: the loss is not finite; names step and batch.
    ValueError: a label is not finite, names the annotation; or the settings
      make no run, or differ between processes or from the run's so far.
    OSError: the disk of the run is full.
    Stopped: `stop` asked for it; the run is saved.
    Where several processes run, they end instead: see `distributed`.
  """
  checks.check_settings(config.train)
  share = distributed.split_training(config.train)
  facts = {"steps of an epoch": steps_per_epoch}
  distributed.check_same(facts | resume.shared_fields(config))
  model_fields = _model_fields(config, convention)
  model = models.create_model(**model_fields)
  sizes = {
    "steps_per_epoch": steps_per_epoch,
    "batch_size": config.train.batch_size,
  }
  optimizer = optim.create_optimizer(config.optimizer, **sizes)
  metadata = checkpoint.Metadata(convention, model_fields, config.to_dict())
  step = devices.map_step(
    functools.partial(
      _cut_and_step,
      model=model.clone(remat=config.train.remat),
      optimizer=optimizer,
      convention=convention,
      loss=config.loss.name,
      hardest_keypoints=config.loss.hardest_keypoints,
      ema_decay=config.optimizer.ema_decay,
      micro_batches=share.micro_batches,
    )
  )
  with (
    files.named_if_full(workdir),
    checkpoint.manager(
      pathlib.Path(workdir) / "checkpoints", keep=config.train.keep_checkpoints
    ) as checkpoints,
    distributed.failing_together(),
  ):
    state = resume.first_state(
      config, model, optimizer, convention, checkpoints
    )
    describe(config, workdir, convention, model, state, steps_per_epoch)
    return _loop(
      config,
      workdir,
      state,
      lambda state, batch: step(
        state, devices.shard(batch_lib.to_device_fields(batch)), pages
      ),
      batches,
      schedule=optim.learning_rate_schedule(config.optimizer, **sizes),
      steps_per_epoch=steps_per_epoch,
      evaluate=lambda variables: evaluate(model, variables),
      targets=lambda batch: targets_sheet(
        device_crop.on_host(batch, pages, crop_size=convention.crop_size),
        convention,
      ),
      profile=profile,
      save=functools.partial(resume.save, checkpoints, metadata),
      stop=stop or preemption.Stop(),
    )


def _model_fields(config, convention) -> dict[str, Any]:
  """What `create_model` needs, and the checkpoint remembers."""
  synchronised = {"none": None, "global": devices.AXIS}
  return {
    "name": config.model.name,
    "num_keypoints": convention.skeleton.num_keypoints,
    "dtype": config.model.dtype,
    "bn_axis_name": synchronised[config.model.bn_sync],
    **config.model.overrides,
  }


def _loop(
  config,
  workdir,
  state,
  step_fn,
  batches,
  *,
  schedule,
  steps_per_epoch,
  evaluate,
  targets,
  profile,
  save,
  stop,
):
  """Steps, log lines, checkpoints and evaluations until the last step."""
  settings, metrics, previous = config.train, {}, None
  first, total = int(state.step), settings.epochs * steps_per_epoch
  stream = batches(first)
  state = flax.jax_utils.replicate(state)

  def due(step, every):
    return step > 0 and (step % every == 0 or step == total)

  def train_to(step):
    nonlocal state, previous
    batch = next(stream)
    checks.check_labels(step, batch)
    if step == first + 1:
      report.picture(step, "train/targets", targets(batch))
    state, values = step_fn(state, batch)
    trace.after(step, values)
    checks.check_finite(previous)
    previous = (step, values, batch)
    report.advance(step)
    if due(step, settings.log_every_steps):
      checks.check_finite(previous)
      report.write(
        step,
        checks.first_device(values)
        | {
          "learning_rate": schedule(step - 1),
          "epoch": step / steps_per_epoch,
          "images_per_second": report.rate(step, settings.batch_size),
        },
      )
    if due(step, settings.checkpoint_every_epochs * steps_per_epoch):
      checks.check_finite(previous)
      save(state)

  def evaluate_at(step):
    result = evaluate(resume.on_host(state).variables)
    if result.picture is not None:
      report.picture(step, "val/people", result.picture)
    report.write(step, result.metrics, shown=False)
    return result.metrics

  with (
    Report(workdir, start_step=first, total_steps=total) as report,
    Trace(workdir if profile else None, start_step=first) as trace,
    stop.later(),
  ):
    try:
      for step in range(first, total + 1):
        if step > first:
          train_to(step)
        with stop.at_once(step):
          if due(step, settings.evaluate_every_epochs * steps_per_epoch):
            # The run before may have evaluated its last step, or may not.
            metrics = report.evaluation(step) or evaluate_at(step)
            _LOG.info("step %d\n%s", step, table(metrics))
    except preemption.Stopped:
      checks.check_finite(previous)
      save(state)
      raise
    finally:
      if hasattr(stream, "close"):
        stream.close()
  return metrics

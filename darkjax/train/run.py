"""Parts of a run that stay the same while it trains."""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
import optax

from darkjax import checkpoint, models
from darkjax.convention import Convention
from darkjax.runtime import devices, distributed
from darkjax.train import device_crop, optim
from darkjax.train.evaluation import Evaluate
from darkjax.train.step import train_step

Batches = Iterator[dict[str, np.ndarray]]


class TrainingData(NamedTuple):
  """What a run trains and is evaluated on.

  Attributes:
    convention: of the batches, the targets and the checkpoints.
    batches: first step -> this process's batches from that step on, with the
      fields of data/batch.py.
    evaluate: (model, variables) -> `Evaluation`.
    steps_per_epoch: steps that show every person once.
    pages: pixels that the step cuts images from, see device_pack.py; None where
      the batches hold images.
  """

  convention: Convention
  batches: Callable[[int], Batches]
  evaluate: Evaluate
  steps_per_epoch: int
  pages: jax.Array | None = None


class Run(NamedTuple):
  """Configuration, data, network and optimiser of a run."""

  config: ml_collections.ConfigDict
  workdir: str | os.PathLike[str]
  data: TrainingData
  model: Any  # a Linen module of darkjax.models
  optimizer: optax.GradientTransformation
  schedule: optax.Schedule  # step -> learning rate
  step: Callable[..., Any]  # of `devices.map_step`; `shared` is `data.pages`
  metadata: checkpoint.Metadata

  @property
  def last_step(self) -> int:
    """Number of the last step; the first is 1."""
    return self.config.train.epochs * self.data.steps_per_epoch

  def is_due(self, step: int, *, every: int) -> bool:
    """Whether something happens after a step: at intervals and at the end."""
    return step > 0 and (step % every == 0 or step == self.last_step)


def create(
  config: ml_collections.ConfigDict,
  workdir: str | os.PathLike[str],
  data: TrainingData,
) -> Run:
  """Creates the network and the optimiser, and maps the step."""
  fields = _model_fields(config, data.convention)
  model = models.create_model(**fields)
  schedule = optim.learning_rate_schedule(
    config.optimizer,
    steps_per_epoch=data.steps_per_epoch,
    batch_size=config.train.batch_size,
  )
  optimizer = optim.create_optimizer(
    schedule, clip_norm=config.optimizer.clip_norm
  )
  step = functools.partial(
    _cut_and_step,
    model=model.clone(remat=config.train.remat),
    optimizer=optimizer,
    convention=data.convention,
    loss=config.loss.name,
    hardest_keypoints=config.loss.hardest_keypoints,
    ema_decay=config.optimizer.ema_decay,
    micro_batches=distributed.split_training(config.train).micro_batches,
  )
  return Run(
    config,
    workdir,
    data,
    model,
    optimizer,
    schedule,
    step=devices.map_step(step, mapping=config.train.mapping),
    metadata=checkpoint.Metadata(data.convention, fields, config.to_dict()),
  )


def _cut_and_step(state, batch, pages, *, convention, **settings):
  """`train_step`, after cutting the images of a batch that holds none."""
  batch = device_crop.with_images(batch, pages, crop_size=convention.crop_size)
  return train_step(state, batch, convention=convention, **settings)


def _model_fields(config, convention) -> dict[str, Any]:
  """Arguments of `create_model`, stored in the checkpoints."""
  synchronised = {"none": None, "global": devices.AXIS}
  if config.model.bn_sync not in synchronised:
    raise ValueError(
      f"unknown model.bn_sync {config.model.bn_sync!r}; known: "
      f"{', '.join(synchronised)}"
    )
  return {
    "name": config.model.name,
    "num_keypoints": convention.skeleton.num_keypoints,
    "dtype": config.model.dtype,
    "bn_axis_name": synchronised[config.model.bn_sync],
    **config.model.overrides,
  }

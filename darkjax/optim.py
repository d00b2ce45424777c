"""Adam with a step schedule, as the pose networks are trained.

The official runs use Adam without weight decay: their configurations name one,
but their code never passes it to Adam.
"""

import jax
import ml_collections
import optax


def learning_rate_schedule(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int
) -> optax.Schedule:
  """Learning rate as a function of the step, so that a resumed run continues.

  The rate is multiplied by `config.decay` at the first step of each epoch in
  `config.milestones` (epochs count from 0), and rises linearly over the first
  `config.warmup_steps` steps.

  Args:
    config: the `optimizer` part of a configuration.
    steps_per_epoch: optimiser steps in an epoch.

  Returns:
    step -> learning rate.
  """
  drops = {
    int(epoch * steps_per_epoch): config.decay for epoch in config.milestones
  }
  steps = optax.piecewise_constant_schedule(config.learning_rate, drops)
  if not config.warmup_steps:
    return steps
  warmup = optax.linear_schedule(
    1.0 / config.warmup_steps, 1.0, config.warmup_steps - 1
  )
  return lambda step: steps(step) * warmup(step)


def create_optimizer(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int
) -> optax.GradientTransformation:
  """Adam (β 0.9 and 0.999, ε 1e-8, no weight decay), clipped if asked.

  Args:
    config: the `optimizer` part of a configuration; a `clip_norm` of 0 means
      no clipping, otherwise gradients are scaled to that global norm at most.
    steps_per_epoch: optimiser steps in an epoch.

  Returns:
    The optax transformation.
  """
  schedule = learning_rate_schedule(config, steps_per_epoch=steps_per_epoch)
  adam = optax.adam(schedule)
  if not config.clip_norm:
    return adam
  return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def update_ema(average, params, *, decay: float):
  """Exponential moving average of parameters: decay·average + (1−decay)·new.

  Args:
    average: the averaged parameters so far.
    params: a tree like it.
    decay: weight of the past, in [0, 1).

  Returns:
    A tree like it.
  """
  return jax.tree.map(
    lambda old, new: decay * old + (1.0 - decay) * new, average, params
  )

"""Adam with a step schedule, as the pose networks are trained.

The official runs use Adam without weight decay: their configurations name one,
but their code never passes it to Adam.
"""

import ml_collections
import optax

# Exponents by which the rate grows with the batch.
RATE_SCALINGS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


def scaled_rate(config: ml_collections.ConfigDict, batch_size: int) -> float:
  """Returns the learning rate for a batch of people in all devices together.

  Adam divides by the gradient's root mean square, so that "sqrt" keeps the
  noise of its steps where "linear" would for plain gradient descent.

  Raises:
    ValueError: an unknown `rate_scaling`.

  Reference:
    Malladi et al., arXiv 2205.10287, the square root rule (of which only the
    rate's part is applied, β and ε stay); Goyal et al., arXiv 1706.02677,
    section 2.1, the linear one.
  """
  if config.rate_scaling not in RATE_SCALINGS:
    raise ValueError(
      f"unknown optimizer.rate_scaling {config.rate_scaling!r}; known: "
      f"{', '.join(RATE_SCALINGS)}"
    )
  ratio = batch_size / config.rate_batch_size
  return config.learning_rate * ratio ** RATE_SCALINGS[config.rate_scaling]


def learning_rate_schedule(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int, batch_size: int
) -> optax.Schedule:
  """Returns the learning rate as a function of the step.

  It is multiplied by `decay` at the first step of each epoch (from 0) in
  `milestones`, and rises linearly over the first `warmup_steps` steps.
  """
  drops = {
    int(epoch * steps_per_epoch): config.decay for epoch in config.milestones
  }
  rate = scaled_rate(config, batch_size)
  decayed = optax.piecewise_constant_schedule(rate, drops)
  if not config.warmup_steps:
    return decayed
  warmup = optax.linear_schedule(
    1.0 / config.warmup_steps, 1.0, config.warmup_steps - 1
  )
  return lambda step: decayed(step) * warmup(step)


def create_optimizer(
  schedule: optax.Schedule, *, clip_norm: float
) -> optax.GradientTransformation:
  """Returns Adam (β 0.9 and 0.999, ε 1e-8, no weight decay), clipped if asked.

  A `clip_norm` above 0 is the most that the gradients' global norm may be. The
  state is Adam's with it and without, so that a run may set it later.
  """
  adam = optax.adam(schedule)
  if not clip_norm:
    return adam
  clip = optax.clip_by_global_norm(clip_norm)

  def update(gradients, state, params=None):
    clipped, _ = clip.update(gradients, optax.EmptyState())
    return adam.update(clipped, state, params)

  return optax.GradientTransformation(adam.init, update)

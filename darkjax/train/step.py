"""One training step: pure, written for one device, see `devices.map_step`."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from darkjax import inference, losses
from darkjax.convention import Convention
from darkjax.heatmaps import encode

# The head (see `Convention.head`) that each loss trains: "mse" compares drawn
# heatmaps, "ipr" and "dsnt" keypoints.
LOSSES = {"mse": "gaussian", "ipr": "softmax", "dsnt": "softmax"}


class State(flax.struct.PyTreeNode):
  """Variables and optimiser of a run, which a step changes.

  Attributes:
    step: optimiser steps done, int32 scalar.
    params: weights of the model, float32.
    batch_stats: running statistics of batch norm.
    opt_state: of the optimiser.
    average: moving average of `params`, or None where the run keeps none.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any
  average: Any

  @property
  def variables(self) -> dict[str, Any]:
    """The weights for inference: the averaged ones where there are any."""
    params = self.params if self.average is None else self.average
    return {"params": params, "batch_stats": self.batch_stats}

  @property
  def training(self) -> dict[str, Any]:
    """The rest of the state, which a run needs to continue."""
    rest = {"step": self.step, "opt_state": self.opt_state}
    return rest if self.average is None else rest | {"params": self.params}

  def restored(self, variables: Any, training: Any) -> "State":
    """Returns a state with these `variables` and `training`."""
    averaged = self.average is not None
    return State(
      step=training["step"],
      params=training["params"] if averaged else variables["params"],
      batch_stats=variables["batch_stats"],
      opt_state=training["opt_state"],
      average=variables["params"] if averaged else None,
    )


def create_state(
  key: jax.Array,
  model: Any,
  optimizer: optax.GradientTransformation,
  *,
  crop_size: tuple[int, int],
  averaged: bool = False,
) -> State:
  """Draws the weights and starts the optimiser, at step 0."""
  images = jax.ShapeDtypeStruct((1, *crop_size, 3), jnp.float32)
  # Only the weights are computed, not the network's output. Each by a small
  # program that layers of the same shape share: one large program compiles
  # three times as long.
  variables = model.lazy_init(key, images)
  params = variables["params"]
  return State(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=variables.get("batch_stats", {}),
    opt_state=optimizer.init(params),
    average=jax.tree.map(jnp.copy, params) if averaged else None,
  )


def train_step(
  state: State,
  batch: dict[str, jax.Array],
  *,
  model: Any,
  optimizer: optax.GradientTransformation,
  convention: Convention,
  loss: str = "mse",
  hardest_keypoints: int = 0,
  ema_decay: float = 0.0,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> tuple[State, dict[str, jax.Array]]:
  """Takes one optimiser step.

  Args:
    state: before the step.
    batch: fields `batch.DEVICE_FIELDS` of this device's B people.
    model: a Linen module of darkjax.models.
    optimizer: from `optim.create_optimizer`.
    convention: draws the targets.
    loss: a key of `LOSSES`.
    hardest_keypoints: keypoints per person that count; 0 for all.
    ema_decay: of `State.average`.
    micro_batches: equal parts of the batch that are taken one after the other,
      for less memory; 1 for all at once.
    axis_name: axis to average gradients and statistics over, if mapped.

  Returns:
    The state after the step and {"loss", "gradient_norm"}, float32 scalars.

  Raises:
    ValueError: an unknown loss, or one that does not fit the convention's head.
  """
  _check_loss(loss, convention)

  def objective(params, part):
    pixels = inference.normalize(
      part["image"], channel_order=convention.channel_order
    )
    variables = {"params": params, "batch_stats": state.batch_stats}
    outputs, updates = model.apply(
      variables, pixels, train=True, mutable=["batch_stats"]
    )
    output_loss = _output_loss(loss, part, convention)
    # A tuple of outputs where the network is supervised at several depths.
    per_keypoint = sum(map(output_loss, jax.tree.leaves(outputs)))
    if hardest_keypoints:
      per_keypoint = losses.hardest_keypoints(
        per_keypoint, count=hardest_keypoints
      )
    return per_keypoint.mean(), updates.get("batch_stats", {})

  value_and_grad = jax.value_and_grad(objective, has_aux=True)
  result = _accumulate(value_and_grad, state.params, batch, micro_batches)
  if axis_name is not None:
    result = jax.lax.pmean(result, axis_name)
  (mean_loss, batch_stats), gradients = result
  with jax.named_scope("optimizer"):
    updates, opt_state = optimizer.update(
      gradients, state.opt_state, state.params
    )
    params = optax.apply_updates(state.params, updates)
  average = state.average
  if average is not None:
    average = optax.incremental_update(params, average, 1.0 - ema_decay)
  metrics = {"loss": mean_loss, "gradient_norm": optax.tree.norm(gradients)}
  state = State(state.step + 1, params, batch_stats, opt_state, average)
  return state, metrics


def _accumulate(value_and_grad, params, batch, count: int):
  """Returns the mean of value_and_grad over `count` equal parts of a batch.

  As if each were on a device of its own: batch norm takes the statistics of one
  part, and the running ones move once a step, by the mean over the parts.
  """
  if count == 1:
    return value_and_grad(params, batch)
  parts = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)
  result = jax.eval_shape(
    value_and_grad, params, jax.tree.map(lambda x: x[0], parts)
  )

  def add(total, part):
    return jax.tree.map(jnp.add, total, value_and_grad(params, part)), None

  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), result)
  total, _ = jax.lax.scan(add, zeros, parts)
  return jax.tree.map(lambda x: x / count, total)


def _output_loss(name, batch, convention) -> Callable[[jax.Array], jax.Array]:
  """Returns a function from an output [B, H', W', K] to losses [B, K]."""
  if name == "mse":
    with jax.named_scope("draw_targets"):
      targets = draw_targets(batch, convention)
    return lambda heatmaps: losses.heatmap_mse(heatmaps, *targets)
  labels = batch["keypoints_heatmap"], _weights(batch, convention)
  if name == "ipr":
    return lambda logits: losses.ipr_loss(logits, *labels)
  sigma = convention.sigma
  return lambda logits: losses.dsnt_loss(logits, *labels, sigma=sigma)


def _check_loss(name, convention) -> None:
  if name not in LOSSES:
    raise ValueError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
  if LOSSES[name] != convention.head:
    raise ValueError(
      f"loss {name!r} trains a {LOSSES[name]!r} head, the convention has "
      f"{convention.head!r}; set convention.head={LOSSES[name]!r} or another "
      "loss.name"
    )


def draw_targets(
  batch: Mapping[str, Any], convention: Convention
) -> tuple[jax.Array, jax.Array]:
  """Draws target heatmaps [B, H', W', K] and weights keypoints [B, K].

  A weight is 1 for a label whose Gaussian touches the map, else 0.
  """
  target = encode.render_heatmaps(
    batch["keypoints_heatmap"],
    size=convention.heatmap_size,
    sigma=convention.sigma,
    quantize=convention.quantize,
    truncate=convention.truncate,
  )
  return target, _weights(batch, convention)


def _weights(batch, convention) -> jax.Array:
  weights = encode.keypoint_weights(
    batch["keypoints_heatmap"],
    batch["visibility"],
    size=convention.heatmap_size,
    sigma=convention.sigma,
    quantize=convention.quantize,
  )
  return weights * batch["mask"][:, None]

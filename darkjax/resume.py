"""Where a run begins, and what it leaves to begin there again."""

from typing import Any

import flax.jax_utils
import jax
import ml_collections
import optax
import orbax.checkpoint as ocp

from darkjax import checkpoint
from darkjax.convention import Convention
from darkjax.step import State, create_state


def first_state(
  config: ml_collections.ConfigDict,
  model: Any,
  optimizer: optax.GradientTransformation,
  convention: Convention,
  checkpoints: ocp.CheckpointManager,
) -> State:
  """The run's last state, else the pretrained weights, else new ones.

  Args:
    config: of the run.
    model: a Linen module of darkjax.models.
    optimizer: from `optim.create_optimizer`.
    convention: of the run.
    checkpoints: from `checkpoint.manager`, on the run's folder.

  Returns:
    The state, on no devices or on the first.

  Raises:
    ValueError: the run was begun with another convention.
    RuntimeError: checkpoints exist and none can be read.
  """
  state = create_state(
    # "rbg" compiles in a fraction of the default generator's time.
    jax.random.key(config.seed, impl="rbg"),
    model,
    optimizer,
    crop_size=convention.crop_size,
    averaged=config.optimizer.ema_decay > 0,
  )
  found = checkpoint.restore(
    checkpoints, variables=state.variables, training=state.training
  )
  if found is not None:
    _check_same(found.metadata.convention, convention)
    return state.restored(found.variables, found.training)
  if config.pretrained:
    variables, _ = checkpoint.load(config.pretrained)
    return state.replace(
      params=variables["params"],
      batch_stats=variables["batch_stats"],
      average=variables["params"] if state.average is not None else None,
    )
  return state


def _check_same(stored, wanted) -> None:
  if stored != wanted:
    raise ValueError(
      "the checkpoint in this workdir was trained with another convention "
      f"({'; '.join(stored.differences(wanted))}); use a new --workdir"
    )


def on_host(replicated: State) -> State:
  """NumPy arrays, which one process may write for all."""
  return jax.device_get(flax.jax_utils.unreplicate(replicated))


def save(
  checkpoints: ocp.CheckpointManager,
  metadata: checkpoint.Metadata,
  replicated: State,
) -> None:
  """Writes the state that all devices hold, for `first_state`."""
  state = on_host(replicated)
  checkpoint.save(
    checkpoints,
    int(state.step),
    variables=state.variables,
    training=state.training,
    metadata=metadata,
  )

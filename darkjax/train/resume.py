"""Where a run begins, and what it leaves to begin there again."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from typing import Any

import flax.jax_utils
import jax
import ml_collections
import optax
import orbax.checkpoint as ocp

from darkjax import checkpoint
from darkjax.convention import Convention
from darkjax.skeletons import Skeleton
from darkjax.train.step import State, create_state

_LOG = logging.getLogger(__name__)

# Fields that a run cannot change: they say which people a step is made of.
_FIXED = ("seed", "train.batch_size", "data.category")

# What runs did from before these fields existed.
_BEFORE = {"data.category": ""}


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
    ValueError: the run was begun with another convention, seed or batch size.
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
    _compare(found.metadata.config, config)
    return state.restored(found.variables, found.training)
  if config.pretrained:
    variables, _ = checkpoint.load(config.pretrained)
    return state.replace(
      params=variables["params"],
      batch_stats=variables["batch_stats"],
      average=variables["params"] if state.average is not None else None,
    )
  return state


def _check_same(stored: Convention, wanted: Convention) -> None:
  """Refuses another convention; of the skeleton, what heatmaps depend on.

  Names, limbs, sigmas and halves of the body may differ: the same labels may
  be read with more of them than by the version that began the run.
  """
  before, now = stored.skeleton, wanted.skeleton
  if _learnt(before) == _learnt(now):
    for field in dataclasses.fields(now):
      old, new = (getattr(skeleton, field.name) for skeleton in (before, now))
      if old != new:
        _LOG.warning(
          "going on with skeleton.%s %s, before it was %s", field.name, new, old
        )
    stored = dataclasses.replace(stored, skeleton=now)
  if stored != wanted:
    raise ValueError(
      "the checkpoint in this workdir was trained with another convention "
      f"({'; '.join(stored.differences(wanted))}); use a new --workdir"
    )


def _learnt(skeleton: Skeleton) -> tuple:
  return skeleton.keypoint_names, skeleton.flip_indices


def _compare(stored, config) -> None:
  """Says what differs from the run so far; refuses what would be no resume."""
  before = _BEFORE | _flat(stored)
  now = _flat(json.loads(json.dumps(config.to_dict())))
  changed = [n for n in sorted(before.keys() & now) if before[n] != now[n]]
  for name in changed:
    _LOG.warning(
      "going on with %s %s, before it was %s", name, now[name], before[name]
    )
  fixed = [name for name in changed if name in _FIXED]
  if fixed:
    raise ValueError(
      f"a run keeps its {' and '.join(fixed)}, by which its steps are counted "
      f"and its people chosen (before: {[before[n] for n in fixed]}, now: "
      f"{[now[n] for n in fixed]}); use a new --workdir, and `pretrained` to "
      "begin there with this run's weights"
    )


def shared_fields(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """What all processes of a run must be told alike, by dotted name.

  Left out is where a machine has its files.
  """
  own = ("data.root", "data.cache", "data.pack")
  fields = _flat(config.to_dict())
  return {name: value for name, value in fields.items() if name not in own}


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """A configuration's values by their dotted names.

  >>> _flat({"seed": 0, "train": {"epochs": 2}})
  {'seed': 0, 'train.epochs': 2}
  """
  values = {}
  for name, value in fields.items():
    if isinstance(value, Mapping):
      values |= _flat(value, f"{prefix}{name}.")
    else:
      values[prefix + name] = value
  return values


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

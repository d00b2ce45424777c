"""Start of a run from a checkpoint or weights, and what it saves for that."""

import dataclasses
import json
import logging
from typing import Any

import jax
import ml_collections
import orbax.checkpoint as ocp
from flax import traverse_util

from darkjax import checkpoint
from darkjax.checkpoint import fine_tuning
from darkjax.convention import Convention
from darkjax.inference.pose import PRETRAINED
from darkjax.runtime import devices
from darkjax.train.run import Run
from darkjax.train.step import State, create_state

_LOG = logging.getLogger(__name__)

# Fields that a run cannot change: they decide who is in a batch.
_FIXED = ("seed", "train.batch_size", "data.category")

# Fields that an evaluation's metrics depend on.
EVALUATION = {
  f"evaluate.{name}"
  for name in ("methods", "flip_test", "boxes", "box_threshold", "nms")
}

# Values of fields in runs from before these existed.
_BEFORE = {"data.category": ""}


def first_state(
  run: Run, checkpoints: ocp.CheckpointManager
) -> tuple[State, list[str]]:
  """Returns the run's last state, else pretrained weights, else new ones.

  And the names of fields that changed since that state was saved.

  Raises:
    ValueError: the run was begun with another convention or `_FIXED` field, or
      see `fine_tuning.load_into`.
    FileNotFoundError: no pretrained weights where they should be.
    RuntimeError: checkpoints exist and none can be read.
  """
  config, convention = run.config, run.data.convention
  state = create_state(
    # "rbg" compiles in a fraction of the default generator's time.
    jax.random.key(config.seed, impl="rbg"),
    run.model,
    run.optimizer,
    crop_size=convention.crop_size,
    averaged=config.optimizer.ema_decay > 0,
  )
  last = checkpoint.restore(
    checkpoints, variables=state.variables, training=state.training
  )
  if last is not None:
    _compare_conventions(last.metadata.convention, convention)
    changed = _compare_configs(last.metadata.config, config)
    return state.restored(last.variables, last.training), changed
  if config.pretrained:
    shipped = config.pretrained == "small"
    variables = fine_tuning.load_into(
      state.variables,
      PRETRAINED if shipped else config.pretrained,
      model=run.model,
      convention=convention,
    )
    begun = state.training | {"params": variables["params"]}
    return state.restored(variables, begun), []
  return state, []


def _compare_conventions(before: Convention, now: Convention) -> None:
  """Refuses another convention; of the skeleton, what heatmaps depend on.

  Names, limbs, sigmas and halves of the body may differ: other versions of
  darkjax may read less or more of them from the same labels.
  """
  old, new = before.skeleton, now.skeleton
  same_names = old.keypoint_names == new.keypoint_names
  if same_names and old.flip_indices == new.flip_indices:
    _warn_of_changes(old.to_json(), new.to_json(), prefix="skeleton.")
    before = dataclasses.replace(before, skeleton=new)
  if before != now:
    raise ValueError(
      "the checkpoint in this workdir was trained with another convention "
      f"({'; '.join(now.differences(before))}); use a new --workdir"
    )


def _warn_of_changes(before, now, *, prefix: str = "") -> list[str]:
  """Returns the names of fields of both that differ, and logs their values."""
  changed = [n for n in sorted(before.keys() & now) if before[n] != now[n]]
  for name in changed:
    change = prefix + name, now[name], before[name]
    _LOG.warning("continuing with %s %s, before it was %s", *change)
  return changed


def _compare_configs(stored: dict[str, Any], config) -> list[str]:
  """Returns changed fields and warns of them; refuses those of `_FIXED`."""
  before = _BEFORE | traverse_util.flatten_dict(stored, sep=".")
  now = json.loads(json.dumps(config.to_dict()))  # lists for tuples
  now = traverse_util.flatten_dict(now, sep=".")
  changed = _warn_of_changes(before, now)
  fixed = [name for name in changed if name in _FIXED]
  if fixed:
    raise ValueError(
      f"a run keeps its {' and '.join(fixed)}, which decide who is in a batch "
      f"(before: {[before[n] for n in fixed]}, now: {[now[n] for n in fixed]})"
      "; use a new --workdir, and `pretrained` to begin with this run's weights"
    )
  return changed


def shared_fields(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns the fields all processes share, by dotted name: no folders."""
  own = ("data.root", "data.cache", "data.pack")
  fields = traverse_util.flatten_dict(config.to_dict(), sep=".")
  return {name: value for name, value in fields.items() if name not in own}


def on_host(replicated: State) -> State:
  """Returns the state that all devices hold as NumPy arrays."""
  return jax.device_get(devices.first_copy(replicated))


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

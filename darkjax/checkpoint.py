"""Checkpoints on disk: variables, the training state, and what they mean.

One folder holds steps; each step has three items: `variables` (parameters and
batch statistics, all that inference needs), `training` (optimiser, average,
step; absent in imported weights) and `metadata` (json: convention, model,
version). Nothing in them is executed when they are read.
"""

import importlib.metadata
import logging
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from darkjax import convention as convention_lib

_LOG = logging.getLogger(__name__)


class Metadata(NamedTuple):
  """What a checkpoint says of itself.

  Attributes:
    convention: the convention it was trained with.
    model: name of the model and its overrides, for `create_model`.
    config: the whole configuration it was trained with, or {}.
  """

  convention: convention_lib.Convention
  model: dict[str, Any]
  config: dict[str, Any]


class Restored(NamedTuple):
  """A step read back to continue a run."""

  step: int
  variables: Any
  training: Any
  metadata: Metadata


def manager(directory: str | pathlib.Path, *, keep: int = 1):
  """A `CheckpointManager` on `directory`, created if it is not there.

  Args:
    directory: folder of the steps.
    keep: how many of the latest steps stay.

  Returns:
    The manager; close it, or use it in a `with`, so that the last save ends.
  """
  options = ocp.CheckpointManagerOptions(max_to_keep=keep)
  return ocp.CheckpointManager(
    pathlib.Path(directory).resolve(),
    options=options,
    item_names=("variables", "training", "metadata"),
  )


def save(
  checkpoints: ocp.CheckpointManager,
  step: int,
  *,
  variables: Any,
  training: Any | None,
  metadata: Metadata,
) -> None:
  """Writes a step; returns once the arrays are copied, see `manager`.

  Where several processes run, all of them call it, with NumPy arrays.

  Args:
    checkpoints: from `manager`.
    step: optimiser steps done.
    variables: {"params": ..., "batch_stats": ...}.
    training: tree of what else a run needs to continue, or None.
    metadata: what the weights mean.
  """
  items = {
    "variables": ocp.args.StandardSave(variables),
    "metadata": ocp.args.JsonSave(_metadata_to_json(metadata)),
  }
  if training is not None:
    items["training"] = ocp.args.StandardSave(training)
  checkpoints.save(step, args=ocp.args.Composite(**items), force=True)


def save_variables(
  directory: str | pathlib.Path,
  variables: Any,
  convention: convention_lib.Convention,
  model: dict[str, Any],
) -> None:
  """Writes weights without a training run, as step 0 of `directory`.

  Args:
    directory: new or empty folder.
    variables: {"params": ..., "batch_stats": ...}.
    convention: the one the weights were trained with.
    model: {"name": ..., overrides} for `create_model`.

  Raises:
    ValueError: the folder already holds a checkpoint.
  """
  with manager(directory) as checkpoints:
    if checkpoints.latest_step() is not None:
      raise ValueError(
        f"{directory} already holds a checkpoint; name a new folder"
      )
    metadata = Metadata(convention, model, {})
    save(checkpoints, 0, variables=variables, training=None, metadata=metadata)


def restore(
  checkpoints: ocp.CheckpointManager, *, variables: Any, training: Any
) -> Restored | None:
  """The latest step that can be read, to continue a run.

  A step that is damaged (a killed or full disk's write) is reported and the
  one before it taken.

  Args:
    checkpoints: from `manager`.
    variables: a tree of arrays like the ones to read.
    training: likewise.

  Returns:
    The step, or None where there is none.

  Raises:
    RuntimeError: steps exist and none can be read.
  """
  steps = sorted(checkpoints.all_steps(), reverse=True)
  wanted = {
    "variables": ocp.args.StandardRestore(_abstract(variables)),
    "training": ocp.args.StandardRestore(_abstract(training)),
    "metadata": ocp.args.JsonRestore(),
  }
  for step in steps:
    try:
      items = checkpoints.restore(step, args=ocp.args.Composite(**wanted))
    except Exception as error:
      _LOG.warning(
        "checkpoint %d is unreadable (%s); trying the one before",
        step,
        str(error).splitlines()[0][:200],
      )
      continue
    metadata = _metadata_from_json(items["metadata"], checkpoints.directory)
    return Restored(step, items["variables"], items["training"], metadata)
  if steps:
    raise RuntimeError(
      f"none of the checkpoints {steps} in {checkpoints.directory} can be "
      "read for this configuration; remove them or choose another workdir"
    )
  return None


def load(
  directory: str | pathlib.Path, *, step: int | None = None
) -> tuple[Any, Metadata]:
  """The variables and meaning of a checkpoint, for inference.

  Args:
    directory: the folder given to training (its `checkpoints` folder is found)
      or to `save_variables`.
    step: which step; the latest by default.

  Returns:
    ({"params": ..., "batch_stats": ...} of NumPy arrays, metadata).

  Raises:
    FileNotFoundError: no checkpoint there.
  """
  folder = _find(directory)
  with manager(folder) as checkpoints:
    step = checkpoints.latest_step() if step is None else step
    if step not in checkpoints.all_steps():
      raise FileNotFoundError(
        f"no checkpoint of step {step} in {folder}; "
        f"there are {checkpoints.all_steps()}"
      )
    items = checkpoints.restore(
      step,
      args=ocp.args.Composite(metadata=ocp.args.JsonRestore()),
    )
  # As NumPy arrays, whatever devices wrote them.
  with ocp.PyTreeCheckpointer() as reader:
    path = folder / str(step) / "variables"
    shape = reader.metadata(path).item_metadata.tree
    as_numpy = jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shape
    )
    variables = reader.restore(path, restore_args=as_numpy)
  return variables, _metadata_from_json(items["metadata"], folder)


def _find(directory) -> pathlib.Path:
  folder = pathlib.Path(directory).resolve()
  for candidate in (folder / "checkpoints", folder):
    if candidate.is_dir() and any(
      p.name.isdigit() for p in candidate.iterdir()
    ):
      return candidate
  raise FileNotFoundError(
    f"no checkpoint in {directory}: expected a folder with numbered steps, as "
    "training (workdir) or darkjax.models.weights write it"
  )


def _abstract(tree):
  """Shapes and dtypes alone: read as NumPy arrays, whatever the devices."""
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, jax.device_get(tree))


def _metadata_to_json(metadata: Metadata) -> dict[str, Any]:
  return {
    "darkjax": importlib.metadata.version("darkjax"),
    "convention": metadata.convention.to_json(),
    "model": metadata.model,
    "config": metadata.config,
  }


def _metadata_from_json(fields: Any, folder: pathlib.Path) -> Metadata:
  try:
    return Metadata(
      convention_lib.from_json(fields["convention"]),
      {name: _hashable(value) for name, value in fields["model"].items()},
      dict(fields["config"]),
    )
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"the metadata of the checkpoint in {folder} is not what darkjax writes: "
      f"{type(error).__name__}: {error}"
    ) from error


def _hashable(value):
  """Json's lists were tuples; a Linen module must be hashable."""
  if isinstance(value, list):
    return tuple(_hashable(item) for item in value)
  return value

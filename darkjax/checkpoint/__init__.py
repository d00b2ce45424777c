"""Checkpoints on disk: variables, the training state, and what they mean.

One folder holds steps; each step has three items: `variables` (parameters and
batch statistics, all that inference needs), `training` (optimiser, average,
step; absent in imported weights) and `metadata` (json: convention, model,
version, checksums of the other two). Nothing in them is executed when they are
read, and numbers that are not those that were written are not used.

`load` also takes a single file of weights, see weight_file.py.
"""

import contextlib
import json
import logging
import pathlib
import shutil
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from darkjax import convention as convention_lib
from darkjax.checkpoint import checksum, npz
from darkjax.checkpoint.metadata import Metadata

_LOG = logging.getLogger(__name__)

_CHECKSUMS = "checksums"  # by item, in the metadata


class Restored(NamedTuple):
  """A step read back to continue a run."""

  step: int
  variables: Any
  training: Any
  metadata: Metadata


def manager(directory: str | pathlib.Path, *, keep: int = 2):
  """A `CheckpointManager` on `directory`, created if it is not there.

  What a killed process had half written is removed; so let only one run write
  to a folder. Reading needs no manager, see `load`.

  Args:
    directory: folder of the steps.
    keep: how many of the latest steps stay; with 1 there is nothing to fall
      back to where the disk has damaged it.

  Returns:
    The manager; close it, or use it in a `with`, so that the last save ends.
  """
  options = ocp.CheckpointManagerOptions(
    max_to_keep=keep, cleanup_tmp_directories=True
  )
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

  Where several processes run, all of them call it, with NumPy arrays. A step
  that is there already is left as it is.

  Args:
    checkpoints: from `manager`.
    step: optimiser steps done.
    variables: {"params": ..., "batch_stats": ...}.
    training: tree of what else a run needs to continue, or None.
    metadata: what the weights mean.
  """
  if step in checkpoints.all_steps():
    return
  trees = {"variables": variables}
  if training is not None:
    trees["training"] = training
  sums = {name: checksum.of(tree) for name, tree in trees.items()}
  items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
  fields = metadata.to_json() | {_CHECKSUMS: sums}
  items["metadata"] = ocp.args.JsonSave(fields)
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


def save_file(
  path: str | pathlib.Path,
  variables: Any,
  convention: convention_lib.Convention,
  model: dict[str, Any],
) -> None:
  """Writes weights in half precision into one file, see weight_file.py.

  Args:
    path: of the new file; it ends with .npz.
    variables: {"params": ..., "batch_stats": ...}.
    convention: the one the weights were trained with.
    model: {"name": ..., overrides} for `create_model`.

  Raises:
    ValueError: see `weight_file.write`.
  """
  metadata = Metadata(convention, model, {})
  npz.write(path, variables, metadata.to_json())


def restore(
  checkpoints: ocp.CheckpointManager, *, variables: Any, training: Any
) -> Restored | None:
  """The latest step that can be read, to continue a run.

  A step that is damaged (files missing, truncated or changed) is reported, the
  one before it taken, and the damaged one renamed to `<step>.damaged`, so that
  it neither counts nor stands in the way when the run comes to it again.

  Args:
    checkpoints: from `manager`.
    variables: a tree of arrays like the ones to read.
    training: likewise.

  Returns:
    The step, or None where there is none.

  Raises:
    RuntimeError: steps exist and none can be read; nothing is renamed.
  """
  steps = sorted(checkpoints.all_steps(), reverse=True)
  wanted = {
    "variables": ocp.args.StandardRestore(_abstract(variables)),
    "training": ocp.args.StandardRestore(_abstract(training)),
    "metadata": ocp.args.JsonRestore(),
  }
  for index, step in enumerate(steps):
    try:
      items = checkpoints.restore(step, args=ocp.args.Composite(**wanted))
      for name in ("variables", "training"):
        _check_sum(items["metadata"], name, items[name])
    except Exception as error:
      _warn(step, error)
      continue
    _set_aside(checkpoints, steps[:index])
    metadata = Metadata.from_json(items["metadata"], checkpoints.directory)
    return Restored(step, items["variables"], items["training"], metadata)
  if steps:
    raise RuntimeError(
      f"none of the checkpoints {steps} in {checkpoints.directory} can be "
      "read for this configuration; remove them or choose another workdir"
    )
  return None


def _warn(step: int, error: Exception) -> None:
  reason = (str(error) or repr(error)).splitlines()[0][:200]
  _LOG.warning(
    "checkpoint %d is unreadable (%s); trying the one before", step, reason
  )


def _set_aside(checkpoints: ocp.CheckpointManager, steps: list[int]) -> None:
  """Renames damaged steps; a process of several does it for all."""
  if not steps:
    return
  if jax.process_index() == 0:
    for step in steps:
      path = pathlib.Path(checkpoints.directory) / str(step)
      aside = path.with_name(f"{step}.damaged")
      shutil.rmtree(aside, ignore_errors=True)  # from the last time
      path.rename(aside)
      _LOG.warning("checkpoint %d is now %s; remove it at will", step, aside)
  multihost_utils.sync_global_devices("damaged checkpoints set aside")
  checkpoints.reload()


def load(
  directory: str | pathlib.Path, *, step: int | None = None
) -> tuple[Any, Metadata]:
  """The variables and meaning of a checkpoint, for inference.

  Nothing is written to the folder, so a run may be writing there.

  Args:
    directory: the folder given to training (its `checkpoints` folder is found)
      or to `save_variables`, or the file given to `save_file`.
    step: which step; the latest that can be read by default. A file has none.

  Returns:
    ({"params": ..., "batch_stats": ...} of NumPy arrays, metadata).

  Raises:
    FileNotFoundError: no checkpoint there.
    RuntimeError: there is one and it cannot be read.
    ValueError: a file that is none of weights, or a step of it.
  """
  if pathlib.Path(directory).is_file():
    if step is not None:
      raise ValueError(f"{directory} is one file, without steps; got {step}")
    variables, fields = npz.read(directory)
    return variables, Metadata.from_json(fields, directory)
  folder = _find(directory)
  steps = sorted(_steps(folder), reverse=True)
  if step is not None and step not in steps:
    raise FileNotFoundError(
      f"no checkpoint of step {step} in {folder}; there are {sorted(steps)}"
    )
  wanted = steps if step is None else [step]
  for one in wanted:
    try:
      variables, fields = _read(folder / str(one))
    except Exception as error:
      _warn(one, error)
      continue
    return variables, Metadata.from_json(fields, folder)
  raise RuntimeError(
    f"checkpoint {wanted} in {folder} cannot be read: a file is damaged or "
    "missing; copy the folder again or name another step"
  )


def _read(path: pathlib.Path) -> tuple[Any, Any]:
  """Variables, as NumPy arrays whatever devices wrote them; what json says."""
  # Handlers rather than checkpointers: those expect, and miss aloud, a file of
  # orbax's in the folder of an item, where a manager does not write it.
  with contextlib.closing(ocp.PyTreeCheckpointHandler()) as arrays:
    shape = arrays.metadata(path / "variables").tree
    as_numpy = jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shape
    )
    variables = arrays.restore(
      path / "variables", args=ocp.args.PyTreeRestore(restore_args=as_numpy)
    )
  fields = json.loads((path / "metadata" / "metadata").read_text())
  _check_sum(fields, "variables", variables)
  return variables, fields


def _check_sum(fields, name: str, tree) -> None:
  """Compares what was read with what was written, where that is known."""
  known = fields.get(_CHECKSUMS, {}).get(name)  # older ones have none
  if known is not None and known != checksum.of(tree):
    raise ValueError(f"the numbers of {name} are not those that were written")


def _steps(folder: pathlib.Path) -> list[int]:
  if not folder.is_dir():
    return []
  return [int(p.name) for p in folder.iterdir() if p.name.isdigit()]


def _find(directory) -> pathlib.Path:
  folder = pathlib.Path(directory).resolve()
  for candidate in (folder / "checkpoints", folder):
    if _steps(candidate):
      return candidate
  raise FileNotFoundError(
    f"no checkpoint in {directory}: expected a folder with numbered steps, as "
    "training (workdir) or darkjax.models.weights write it, or a file of "
    "darkjax.release"
  )


def _abstract(tree):
  """Shapes and dtypes alone: read as NumPy arrays, whatever the devices."""
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, jax.device_get(tree))

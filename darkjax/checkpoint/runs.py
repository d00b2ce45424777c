"""Checkpoints of training runs: saving, and restoring to continue a run.

Each step has three items: `variables` (parameters and batch statistics),
`training` (optimiser, average, step; absent in imported weights) and `metadata`
(json, with checksums of the other two). Nothing in them is executed when read.
"""

import logging
import pathlib
import shutil
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from darkjax.checkpoint.metadata import Metadata, check_tree, checksum
from darkjax.checkpoint.reader import first_readable
from darkjax.convention import Convention

_LOG = logging.getLogger(__name__)


class Restored(NamedTuple):
  """A step read back to continue a run."""

  step: int
  variables: Any
  training: Any
  metadata: Metadata


def manager(
  directory: str | pathlib.Path, *, keep: int = 2
) -> ocp.CheckpointManager:
  """Returns a manager of the steps in `directory`, created if absent.

  What a killed process had half written is removed; so let only one run write
  to a folder, and close the manager, so that the last save ends.

  Args:
    directory: folder of the steps.
    keep: how many of the latest steps stay.
  """
  return ocp.CheckpointManager(
    pathlib.Path(directory).resolve(),
    options=ocp.CheckpointManagerOptions(
      preservation_policy=ocp.checkpoint_managers.LatestN(keep),
      cleanup_tmp_directories=True,
    ),
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
  """Writes a step unless it exists; returns once the arrays are copied.

  Where several processes run, all of them call it, with NumPy arrays.

  Args:
    checkpoints: from `manager`.
    step: optimiser steps done.
    variables: {"params": ..., "batch_stats": ...}.
    training: tree of what else a run needs to continue, or None.
    metadata: of the weights.
  """
  if step in checkpoints.all_steps():
    return
  trees = {"variables": variables}
  if training is not None:
    trees["training"] = training
  sums = {name: checksum(tree) for name, tree in trees.items()}
  items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
  fields = metadata.to_json() | {"checksums": sums}
  items["metadata"] = ocp.args.JsonSave(fields)
  checkpoints.save(step, args=ocp.args.Composite(**items), force=True)


def save_variables(
  directory: str | pathlib.Path,
  variables: Any,
  convention: Convention,
  model: dict[str, Any],
) -> None:
  """Writes weights without a training run, as step 0 of a new folder.

  Args:
    directory: ValueError if it already holds a checkpoint.
    variables: {"params": ..., "batch_stats": ...}.
    convention: the one the weights were trained with.
    model: {"name": ..., overrides} for `create_model`.
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
  """Reads the latest intact step, to continue a run.

  Damaged later ones (files missing, truncated or changed) are logged and
  renamed to `<step>.damaged`, so that the run can write these steps again.

  Args:
    checkpoints: from `manager`.
    variables: a tree of arrays like the ones to read.
    training: likewise.

  Returns:
    The step, or None where there is none.

  Raises:
    RuntimeError: steps exist and none can be read; nothing is renamed.
  """
  items = ocp.args.Composite(
    variables=ocp.args.StandardRestore(_abstract(variables)),
    training=ocp.args.StandardRestore(_abstract(training)),
    metadata=ocp.args.JsonRestore(),
  )

  def read(step):
    content = checkpoints.restore(step, args=items)
    for name in ("variables", "training"):
      check_tree(content["metadata"], name, content[name])
    return content

  steps = sorted(checkpoints.all_steps(), reverse=True)
  if not steps:
    return None
  result = first_readable(steps, read)
  if result is None:
    raise RuntimeError(
      f"none of the checkpoints {steps} in {checkpoints.directory} can be "
      "read, see the log; a run keeps its model and whether it averages "
      "weights (optimizer.ema_decay), so set these as they were, or choose "
      "another workdir"
    )
  step, content = result
  if damaged := steps[: steps.index(step)]:
    _rename_damaged(checkpoints, damaged)
  metadata = Metadata.from_json(content["metadata"], checkpoints.directory)
  return Restored(step, content["variables"], content["training"], metadata)


def _rename_damaged(checkpoints, steps) -> None:
  """Renames damaged steps; the first of several processes does it for all."""
  if jax.process_index() == 0:
    for step in steps:
      path = pathlib.Path(checkpoints.directory) / str(step)
      renamed = path.with_name(f"{step}.damaged")
      shutil.rmtree(renamed, ignore_errors=True)  # from the last time
      path.rename(renamed)
      _LOG.warning("checkpoint %d is now %s; it may be removed", step, renamed)
  multihost_utils.sync_global_devices("damaged checkpoints renamed")
  checkpoints.reload()


def _abstract(tree):
  """Shapes and dtypes alone: read as NumPy arrays, whatever the devices."""
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, jax.device_get(tree))

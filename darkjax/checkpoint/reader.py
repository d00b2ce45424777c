"""Reading of trained weights, from a run's folder or from one file."""

import contextlib
import json
import logging
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from darkjax.checkpoint import checksum, weight_file
from darkjax.checkpoint.metadata import Metadata

_LOG = logging.getLogger(__name__)


def load(
  path: str | pathlib.Path, *, step: int | None = None
) -> tuple[Any, Metadata]:
  """Reads variables and metadata of a checkpoint, for inference.

  Nothing is written to the folder, so a run may be writing there.

  Args:
    path: the folder given to training (its `checkpoints` folder is used) or to
      `save_variables`, or the file given to `save_file`.
    step: which step; the latest that can be read by default. A file has none.

  Returns:
    ({"params": ..., "batch_stats": ...} of NumPy arrays, metadata).

  Raises:
    FileNotFoundError: no checkpoint there.
    RuntimeError: there is one and it cannot be read.
    ValueError: a file of something else, or a step of a file.
  """
  if pathlib.Path(path).is_file():
    if step is not None:
      raise ValueError(f"{path} is one file, without steps; got {step}")
    return weight_file.read(path)
  folder = _folder_of_steps(path)
  steps = sorted(_steps(folder), reverse=True)
  if step is not None and step not in steps:
    raise FileNotFoundError(
      f"no checkpoint of step {step} in {folder}; there are {sorted(steps)}"
    )
  candidates = steps if step is None else [step]
  for candidate in candidates:
    try:
      variables, fields = _read(folder / str(candidate))
    except Exception as error:
      warn_unreadable(candidate, error)
      continue
    return variables, Metadata.from_json(fields, folder)
  raise RuntimeError(
    f"checkpoint {candidates} in {folder} cannot be read: a file is damaged or "
    "missing; copy the folder again or name another step"
  )


def warn_unreadable(step: int, error: Exception) -> None:
  """Logs that a step is skipped, with the first line of the reason."""
  reason = (str(error) or repr(error)).splitlines()[0][:200]
  _LOG.warning(
    "checkpoint %d is unreadable (%s); trying the one before", step, reason
  )


def _read(path: pathlib.Path) -> tuple[Any, Any]:
  """Variables, as NumPy arrays whatever devices wrote them, and metadata."""
  # Handlers rather than checkpointers: those warn of a file of orbax's that a
  # manager does not write to the folder of an item.
  with contextlib.closing(ocp.PyTreeCheckpointHandler()) as arrays:
    shape = arrays.metadata(path / "variables").tree
    as_numpy = jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shape
    )
    variables = arrays.restore(
      path / "variables", args=ocp.args.PyTreeRestore(restore_args=as_numpy)
    )
  fields = json.loads((path / "metadata" / "metadata").read_text())
  checksum.check(fields, "variables", variables)
  return variables, fields


def _steps(folder: pathlib.Path) -> list[int]:
  if not folder.is_dir():
    return []
  return [int(p.name) for p in folder.iterdir() if p.name.isdigit()]


def _folder_of_steps(path) -> pathlib.Path:
  folder = pathlib.Path(path).resolve()
  for candidate in (folder / "checkpoints", folder):
    if _steps(candidate):
      return candidate
  raise FileNotFoundError(
    f"no checkpoint in {path}: expected a folder with numbered steps, as "
    "training (workdir) or darkjax.models.weights write it, or a file of "
    "darkjax.release"
  )

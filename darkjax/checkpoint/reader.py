"""Reading of trained weights, of a run, of a release or of one file."""

import contextlib
import json
import logging
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from darkjax.checkpoint import release_folder, weight_file
from darkjax.checkpoint.metadata import Metadata, check_tree

_LOG = logging.getLogger(__name__)


def load(
  path: str | pathlib.Path, *, step: int | None = None
) -> tuple[Any, Metadata]:
  """Reads variables and metadata of a checkpoint, also while a run writes it.

  Args:
    path: the folder given to training or to `save_variables`, the file given to
      `save_file`, or the folder given to `save_release`.
    step: which step of a folder; the latest that can be read by default.

  Returns:
    ({"params": ..., "batch_stats": ...} of NumPy arrays, metadata).

  Raises:
    FileNotFoundError: no checkpoint there, or half a release.
    RuntimeError: there is one and it cannot be read.
    ValueError: a file of something else, or a step of a file or release.
  """
  is_release = release_folder.is_release(path)
  if is_release or pathlib.Path(path).is_file():
    if step is not None:
      raise ValueError(f"{path} is a release, without steps; got {step}")
    return (release_folder if is_release else weight_file).read(path)
  folder, steps = _find_steps(path)
  if step is not None and step not in steps:
    raise FileNotFoundError(
      f"no checkpoint of step {step} in {folder}; there are {steps[::-1]}"
    )
  candidates = steps if step is None else [step]
  content = first_readable(candidates, lambda s: _read(folder / str(s)))
  if content is None:
    raise RuntimeError(
      f"checkpoint {candidates} in {folder} cannot be read: a file is damaged "
      "or missing; copy the folder again or name another step"
    )
  _, (variables, fields) = content
  return variables, Metadata.from_json(fields, folder)


def first_readable(
  steps: Sequence[int], read: Callable[[int], Any]
) -> tuple[int, Any] | None:
  """Returns the first step that can be read, with its content, or None."""
  for step in steps:
    try:
      return step, read(step)
    except Exception as error:
      reason = (str(error) or repr(error)).splitlines()[0][:200]
      _LOG.warning(
        "checkpoint %d is unreadable (%s); trying the one before", step, reason
      )
  return None


def _read(path: pathlib.Path) -> tuple[Any, Any]:
  """Variables, as NumPy arrays whatever devices wrote them, and metadata."""
  # Checkpointers would warn of a file that a manager does not write.
  with contextlib.closing(ocp.PyTreeCheckpointHandler()) as arrays:
    as_numpy = jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
      arrays.metadata(path / "variables").tree,
    )
    variables = arrays.restore(
      path / "variables", args=ocp.args.PyTreeRestore(restore_args=as_numpy)
    )
  fields = json.loads((path / "metadata" / "metadata").read_text())
  check_tree(fields, "variables", variables)
  return variables, fields


def _find_steps(path: str | pathlib.Path) -> tuple[pathlib.Path, list[int]]:
  """The folder that holds numbered steps, and these, latest first."""
  for folder in (pathlib.Path(path) / "checkpoints", pathlib.Path(path)):
    steps = [int(p.name) for p in folder.glob("*") if p.name.isdecimal()]
    if steps:
      return folder.resolve(), sorted(steps, reverse=True)
  raise FileNotFoundError(
    f"no checkpoint in {path}: expected a folder with numbered steps, as "
    "training (workdir) or darkjax.models.weights write it, or a release: a "
    f"file, or a folder with {release_folder.WEIGHTS}"
  )

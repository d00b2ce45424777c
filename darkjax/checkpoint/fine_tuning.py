"""Start of a training from the weights of a network with other keypoints.

The two networks differ in their keypoints alone. Along an array's axis of
keypoints, rows of the same name are copied and the others stay as drawn; all
other arrays are copied whole. Such axes are the outputs of the layers that draw
heatmaps (`final_layer`, each `score_i` of a Hourglass) and the inputs of those
that read them (`score__i`).
"""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from darkjax.checkpoint import reader
from darkjax.checkpoint.metadata import Metadata
from darkjax.convention import Convention
from darkjax.models import tracing

_LOG = logging.getLogger(__name__)
_MOST_LISTED = 20  # keypoints in a line of the log


def load_into(
  variables: Any,
  path: str | pathlib.Path,
  *,
  model: nn.Module,
  convention: Convention,
) -> dict[str, Any]:
  """Returns variables with those of a checkpoint in place of the drawn ones.

  The log lists what is copied, what is not, and how the conventions differ.

  Args:
    variables: of `model`, as drawn; they are not changed.
    path: of the checkpoint, see `checkpoint.load`; where its run kept a moving
      average, that is what is read.
    model: from `create_model`.
    convention: of the training; its skeleton names the keypoints.

  Raises:
    FileNotFoundError: no checkpoint there.
    RuntimeError: there is one and it cannot be read.
    ValueError: a file of something else, or a network that differs in more than
      its keypoints.
  """
  source, metadata = reader.load(path)
  leaves, drawn = (
    traverse_util.flatten_dict(tree, sep="/") for tree in (source, variables)
  )
  axes = _keypoint_axes(model, drawn)
  _check_network(leaves, drawn, axes, path, metadata)
  names = convention.skeleton.keypoint_names
  before = metadata.convention.skeleton.keypoint_names
  rows = {k: before.index(n) for k, n in enumerate(names) if n in before}
  for name, axis in axes.items():
    leaves[name] = _replace_rows(drawn[name], leaves[name], axis, rows)
  whole, count = len(leaves) - len(axes), len(leaves)
  _LOG.info("copied from %s: %d of %d arrays whole", path, whole, count)
  layers = ", ".join(dict.fromkeys(name.split("/")[1] for name in axes))
  _log_rows(f"copied rows of {layers}", [names[k] for k in rows])
  _log_rows(f"new rows of {layers}", [n for n in names if n not in before])
  _compare_conventions(path, metadata.convention, convention)
  return traverse_util.unflatten_dict(leaves, sep="/")


def _keypoint_axes(model, drawn: Mapping[str, Any]) -> dict[str, int]:
  """Returns the axis of keypoints of the arrays that have one."""
  more, _ = tracing.trace(model.clone(num_keypoints=model.num_keypoints + 1))
  longer = traverse_util.flatten_dict(more, sep="/")
  return {
    name: axis
    for name, leaf in drawn.items()
    for axis in range(leaf.ndim)
    if leaf.shape[axis] != longer[name].shape[axis]
  }


def _check_network(leaves, drawn, axes, path, metadata: Metadata) -> None:
  """Refuses weights of a network that differs in more than its keypoints."""
  shapes = {name: np.shape(leaf) for name, leaf in leaves.items()}
  expected = {name: leaf.shape for name, leaf in drawn.items()}
  count = metadata.convention.skeleton.num_keypoints
  for name, axis in axes.items():
    shape = expected[name]
    expected[name] = (*shape[:axis], count, *shape[axis + 1 :])
  names = sorted(shapes | expected)
  differ = [n for n in names if shapes.get(n) != expected.get(n)]
  if differ:
    raise ValueError(
      f"the weights in {path} are of another network than model.name and "
      "model.overrides ask for; only the keypoints may differ: "
      f"{differ[0]} is {shapes.get(differ[0], 'absent')}, expected "
      f"{expected.get(differ[0], 'none')}, and {len(differ) - 1} more differ; "
      f"the weights' network: {metadata.model}"
    )


def _replace_rows(drawn, source, axis: int, rows: Mapping[int, int]):
  """Returns a copy of `drawn` with rows {its row: row of `source`}."""
  result = np.array(drawn)
  to, of = np.moveaxis(result, axis, 0), np.moveaxis(source, axis, 0)
  to[list(rows)] = of[list(rows.values())]
  return result


def _log_rows(title: str, names: Sequence[str]) -> None:
  if names:
    more = len(names) - _MOST_LISTED
    listed = ", ".join(names[:_MOST_LISTED]) + f" and {more} more" * (more > 0)
    _LOG.info("%s: %s", title, listed)


def _compare_conventions(path, before: Convention, now: Convention) -> None:
  """Warns of fields other than the skeleton that differ."""
  before = dataclasses.replace(before, skeleton=now.skeleton)
  if before != now:
    _LOG.warning(
      "the weights in %s were trained with another convention (%s)",
      path, "; ".join(now.differences(before)),
    )  # fmt: skip

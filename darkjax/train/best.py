"""The best checkpoint of a run, by a metric of its evaluations."""

import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from darkjax import checkpoint
from darkjax.train.step import State

_LOG = logging.getLogger(__name__)

FOLDER = "best"  # in the run's folder, beside `checkpoints`


class Best(NamedTuple):
  """What the evaluations of a run say up to now."""

  step: int  # of the best one
  value: float
  evaluations_since: int  # without a better one

  @classmethod
  def of(
    cls, evaluations: Sequence[Mapping[str, float]], metric: str
  ) -> "Best":
    """Finds the first evaluation with the best value of a metric.

    Errors, named like dark/error_px/gt_boxes, are better if lower.

    Args:
      evaluations: metrics and `step` of each, in order; at least one.
      metric: name of one of their metrics.

    Raises:
      ValueError: they have no such metric; names those they have.
    """
    if metric not in evaluations[-1]:
      raise ValueError(
        f"train.keep_best={metric!r} is no metric of the evaluation; its "
        f"metrics: {', '.join(n for n in evaluations[-1] if n != 'step')}"
      )
    sign = -1 if "error" in metric else 1
    values = [e.get(metric, -sign * float("inf")) for e in evaluations]
    n = max(range(len(values)), key=lambda i: (sign * values[i], -i))
    return cls(int(evaluations[n]["step"]), values[n], len(values) - 1 - n)


def forget_after(workdir: str | os.PathLike[str], step: int) -> None:
  """Removes weights of a later step, which the run is going to do again."""
  folder = pathlib.Path(workdir) / FOLDER
  if not folder.exists():
    return
  with checkpoint.manager(folder, keep=1) as checkpoints:
    for later in checkpoints.all_steps():
      if later > step:
        _LOG.warning("the run goes on behind the best step %d: removed", later)
        checkpoints.delete(later)


def keep(
  workdir: str | os.PathLike[str],
  best: Best,
  metadata: checkpoint.Metadata,
  state: State,
) -> None:
  """Writes the weights of a state that is the best one, in place of another."""
  if int(state.step) != best.step:
    return
  folder = pathlib.Path(workdir) / FOLDER
  with checkpoint.manager(folder, keep=1) as checkpoints:
    _LOG.info("step %d is the best so far: %s", best.step, folder)
    checkpoint.save(
      checkpoints,
      best.step,
      variables=state.variables,
      training=None,
      metadata=metadata,
    )

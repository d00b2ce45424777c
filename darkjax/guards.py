"""What stops a run: labels, losses and gradients that are not numbers."""

import numpy as np


def first_device(replicated) -> dict[str, float]:
  """The first device's values; they are the same on all."""
  return {name: float(value[0]) for name, value in replicated.items()}


def check_labels(step: int, batch: dict[str, np.ndarray]) -> None:
  """Stops the run before a label that is not a number is learnt from.

  Args:
    step: that the batch is for.
    batch: see data/schema.py.

  Raises:
    ValueError: names the annotations.
  """
  finite = np.isfinite(batch["keypoints_heatmap"]).all(-1)
  wrong = (~finite & (batch["visibility"] > 0)).any(-1)
  if wrong.any():
    raise ValueError(
      f"step {step}: keypoints are not finite in annotations "
      f"{batch['annotation_id'][wrong].tolist()}; mend or remove them"
    )


def check_finite(done) -> None:
  """Stops the run where a step's loss or gradient is not finite.

  Args:
    done: (step, its metrics on all devices, its batch), or None before any.

  Raises:
    FloatingPointError: names the step and the batch's annotations.
  """
  if done is None:
    return
  step, values, batch = done
  values = first_device(values)
  if not np.isfinite(list(values.values())).all():
    raise FloatingPointError(
      f"step {step}: {values}, from finite labels: training diverged. Lower "
      "optimizer.learning_rate or set optimizer.clip_norm; the last "
      "checkpoint is from before. Annotations in the batch: "
      f"{batch['annotation_id'].tolist()}"
    )

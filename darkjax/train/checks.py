"""What stops a run: numbers that are none, labels that are not the run's."""

import json
import pathlib
from collections.abc import Sequence

import ml_collections
import numpy as np

_LABELS_FILE = "labels.json"
# Fields of `train` that are counts of something there must be.
_COUNTS = (
  "epochs",
  "batch_size",
  "keep_checkpoints",
  "log_every_steps",
  "checkpoint_every_epochs",
  "evaluate_every_epochs",
)


def first_device(replicated) -> dict[str, float]:
  """The first device's values; they are the same on all."""
  return {name: float(value[0]) for name, value in replicated.items()}


def check_settings(settings: ml_collections.ConfigDict) -> None:
  """Refuses counts that make no run, before data is prepared.

  Args:
    settings: the `train` part of a configuration.

  Raises:
    ValueError: one of them is below 1; names all of these.
  """
  counts = {name: getattr(settings, name) for name in _COUNTS}
  low = {name: count for name, count in counts.items() if count < 1}
  if low:
    raise ValueError(f"fields of train are counts from 1 on, got {low}")


def check_labels(step: int, batch: dict[str, np.ndarray]) -> None:
  """Stops the run before what is not a number is learnt from.

  Images are bytes, which are numbers always.

  Args:
    step: that the batch is for.
    batch: see data/schema.py; images that the step cuts are bytes.

  Raises:
    ValueError: names the annotations, or the type of images that are no bytes.
  """
  images = batch.get("image")
  if images is not None and images.dtype != np.uint8:
    raise ValueError(
      f"step {step}: images are uint8 (0..255), got {images.dtype}; the step "
      "normalises them"
    )
  finite = np.isfinite(batch["keypoints_heatmap"]).all(-1)
  wrong = ~finite & (batch["visibility"] > 0)
  wrong = (wrong | ~np.isfinite(batch["visibility"])).any(-1)
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


def check_same_labels(
  workdir: str | pathlib.Path, digests: Sequence[str], *, writes: bool = True
) -> None:
  """Stops a run that would go on with other labels than it began with.

  Another label file has other people in another order, so that the steps of
  the run would no longer mean the same.

  Args:
    workdir: folder of the run, which remembers them in labels.json.
    digests: of the label files, of training in their
      order, then of the validation.
    writes: whether this process is the one that writes files.

  Raises:
    ValueError: they differ from those of the run found in `workdir`.
  """
  path = pathlib.Path(workdir) / _LABELS_FILE
  # Without a step, which a checkpoint has as its name, no run began.
  began = any(path.parent.glob("checkpoints/[0-9]*"))
  if path.exists() and began:
    known = json.loads(path.read_text())
    if known != list(digests):
      raise ValueError(
        f"the label files changed since the run in {workdir} began (their "
        f"SHA-256 were {known}, now {list(digests)}); bring back the files, or "
        "use a new --workdir"
      )
  elif writes:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")  # so that a kill leaves no half of it
    whole.write_text(json.dumps(list(digests)))
    whole.replace(path)

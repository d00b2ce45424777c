"""Checks that end a run: settings, folder, labels, and losses not finite."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.data.pipeline import augment
from darkjax.inference.keypoints import check_method
from darkjax.metrics import coco
from darkjax.runtime import devices, files, json_file
from darkjax.train import log

_LABELS_FILE = "labels.json"
# Fields of `train` that are at least 1.
_COUNTS = (
  "epochs",
  "batch_size",
  "keep_checkpoints",
  "log_every_steps",
  "checkpoint_every_epochs",
  "evaluate_every_epochs",
)
# Fields of `optimizer` that are at least 0.
_NOT_NEGATIVE = (
  "learning_rate",
  "decay",
  "warmup_steps",
  "clip_norm",
  "ema_decay",
)


def first_device(values) -> dict[str, float]:
  """Returns the metrics of a step, which are the same on all devices."""
  return {n: float(value) for n, value in devices.first_copy(values).items()}


def check_settings(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError for settings that make no run, or no evaluation of it."""
  settings, optimizer = config.train, config.optimizer
  counts = {f"train.{name}": settings[name] for name in _COUNTS}
  counts["evaluate.batch_size"] = config.evaluate.batch_size
  counts["optimizer.rate_batch_size"] = optimizer.rate_batch_size
  low = {name: count for name, count in counts.items() if count < 1}
  if low:
    raise ValueError(f"these fields are at least 1, got {low}")
  numbers = {"seed": config.seed} | {
    f"optimizer.{name}": optimizer[name] for name in _NOT_NEGATIVE
  }
  low = {name: number for name, number in numbers.items() if not number >= 0}
  if low:
    raise ValueError(f"these fields are at least 0, got {low}")
  if optimizer.ema_decay >= 1:
    raise ValueError(
      f"optimizer.ema_decay is less than 1, got {optimizer.ema_decay}"
    )
  augment.from_config(config.augmentation)
  _check_evaluation(config)


def _check_evaluation(config: ml_collections.ConfigDict) -> None:
  settings, methods = config.train, config.evaluate.methods
  # The labels' keypoints are not read yet, and do not matter here.
  convention = convention_lib.from_config(
    config.convention, skeleton=skeletons.COCO
  )
  if not methods:
    raise ValueError("evaluate.methods names at least one decoder, got none")
  for method in methods:
    check_method(method, convention)
  if config.evaluate.nms not in coco.NMS:
    raise ValueError(
      f"evaluate.nms is one of {coco.NMS}, got {config.evaluate.nms!r}"
    )
  method, *metric = settings.keep_best.split("/")
  if settings.keep_best and (method not in methods or len(metric) < 2):
    raise ValueError(
      f"train.keep_best={settings.keep_best!r} is no metric of the evaluation, "
      f"METHOD/METRIC/BOXES, as in {methods[-1]}/AP/gt_boxes"
    )
  if settings.patience < 0 or (settings.patience and not settings.keep_best):
    raise ValueError(
      "train.patience is a number of evaluations, and needs the metric of "
      f"train.keep_best; got {settings.patience} and {settings.keep_best!r}"
    )


def check_labels(step: int, batch: dict[str, np.ndarray]) -> None:
  """Raises ValueError for images not uint8 or labels not finite; names them."""
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
      f"{batch['annotation_id'][wrong].tolist()}; fix or remove them"
    )


def check_finite(done) -> None:
  """Raises FloatingPointError if (step, metrics, batch) is not finite."""
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


def check_folder(workdir: str | pathlib.Path) -> None:
  """Raises ValueError if files would be replaced that are not of a run."""
  for name, is_of_run in _FILES.items():
    path = pathlib.Path(workdir) / name
    if path.exists() and not is_of_run(path):
      raise ValueError(
        f"{path} is not of a run of darkjax, and would be replaced; use a new "
        "--workdir"
      )


def _holds_digests(path: pathlib.Path) -> bool:
  digests = _content(path)
  return isinstance(digests, list) and all(
    isinstance(one, str) and len(one) == 64 for one in digests
  )


def _holds_config(path: pathlib.Path) -> bool:
  config = _content(path)
  fields = {"convention", "model", "optimizer", "train"}
  return isinstance(config, dict) and fields <= config.keys()


def _holds_metrics(path: pathlib.Path) -> bool:
  return all(
    isinstance(line, dict) and "step" in line for line in log.whole_lines(path)
  )


def _content(path: pathlib.Path) -> Any:
  try:
    return json_file.read_json(path)
  except ValueError:
    return None


_FILES = {
  _LABELS_FILE: _holds_digests,
  "config.json": _holds_config,
  "metrics.jsonl": _holds_metrics,
}


def check_same_labels(
  workdir: str | pathlib.Path, digests: Sequence[str], *, writes: bool = True
) -> None:
  """Raises ValueError if a run would continue with other labels than before.

  Args:
    workdir: folder of the run, whose labels.json holds the digests.
    digests: SHA-256 of the label files, see `RunData.labels_digests`.
    writes: whether this process writes the files of the run.
  """
  path = pathlib.Path(workdir) / _LABELS_FILE
  # A run has begun once it has a checkpoint, named by its step.
  saved = path.parent.glob("checkpoints/*")
  began = any(step.name.isdecimal() for step in saved)
  if path.exists() and began:
    before = json.loads(path.read_text())
    if before != list(digests):
      raise ValueError(
        f"the label files changed since the run in {workdir} began (their "
        f"SHA-256 were {before}, now {list(digests)}); bring back the files, "
        "or use a new --workdir"
      )
  elif writes:
    files.write_whole(path, json.dumps(list(digests)).encode())

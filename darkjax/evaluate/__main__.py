"""Evaluation: `python -m darkjax.evaluate --checkpoint=runs/quickstart`.

Several checkpoints, or several --scales of the boxes, are an ensemble. The
network runs once over every person; all decoders read the same heatmaps.
Metrics are named method/metric/boxes, as in dark/AP/gt_boxes or, with --boxes
naming a file of detections, dark/AP/detections. Of images without labels, as of
a test set, the results are written and nothing is scored.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from darkjax import checkpoint, geometry, inference, models
from darkjax.convention import Convention
from darkjax.data import from_config
from darkjax.evaluate import pictures
from darkjax.evaluate.predict import METHODS, predict_together
from darkjax.evaluate.scores import results, score, table
from darkjax.inference import ensemble
from darkjax.inference.ensemble import Member
from darkjax.metrics import coco
from darkjax.runtime import command, distributed, files, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments) -> None:
  """Evaluates a checkpoint."""
  del arguments
  startup.start()
  distributed.start(flags)
  with distributed.failing_together():
    _main(flags)


def _main(flags) -> None:
  from darkjax.data.coco import detections, reader, unreadable  # TensorFlow

  _check_outputs(flags.results, flags.picture)
  members, config = _members(flags)
  convention = members[0].convention
  annotations, images = from_config.validation_paths(
    flags.checkpoint[0],
    config,
    annotations=flags.annotations,
    images=flags.images,
    root=flags.root,
  )
  labelled = reader.has_labels(annotations)
  if not labelled:
    _check_unlabelled(annotations, flags)
  source = detections.load(
    annotations,
    images,
    flags.boxes,
    category=from_config.validation_category(
      config, named=flags.category, annotations=flags.annotations
    ),
    skeleton=convention.skeleton,
    score_threshold=flags.box_threshold,
    cache_dir=flags.cache,
    skip_policy=unreadable.SkipPolicy(flags.on_error, flags.max_skipped),
  )
  _LOG.info("%s: %d %s", annotations, source.num_people, source.box_source)
  people = predict_together(
    members,
    _progress(source, members, flags.batch_size),
    methods=flags.methods,
    flip_test=flags.flip_test,
    border=flags.border,
  )
  if jax.process_index() > 0:
    return  # every process has everybody; one scores, writes and draws
  source.check_labels()
  if labelled:
    metrics = score(
      people,
      annotations,
      convention.skeleton,
      category_ids=source.category_ids,
      box_source=source.box_source,
      nms=flags.nms,
    )
    print(table(metrics))
  else:
    print(f"{annotations} has no labels: nothing is scored")
  if flags.results:
    found = results(
      people,
      flags.methods[-1],
      convention.skeleton,
      category_id=source.category_ids[0],
      nms=flags.nms,
    )
    coco.write_results(flags.results, found)
  if flags.picture:
    path = pathlib.Path(flags.picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = pictures.sheet(people, convention, annotations, images)
    sheet.save(path)


def _check_outputs(results_path: str | None, picture_path: str | None) -> None:
  """Finds out before the evaluation what could not be written after it."""
  for path in filter(None, (results_path, picture_path)):
    files.check_writable(path)
  suffix = pathlib.Path(picture_path).suffix if picture_path else ".png"
  if suffix.lower() not in Image.registered_extensions():
    raise ValueError(
      f"--picture={picture_path}: {suffix!r} is no format of pictures; end "
      "the name in .png or .jpg"
    )


def _are_factors(scales: Sequence[str]) -> bool:
  try:
    return bool(scales) and all(0 < float(scale) < np.inf for scale in scales)
  except ValueError:
    return False


def _check_unlabelled(annotations, flags) -> None:
  """Refuses an evaluation that could give nothing."""
  if flags.boxes == "gt" or not flags.results:
    raise ValueError(
      f"{annotations} has no labels, so neither boxes nor a score; give the "
      "boxes of a detector (--boxes=detections.json) and --results=FILE to "
      f"write what is found, got --boxes={flags.boxes} and "
      f"--results={flags.results}"
    )


def _members(flags) -> tuple[list[Member], dict[str, Any]]:
  """The networks at every scale, and the configuration of the first."""
  loaded = [checkpoint.load(folder) for folder in flags.checkpoint]
  scales = [float(scale) for scale in flags.scales]
  members = []
  for variables, metadata in loaded:
    model = models.create_model(**metadata.model)
    member = Member(model, variables, _override(metadata.convention, flags))
    members += ensemble.at_scales(member, scales)
  if len(members) > 1:
    reference = ensemble.reference_member([m.convention for m in members])
    _LOG.info(
      "%d members, averaged over the heatmaps of %s",
      len(members),
      members[reference].convention.heatmap_size,
    )
  return members, loaded[0][1].config


def _override(convention: Convention, flags) -> Convention:
  """The checkpoint's convention with what the flags change, said aloud."""
  names = ("alignment", "flip_shift", "blur_kernel")
  given = {name: getattr(flags, name) for name in names}
  changes = {name: value for name, value in given.items() if value is not None}
  used = dataclasses.replace(convention, **changes)
  for difference in used.differences(convention):
    _LOG.warning("not as trained: %s (checkpoint)", difference)
  _LOG.info("convention: %s", used.describe())
  return used


def _progress(source, members, batch_size):
  """Every member's crops of the same people, batch by batch."""
  from darkjax.data.pipeline import batches as pipeline  # TensorFlow

  batch_size = -(-batch_size // jax.process_count())
  batches = [
    pipeline.eval_batches(
      source,
      member.convention,
      batch_size=batch_size,
      process_index=jax.process_index(),
      process_count=jax.process_count(),
    )
    for member in members
  ]
  total = -(-source.num_people // (batch_size * jax.process_count()))
  together = zip(*batches, strict=True)
  # None: shown where there is a terminal.
  silent = jax.process_index() > 0 or None
  return tqdm(together, total=total, unit="batch", disable=silent)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.multi_string(
    "checkpoint", None, "Folder of a run or of weights; several: an ensemble."
  )
  define.list("scales", "1", "Factors on the boxes, averaged over.")
  define.check("scales", _are_factors, "are numbers above 0")
  define.string(
    "annotations", None, "COCO-format json; default: the run's validation set."
  )
  define.string("images", None, "Folder of its images.")
  define.string(
    "category", "", "Which, if several differ; default: the checkpoint's."
  )
  define.string("boxes", "gt", "'gt', the labels', or a json of detections.")
  define.float("box_threshold", 0.0, "Lowest score of a detection.")
  define.enum("nms", "hard", coco.NMS, "How duplicates leave, by OKS.")
  define.string("root", None, "Where the run's data lies now.")
  define.string("cache", "", "Folder for prepared records.")
  define.enum(
    "on_error", "raise", ("raise", "skip"), "Images that cannot be read."
  )
  define.float("max_skipped", 0.01, "Share of images that may be skipped.")
  define.list(
    "methods", ",".join(METHODS), "Decoders; the last is written and drawn."
  )
  define.check(
    "methods",
    lambda names: bool(names) and set(names) <= set(inference.METHODS),
    f"are some of {', '.join(inference.METHODS)}",
  )
  define.enum(
    "border", "refine", ("refine", "official"), "Of the dark decoder."
  )
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 64, "People in all devices together.")
  define.enum(
    "alignment", None, geometry.ALIGNMENTS, "In place of the checkpoint's."
  )
  define.integer("flip_shift", None, "In place of the checkpoint's: 0 or 1 px.")
  define.integer("blur_kernel", None, "In place of the checkpoint's, px.")
  define.string("results", None, "Write the results json here.")
  define.string("picture", None, "Write a sheet of people here.")
  distributed.define_flags(define)
  define.required(["checkpoint"])


if __name__ == "__main__":
  command.run(main, define_flags)

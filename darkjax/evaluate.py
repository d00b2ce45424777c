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
from absl import app, flags
from PIL import Image
from tqdm import tqdm

from darkjax import (
  checkpoint,
  disk,
  distributed,
  ensemble,
  geometry,
  inference,
  models,
  startup,
  tiles,
  validation,
)
from darkjax.collect import METHODS, predict, predict_together
from darkjax.convention import Convention
from darkjax.ensemble import Member
from darkjax.metrics import coco
from darkjax.scoring import People, results, score, table

__all__ = ("METHODS", "main", "predict", "predict_together", "score", "table")

_LOG = logging.getLogger(__name__)

_DRAWN = 18  # boxes without labels on a picture


def main(argv: Sequence[str]) -> None:
  """Evaluates a checkpoint; see the flags."""
  del argv
  startup.start()
  distributed.start()
  with distributed.failing_together():
    _main(flags.FLAGS)


def _main(flag) -> None:
  from darkjax.data import coco_sections, detections, faults  # TensorFlow

  _check_outputs(flag.results, flag.picture)
  members, config = _members(flag.checkpoint)
  convention = members[0].convention
  annotations, images = validation.paths(
    flag.checkpoint[0],
    config,
    annotations=flag.annotations,
    images=flag.images,
    root=flag.root,
  )
  labelled = coco_sections.has_labels(annotations)
  if not labelled:
    _check_unlabelled(annotations)
  source = detections.load(
    annotations,
    images,
    flag.boxes,
    category=validation.category(
      config, named=flag.category, annotations=flag.annotations
    ),
    skeleton=convention.skeleton,
    score_threshold=flag.box_threshold,
    cache_dir=flag.cache,
    tolerance=faults.Tolerance(flag.on_error, flag.max_skipped),
  )
  _LOG.info("%s: %d %s", annotations, source.num_people, source.box_source)
  people = predict_together(
    members,
    _progress(source, members),
    methods=flag.methods,
    flip_test=flag.flip_test,
    border=flag.border,
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
      nms=flag.nms,
    )
    print(table(metrics))
  else:
    print(f"{annotations} has no labels: nothing is scored")
  if flag.results:
    found = results(
      people,
      flag.methods[-1],
      convention.skeleton,
      category_id=source.category_ids[0],
      nms=flag.nms,
    )
    coco.write_results(flag.results, found)
  if flag.picture:
    path = pathlib.Path(flag.picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = picture(people, convention, annotations, images)
    sheet.save(path)


def _check_outputs(results_path: str | None, picture_path: str | None) -> None:
  """Finds out before the evaluation what could not be written after it."""
  for path in filter(None, (results_path, picture_path)):
    disk.check_writable(path)
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


def _check_unlabelled(annotations) -> None:
  """Refuses an evaluation that could give nothing."""
  flag = flags.FLAGS
  if flag.boxes == "gt" or not flag.results:
    raise ValueError(
      f"{annotations} has no labels, so neither boxes nor a score; give the "
      "boxes of a detector (--boxes=detections.json) and --results=FILE to "
      f"write what is found, got --boxes={flag.boxes} and "
      f"--results={flag.results}"
    )


def picture(
  people: People, convention: Convention, annotations, images
) -> Image.Image:
  """A sheet of what the last method found in some people, with the labels.

  Of detected boxes, which have no labels, those the detector is surest of.
  """
  method = list(people.keypoints)[-1]
  if not people.visible.any():
    surest = np.argsort(-people.box_scores, kind="stable")[:_DRAWN]
    people = jax.tree.map(lambda column: column[surest], people)
  return tiles.people_sheet(
    people.keypoints[method],
    convention.skeleton,
    image_ids=people.image_ids,
    truth=people.truth,
    visible=people.visible,
    annotations=annotations,
    images=images,
  )


def _members(folders: Sequence[str]) -> tuple[list[Member], dict[str, Any]]:
  """The networks at every scale, and the configuration of the first."""
  loaded = [checkpoint.load(folder) for folder in folders]
  scales = [float(scale) for scale in flags.FLAGS.scales]
  members = []
  for variables, metadata in loaded:
    model = models.create_model(**metadata.model)
    member = Member(model, variables, _override(metadata.convention))
    members += ensemble.at_scales(member, scales)
  if len(members) > 1:
    reference = ensemble.reference_member([m.convention for m in members])
    _LOG.info(
      "%d members, averaged over the heatmaps of %s",
      len(members),
      members[reference].convention.heatmap_size,
    )
  return members, loaded[0][1].config


def _override(convention: Convention) -> Convention:
  """The checkpoint's convention with what the flags change, said aloud."""
  names = ("alignment", "flip_shift", "blur_kernel")
  changes = {
    name: flags.FLAGS[name].value
    for name in names
    if flags.FLAGS[name].value is not None
  }
  used = dataclasses.replace(convention, **changes)
  for difference in used.differences(convention):
    _LOG.warning("not as trained: %s (checkpoint)", difference)
  _LOG.info("convention: %s", used.describe())
  return used


def _progress(source, members):
  """Every member's crops of the same people, batch by batch."""
  from darkjax.data import pipeline  # TensorFlow

  batch_size = -(-flags.FLAGS.batch_size // jax.process_count())
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


if __name__ == "__main__":
  flags.DEFINE_multi_string(
    "checkpoint", None, "Folder of a run or of weights; several: an ensemble."
  )
  flags.DEFINE_list("scales", "1", "Factors on the boxes, averaged over.")
  flags.register_validator("scales", _are_factors, "are numbers above 0")
  flags.DEFINE_string(
    "annotations", None, "COCO-format json; default: the run's validation set."
  )
  flags.DEFINE_string("images", None, "Folder of its images.")
  flags.DEFINE_string(
    "category", "", "Which, if several differ; default: the checkpoint's."
  )
  flags.DEFINE_string(
    "boxes", "gt", "'gt', the labels', or a json of detections."
  )
  flags.DEFINE_float("box_threshold", 0.0, "Lowest score of a detection.")
  flags.DEFINE_enum("nms", "hard", coco.NMS, "How duplicates leave, by OKS.")
  flags.DEFINE_string("root", None, "Where the run's data lies now.")
  flags.DEFINE_string("cache", "", "Folder for prepared records.")
  flags.DEFINE_enum(
    "on_error", "raise", ("raise", "skip"), "Images that cannot be read."
  )
  flags.DEFINE_float(
    "max_skipped", 0.01, "Share of images that may be skipped."
  )
  flags.DEFINE_list(
    "methods", ",".join(METHODS), "Decoders; the last is written and drawn."
  )
  flags.register_validator(
    "methods",
    lambda names: bool(names) and set(names) <= set(inference.METHODS),
    f"are some of {', '.join(inference.METHODS)}",
  )
  flags.DEFINE_enum(
    "border", "refine", ("refine", "official"), "Of the dark decoder."
  )
  flags.DEFINE_bool("flip_test", True, "Average with the mirrored crop.")
  flags.DEFINE_integer("batch_size", 64, "People in all devices together.")
  flags.DEFINE_enum(
    "alignment", None, geometry.ALIGNMENTS, "In place of the checkpoint's."
  )
  flags.DEFINE_integer(
    "flip_shift", None, "In place of the checkpoint's: 0 or 1 px."
  )
  flags.DEFINE_integer("blur_kernel", None, "In place of the checkpoint's, px.")
  flags.DEFINE_string("results", None, "Write the results json here.")
  flags.DEFINE_string("picture", None, "Write a sheet of people here.")
  distributed.define_flags()
  flags.mark_flag_as_required("checkpoint")
  app.run(main)

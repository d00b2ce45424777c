"""Evaluation: `python -m darkjax.evaluate --checkpoint=runs/quickstart`.

Several checkpoints, or several --scales of the boxes, are an ensemble. The
network runs once over every person; all decoders read the same heatmaps.
Metrics are named method/metric/boxes, as in dark/AP/gt_boxes or, with --boxes
naming a file of detections, dark/AP/detections. For images without labels, as
of a test set, the results are written and nothing is scored.
"""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from darkjax import geometry
from darkjax.convention import METHODS, Convention
from darkjax.evaluate import dataset as dataset_lib
from darkjax.evaluate import errors, pictures, scores
from darkjax.evaluate.crops import read_batches
from darkjax.evaluate.predict import default_methods, predict_dataset
from darkjax.heatmaps.options import BORDERS
from darkjax.inference import check_method, ensemble
from darkjax.inference.predictor import Predictor
from darkjax.metrics import coco, coco_annotations
from darkjax.runtime import command, distributed, files, startup
from darkjax.skeletons import Skeleton
from darkjax.viz import picture_file

if TYPE_CHECKING:
  from darkjax.data.prepared import PreparedDataset  # TensorFlow

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments: Sequence[str]) -> None:
  """Evaluates checkpoints."""
  command.refuse_arguments(arguments)
  startup.start()
  distributed.start(flags)
  with distributed.failing_together():
    evaluate(flags)


def evaluate(flags: command.Flags) -> None:
  """Predicts all people of a data set, then scores, writes and draws them."""
  from darkjax.data.coco import detections, reader, unreadable  # TensorFlow

  outputs = flags.results, flags.metrics
  drawn = flags.picture, flags.errors_picture
  _check_outputs(outputs, drawn)
  if (flags.errors or flags.errors_picture) and flags.boxes != "gt":
    raise ValueError("--errors compares with labels, so it takes their boxes")
  predictors = _load_predictors(flags)
  convention = predictors[0].convention
  methods = flags.methods or default_methods(convention)
  for method in methods:
    check_method(method, convention)
  annotations, images = dataset_lib.paths(
    flags.checkpoint[0], predictors[0], flags
  )
  labelled = _has_labels(annotations, flags)
  for path in filter(None, outputs):
    files.check_not_read(path, annotations, flags.boxes)
  for path in filter(None, drawn):
    listed = reader.read_images(annotations).values()
    photographs = (images / image["file_name"] for image in listed)
    files.check_not_read(path, *photographs)
  dataset = detections.load(
    annotations,
    images,
    flags.boxes,
    **dataset_lib.options(predictors[0], flags),
    box_category=flags.box_category,
    score_threshold=flags.box_threshold,
    skip_policy=unreadable.SkipPolicy(flags.on_error, flags.max_skipped),
  )
  _LOG.info("%s: %d %s", annotations, dataset.num_people, dataset.box_source)
  skeleton = scores.choose_sigmas(
    convention.skeleton, dataset.skeleton, flags.sigmas
  )

  batches = read_batches(dataset, predictors, flags.batch_size)
  predictions = predict_dataset(predictors, batches, methods=methods)
  if jax.process_index() > 0:
    return  # every process has all people; one scores, writes and draws

  dataset.check_labels()
  if labelled:
    _score(predictions, dataset, skeleton, flags)
  else:
    print(f"{annotations} has no labels: nothing is scored")
  if flags.results:
    _write_results(predictions, methods[-1], dataset, skeleton, flags)
  if flags.errors or flags.errors_picture:
    found = errors.find(predictions, methods[-1], annotations, skeleton)
    print(errors.table(found, category_ids=dataset.category_ids, nms=flags.nms))
    if flags.errors_picture:
      sheet = errors.sheet(found, images, upright=dataset.upright)
      picture_file.save(sheet, flags.errors_picture)
  if flags.picture:
    picture = pictures.draw_predictions(
      predictions, convention.skeleton, annotations, images, dataset.upright
    )
    picture_file.save(picture, flags.picture)


def _has_labels(annotations: pathlib.Path, flags: command.Flags) -> bool:
  """Whether there is something to score; without, flags must make up for it."""
  from darkjax.data.coco import reader  # TensorFlow

  labelled = reader.has_labels(annotations)
  if not labelled and (flags.boxes == "gt" or not flags.results):
    raise ValueError(
      f"{annotations} has no labels, so neither boxes nor a score; give the "
      "boxes of a detector (--boxes=detections.json) and --results=FILE, got "
      f"--boxes={flags.boxes} and --results={flags.results}"
    )
  if not labelled and flags.metrics:
    raise ValueError(
      f"{annotations} has no labels, so nothing to write to --metrics"
    )
  return labelled


def _score(
  predictions: scores.DatasetPredictions,
  dataset: "PreparedDataset",
  skeleton: Skeleton,
  flags: command.Flags,
) -> None:
  """Prints the metrics and writes them to --metrics."""
  metrics = scores.score(
    predictions,
    dataset.annotations,
    skeleton,
    category_ids=dataset.category_ids,
    box_source=dataset.box_source,
    nms=flags.nms,
  )
  print(scores.table(metrics))
  if flags.metrics:
    text = json.dumps(metrics, indent=2)
    files.write_whole(pathlib.Path(flags.metrics), text.encode())


def _write_results(
  predictions: scores.DatasetPredictions,
  method: str,
  dataset: "PreparedDataset",
  skeleton: Skeleton,
  flags: command.Flags,
) -> None:
  """Writes --results, with the images' ids of the labels' file."""
  results = scores.to_results(
    predictions,
    method,
    skeleton,
    category_id=dataset.category_ids[0],
    nms=flags.nms,
  )
  ids = coco_annotations.image_ids_in_file(dataset.annotations)
  coco.write_results(
    flags.results,
    [{**result, "image_id": ids[result["image_id"]]} for result in results],
  )


def _check_outputs(
  paths: Sequence[str | None], pictures: Sequence[str | None]
) -> None:
  """Fails before the evaluation where outputs could not be written after it."""
  for path in filter(None, paths):
    files.check_writable(path)
  for path in filter(None, pictures):
    picture_file.check(path)
  every = [pathlib.Path(path) for path in (*paths, *pictures) if path]
  if len({path.resolve() for path in every}) < len(every):
    raise ValueError(f"two outputs are one file: {', '.join(map(str, every))}")


def _load_predictors(flags: command.Flags) -> list[Predictor]:
  """Reads the networks, at every one of the boxes' scales."""
  names = ("alignment", "flip_shift", "blur_kernel")
  changes = {name: getattr(flags, name) for name in names}
  scales = [float(scale) for scale in flags.scales]
  predictors = []
  for path in flags.checkpoint:
    predictor = Predictor.from_checkpoint(
      path, flip_test=flags.flip_test, border=flags.border
    )
    convention = _change_convention(predictor.convention, changes)
    predictor = dataclasses.replace(predictor, convention=convention)
    predictors += ensemble.at_scales(predictor, scales)
  if len(predictors) > 1:
    conventions = [predictor.convention for predictor in predictors]
    size = conventions[ensemble.reference_index(conventions)].heatmap_size
    count = len(predictors)
    _LOG.info("%d members, averaged over the heatmaps of %s", count, size)
  return predictors


def _change_convention(
  convention: Convention, changes: Mapping[str, Any]
) -> Convention:
  """Replaces the fields that are not None, with a warning."""
  changed = dataclasses.replace(
    convention,
    **{name: value for name, value in changes.items() if value is not None},
  )
  for difference in changed.differences(convention):
    _LOG.warning("not as trained: %s (checkpoint)", difference)
  _LOG.info("convention: %s", changed.describe())
  return changed


def _are_factors(scales: Sequence[str]) -> bool:
  try:
    return bool(scales) and all(0 < float(scale) < np.inf for scale in scales)
  except ValueError:
    return False


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.multi_string(
    "checkpoint", None, "Folder of a run or weights; several are an ensemble."
  )
  define.list("scales", "1", "Factors on the boxes, to average over.")
  define.check("scales", _are_factors, "are numbers above 0")
  dataset_lib.define_flags(define)
  define.string("boxes", "gt", "'gt' (the labels'), or a json of detections.")
  define.integer(
    "box_category", None, "Id of people in --boxes; default: the labels'."
  )
  define.float("box_threshold", 0.0, "Lowest score of a detection.")
  define.enum("nms", "hard", coco.NMS, "How to remove duplicates, by OKS.")
  define.enum(
    "sigmas", "checkpoint", scores.SIGMAS, "Whose sigmas OKS and AP have."
  )
  choices = ("raise", "skip")
  define.enum(
    "on_error", "raise", choices, "What to do about unreadable images."
  )
  define.float("max_skipped", 0.01, "Largest share of images to skip.")
  define.list(
    "methods",
    None,
    "Decoders, the last of which is written and drawn; default: all that the "
    "network's head allows.",
  )
  define.check(
    "methods",
    lambda names: names is None or (bool(names) and set(names) <= set(METHODS)),
    f"are some of {', '.join(METHODS)}",
  )
  define.enum("border", "refine", BORDERS, "DARK: how to treat the border.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 64, "People in a batch, of all devices.")
  define.enum(
    "alignment",
    None,
    geometry.ALIGNMENTS,
    "Alignment of crops; default: the checkpoint's.",
  )
  define.integer(
    "flip_shift", None, "Flip test: 0 or 1 px; default: the checkpoint's."
  )
  define.integer(
    "blur_kernel", None, "DARK: size, px; default: the checkpoint's."
  )
  define.string("results", None, "Json to write the results to.")
  define.string("metrics", None, "Json to write the metrics to, by name.")
  define.string("picture", None, "Picture of some people to write.")
  define.bool("errors", False, "Print errors by keypoint and kind.")
  define.string(
    "errors_picture", None, "Picture of the worst errors of each kind to write."
  )
  distributed.define_flags(define)
  define.required(["checkpoint"])


if __name__ == "__main__":
  command.run(main, define_flags)

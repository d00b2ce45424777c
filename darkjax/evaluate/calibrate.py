"""Calibration of scores: `python -m darkjax.evaluate.calibrate`.

    darkjax calibrate --checkpoint=runs/NAME --out=NAME.safetensors

predicts a labelled data set, fits how score and covariance of a keypoint map to
the probability that it is within a tolerance and to its error in px (see
darkjax.metrics.calibration), and writes the weights with these maps, in half
precision. They are used wherever the weights are. The tolerance is a share of
the larger side of the person's box. Printed are the expected calibration error
and the Brier score, before and after, on images that were not fitted: two
halves, each read by the maps of the other. Fit on people that the network was
not trained on.
"""

import logging
import pathlib

import numpy as np

from darkjax import checkpoint
from darkjax.checkpoint import weight_file
from darkjax.convention import METHODS
from darkjax.evaluate import dataset as dataset_lib
from darkjax.evaluate.crops import read_batches
from darkjax.evaluate.predict import predict_dataset
from darkjax.inference.predictor import Predictor
from darkjax.metrics import calibration_fit
from darkjax.metrics.calibration import Calibration
from darkjax.runtime import command, files, startup

_LOG = logging.getLogger(__name__)

_TOLERANCE = 0.05


def main(flags: command.Flags, arguments) -> None:
  """Predicts, fits, reports and writes."""
  command.refuse_arguments(arguments)
  startup.start()
  out = pathlib.Path(flags.out)
  if out.suffix != weight_file.SUFFIX:
    raise ValueError(f"--out={out}: weights end with {weight_file.SUFFIX}")
  files.check_writable(out)
  method, observations = _observe(flags)
  fitted = calibration_fit.fit(
    observations,
    method=method,
    flip_test=flags.flip_test,
    tolerance=flags.tolerance,
  )
  print(describe(fitted))
  variables, metadata = checkpoint.load(flags.checkpoint)
  metadata = metadata._replace(config={}, calibration=fitted)
  checkpoint.save_file(out, variables, metadata)
  _LOG.info("%s: the weights with their calibration", out)


def _observe(flags) -> tuple[str, calibration_fit.Observations]:
  """Returns the decoder, and the labelled keypoints of a data set."""
  from darkjax.data.coco import detections  # TensorFlow

  predictor = Predictor.from_checkpoint(
    flags.checkpoint, method=flags.method, flip_test=flags.flip_test
  )
  convention = predictor.convention
  _LOG.info("convention: %s", convention.describe())
  annotations, images = dataset_lib.paths(flags.checkpoint, predictor, flags)
  options = dataset_lib.options(predictor, flags)
  dataset = detections.load(annotations, images, **options)
  _LOG.info("%s: %d people", annotations, dataset.num_people)
  method = flags.method or convention.default_method
  found = predict_dataset(
    [predictor],
    read_batches(dataset, [predictor], flags.batch_size),
    methods=[method],
  )
  dataset.check_labels()
  people = dataset.people
  boxes = dict(zip(people.annotation_id, people.bbox, strict=True))
  return method, calibration_fit.observe(
    keypoints=found.keypoints[method],
    truth=found.truth,
    visible=found.visible,
    scores=found.keypoint_scores,
    covariances=found.covariances[method],
    bbox=np.array([boxes[number] for number in found.annotation_ids]),
    image_ids=found.image_ids,
  )


def describe(fitted: Calibration) -> str:
  """Returns the report as text."""
  report = fitted.report
  lines = [
    f"{report['keypoints']} keypoints, {report['within']:.1%} of them within "
    f"{fitted.tolerance:g} of the box",
    "on images that were not fitted:",
    "                            score  calibrated",
  ]
  for name, title in (("ece", "calibration error (ECE)"), ("brier", "Brier")):
    before, after = (report[f"{name}_{when}"] for when in ("before", "after"))
    lines.append(f"  {title:23}  {before:6.3f}  {after:10.3f}")
  share = f"{report['error_coverage']:.1%}"
  lines.append(f"  {share} of the keypoints are nearer than the median error")
  return "\n".join(lines)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("checkpoint", None, "Folder of a run, or weights.")
  define.string("out", None, "File of weights to write, .safetensors.")
  define.float(
    "tolerance",
    _TOLERANCE,
    "Distance that counts as right, a share of the larger side of the box.",
  )
  dataset_lib.define_flags(define)
  define.enum(
    "method", None, METHODS, "Decoder; default: the one for the network's head."
  )
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 64, "People in a batch, of all devices.")
  define.required(["checkpoint", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)

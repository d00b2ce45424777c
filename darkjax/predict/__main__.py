"""Prediction: `python -m darkjax.predict --checkpoint=DIR photo.jpg`.

Inputs are photographs, folders of them, one video or animated picture, or the
number of a webcam; `--detector` finds the people in them. `--out` receives the
pictures with the people drawn (photographs under their own names, a video as an
.mp4), results.json in COCO's format and results.csv. A photograph that cannot
be read is logged and left out; the exit status is then 1, and 130 after Ctrl-C
or SIGTERM.
"""

import logging
import pathlib
import signal
import time
from collections.abc import Sequence

from darkjax.convention import METHODS
from darkjax.data.images import frame_flags
from darkjax.heatmaps.options import BORDERS
from darkjax.inference.detectors.load import from_flags
from darkjax.inference.people import SHOWN_SCORE
from darkjax.inference.pose import PRETRAINED, Pose
from darkjax.inference.predictor import Predictor
from darkjax.metrics import coco
from darkjax.predict import boxes as boxes_lib
from darkjax.predict import people, smoothing, tracks, writers
from darkjax.predict.inputs import open_inputs
from darkjax.runtime import command, files, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments: Sequence[str]) -> int:
  """Predicts the people of photographs, a folder, a video or a camera."""
  startup.start()
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
  out = pathlib.Path(flags.out)
  if not flags.checkpoint:
    _LOG.warning("no --checkpoint: the small network of Pose.pretrained()")
  predictor = Predictor.from_checkpoint(
    flags.checkpoint or PRETRAINED,
    method=flags.method,
    flip_test=flags.flip_test,
    border=flags.border,
  )
  boxes = detector = None
  min_score = flags.min_box_score
  if flags.boxes:
    if flags.detector:
      _LOG.warning("--detector is not used: the boxes are those of --boxes")
    files.check_not_read(out / writers.RESULTS, flags.boxes)
    boxes = boxes_lib.read(
      flags.boxes,
      skeleton=predictor.convention.skeleton,
      min_score=min_score or 0.0,
      category=flags.category,
    )
  else:
    detector = from_flags(flags.detector, min_score)
  with open_inputs(
    arguments,
    boxes,
    out=out,
    upright=frame_flags.read(flags),
    recursive=flags.recursive,
    max_pictures=flags.max_frames,
  ) as pictures:
    if (flags.track or flags.smooth) and pictures.rate is None:
      raise ValueError(
        "--smooth and --track are for videos; photographs have no time"
      )
    # A camera's frames are processed as they come.
    batch_size = 1 if pictures.live else flags.batch_size
    pose = Pose(predictor, batch_size=batch_size, detector=detector)
    _LOG.info("convention: %s", pose.convention.describe())
    stream = people.predict_people(
      pose, pictures.stream, pictures.boxes, nms=flags.nms
    )
    if flags.track or flags.smooth:
      tracker: tracks.Tracker = tracks.OverlapTracker(pictures.rate)
      if flags.track and pictures.rate:
        tracker = tracks.ByteTracker(pictures.rate)
      stream = people.track_people(stream, tracker)
    if flags.smooth:
      settings = smoothing.OneEuro(min_cutoff=flags.min_cutoff, beta=flags.beta)
      stream = people.smooth_people(pose, stream, settings, pictures.rate)

    def draw(one: people.PicturePeople):
      return one.people.plot(
        min_score=flags.min_score, uncertainty=flags.uncertainty
      )

    start = time.monotonic()
    counts = writers.write_all(
      stream,
      out,
      category_id=boxes.category if boxes else 1,
      video=(pictures.name, pictures.rate) if pictures.rate else None,
      draw=draw if flags.pictures else None,
      total=None if boxes or detector else pictures.num_pictures,
    )
  seconds = time.monotonic() - start
  _LOG.info("%s: %s; %.1f s with compiling", out, counts.describe(), seconds)
  if pictures.unreadable:
    _LOG.error("%d photographs could not be read", len(pictures.unreadable))
    return 1
  if counts.interrupted and not pictures.live:
    of = f" of {pictures.num_pictures}" if pictures.num_pictures else ""
    _LOG.error("interrupted after %d%s pictures", counts.pictures, of)
    return 130
  return 0


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string(
    "checkpoint",
    None,
    "Folder of a run, or weights; default: those that come with darkjax.",
  )
  define.string("out", "predictions", "Folder to write to.")
  define.string(
    "boxes",
    None,
    "COCO json of detections or annotations; default: what --detector finds "
    "or, without one, every picture is one person's box.",
  )
  define.string(
    "detector",
    None,
    "Finds the people: an .onnx file or torchvision:NAME, perhaps with "
    "?option=value&...",
  )
  define.float(
    "min_box_score",
    None,
    "Lowest score of a box; default: 0.3 for a detector's, else 0.",
  )
  define.string(
    "category",
    None,
    "Category of the boxes, by name or id; default: the one with keypoints, or "
    "of detections 1 or the only one.",
  )
  define.enum("nms", "hard", coco.NMS, "How to remove duplicates, by OKS.")
  frame_flags.define(
    define,
    "upright; with --boxes as the sizes in the json say, else as stored",
  )
  define.bool("recursive", False, "Read the photographs of subfolders too.")
  define.enum(
    "method", None, METHODS, "Decoder; default: the one for the network's head."
  )
  define.enum("border", "refine", BORDERS, "DARK: how to treat the border.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 32, "People in a batch, a power of two.")
  define.bool("pictures", True, "Write overlays.")
  define.float("min_score", SHOWN_SCORE, "Lowest score of a keypoint to draw.")
  define.bool("uncertainty", False, "Draw covariances as ellipses.")
  define.bool("track", False, "Give a video's people ids, by ByteTrack.")
  define.bool("smooth", False, "Smooth a video by the One-Euro filter.")
  define.float(
    "min_cutoff",
    1.0,
    "Filter: cutoff at rest, Hz; less is steadier.",
    lower_bound=0.0,
  )
  define.float(
    "beta", 1.0, "Filter: rise with speed; more lags less.", lower_bound=0.0
  )
  define.integer("max_frames", None, "Most pictures to read.", lower_bound=1)


if __name__ == "__main__":
  command.run(main, define_flags)

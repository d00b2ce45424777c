"""Prediction: `python -m darkjax.predict --checkpoint=DIR photo.jpg`.

Without --checkpoint it uses the small network that comes with darkjax, see
`Pose.pretrained`. Photographs, folders of them, one video, or a webcam by its
number. `--out` receives the pictures with the people drawn (photographs under
their own names, a video as an .mp4), results.json in COCO's format and
results.csv. A photograph that cannot be read is named and left out; the status
is then 1, and 130 after Ctrl-C or SIGTERM.
"""

import functools
import logging
import pathlib
import signal
import time

import PIL.Image

from darkjax.heatmaps import decode
from darkjax.inference import boxes as boxes_lib
from darkjax.inference.people import SHOWN_SCORE
from darkjax.inference.pose import Pose
from darkjax.metrics import coco
from darkjax.predict import frames as frames_lib
from darkjax.predict import people, smoothing, writers
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments) -> int:
  """Finds the people of photographs, a folder, a video or a camera."""
  startup.start()
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
  out = pathlib.Path(flags.out)
  boxes = None
  if flags.boxes:
    boxes = boxes_lib.read(
      flags.boxes, min_score=flags.min_box_score, category=flags.category
    )
  source_context = frames_lib.choose(
    arguments,
    boxes,
    out=out,
    upright=flags.upright,
    max_frames=flags.max_frames,
  )
  with source_context as source:
    # A camera's frames are wanted as they come.
    pose = _pose(flags, batch_size=1 if source.live else flags.batch_size)
    found = people.predict(pose, source.frames, source.boxes, nms=flags.nms)
    if flags.smooth:
      settings = smoothing.OneEuro(min_cutoff=flags.min_cutoff, beta=flags.beta)
      found = people.smooth(pose, found, settings)
    start = time.monotonic()
    written = writers.write_all(
      found,
      out,
      pose.convention.skeleton,
      category_id=boxes.category if boxes else 1,
      video=(source.name, source.rate) if source.rate else None,
      draw=functools.partial(_draw, flags) if flags.pictures else None,
      total=source.count if boxes is None else None,
    )
  seconds = time.monotonic() - start
  _LOG.info("%s: %s; %.1f s with compiling", out, written.describe(), seconds)
  if source.unreadable:
    _LOG.error("%d photographs could not be read", len(source.unreadable))
    return 1
  if written.interrupted and not source.live:
    of = f" of {source.count}" if source.count else ""
    _LOG.error("interrupted after %d%s pictures", written.pictures, of)
    return 130
  return 0


def _pose(flags, *, batch_size: int) -> Pose:
  options = dict(
    method=flags.method,
    flip_test=flags.flip_test,
    border=flags.border,
    batch_size=batch_size,
  )
  if flags.checkpoint:
    pose = Pose.from_checkpoint(flags.checkpoint, **options)
  else:
    _LOG.warning("no --checkpoint: the small LSP network of Pose.pretrained()")
    pose = Pose.pretrained(**options)
  _LOG.info("convention: %s", pose.convention.describe())
  return pose


def _draw(flags, found: writers.Found) -> PIL.Image.Image:
  return writers.overlay(
    found, min_score=flags.min_score, uncertainty=flags.uncertainty
  )


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string(
    "checkpoint",
    None,
    "Folder of a run, or weights; without it those that come with darkjax.",
  )
  define.string("out", "predictions", "Folder of what is written.")
  define.string(
    "boxes",
    None,
    "COCO json of detections or annotations; without it every picture is one "
    "person's box.",
  )
  define.float("min_box_score", 0.0, "Leave out lower detections.")
  define.integer(
    "category",
    None,
    "Of the boxes; default: COCO's person, 1, if there is one.",
  )
  define.enum("nms", "hard", coco.NMS, "How duplicates leave, by OKS.")
  define.bool(
    "upright",
    None,
    "Turn photographs by their EXIF tag; default: unless --boxes is given, "
    "since labels count the pixels as stored.",
  )
  define.enum("method", "dark", decode.METHODS, "Decoder.")
  define.enum("border", "refine", decode.BORDERS, "Of the dark decoder.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.integer("batch_size", 32, "People at once: a power of two.")
  define.bool("pictures", True, "Write overlays.")
  define.float("min_score", SHOWN_SCORE, "Draw keypoints from here on.")
  define.bool("uncertainty", False, "Draw covariances as ellipses.")
  define.bool("smooth", False, "One-Euro filter for videos.")
  define.float("min_cutoff", 1.0, "Of the filter, Hz; lower is steadier.")
  define.float("beta", 1.0, "Of the filter; higher lags less.")
  define.integer(
    "max_frames", None, "Stop after so many pictures.", lower_bound=1
  )


if __name__ == "__main__":
  command.run(main, define_flags)

"""Prediction: `python -m darkjax.predict --checkpoint=DIR photo.jpg`.

Without --checkpoint it uses the small network that comes with darkjax, see
`Pose.pretrained`. Photographs, folders of them, one video, or a webcam by its
number. `--out` receives the pictures with the people drawn (photographs under
their own names, a video as an .mp4), results.json in COCO's format and
results.csv. A photograph that cannot be read is named and left out; the status
is then 1, and 130 after Ctrl-C or SIGTERM.
"""

import collections
import dataclasses
import logging
import pathlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import PIL.Image
from absl import app, flags

from darkjax import boxes as boxes_lib
from darkjax import frames as frames_lib
from darkjax import results, smoothing, startup
from darkjax.heatmaps import decode
from darkjax.metrics import coco
from darkjax.metrics import nms as nms_lib
from darkjax.people import SHOWN_SCORE
from darkjax.pose import Pose

_LOG = logging.getLogger(__name__)


def predict(
  pose: Pose,
  frames: Iterator[frames_lib.Frame],
  boxes: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None,
  *,
  nms: str = "hard",
) -> Iterator[results.Found]:
  """Finds the people of each frame; duplicates are removed by OKS-NMS.

  Args:
    pose: finds them, in batches of its size, however many share a frame.
    frames: read as they are needed, about two batches ahead.
    boxes: where people are, by image id: (boxes [N, 4] in image px, scores
      [N]); None for one person per frame, all of it.
    nms: one of `coco.NMS`.

  Yields:
    The people of each frame, best first.
  """
  waiting = collections.deque()

  def searched():
    for frame in frames:
      wanted, scores = _boxes_of(frame, boxes)
      waiting.append((frame, scores))
      yield frame.pixels, wanted

  for people in pose.stream(searched()):
    frame, scores = waiting.popleft()
    areas = [_padded_area(pose, person.bbox) for person in people]
    numbers = np.arange(len(people))
    found = results.Found(
      frame, people, scores, np.array(areas), numbers, len(people)
    )
    yield _without_duplicates(found, pose.convention.skeleton, nms)


def _boxes_of(frame, boxes) -> tuple[np.ndarray, np.ndarray]:
  size = frame.pixels.shape[:2]
  if boxes is None:
    return boxes_lib.check(None, size, frame.name), np.ones(1)
  nobody = np.zeros((0, 4)), np.zeros(0)
  wanted, scores = boxes.get(frame.image_id, nobody)
  return boxes_lib.check(wanted, size, frame.name), scores


def _padded_area(pose: Pose, bbox) -> float:
  _, scale, _ = pose.convention.crop_from_box(bbox)
  return float(scale.prod())


def _without_duplicates(found, skeleton, nms) -> results.Found:
  if not found.people:
    return found
  scores = coco.rescore(found.box_scores, found.keypoint_scores())
  if nms == "none":
    kept = np.argsort(-scores, kind="stable")
  else:
    kept = nms_lib.METHODS[nms](
      found.keypoints(), scores, found.box_areas, skeleton.sigmas
    )
  return found.take(kept)._replace(numbers=np.arange(len(kept)))


def smooth(
  pose: Pose,
  found: Iterator[results.Found],
  settings: smoothing.OneEuro,
) -> Iterator[results.Found]:
  """Steadies the keypoints of a video's people, see `smoothing.Tracks`.

  Args:
    pose: tells the width of a clean peak.
    found: from `predict`, of one video.
    settings: of the filter.

  Yields:
    The same people with smoothed keypoints, numbered by their tracks.

  Raises:
    ValueError: photographs, which have no time.
  """
  tracks = smoothing.Tracks(settings)
  for frame in found:
    if np.isnan(frame.frame.seconds):
      raise ValueError("--smooth is for videos; photographs have no time")
    if not frame.people:
      yield frame
      continue
    boxes = np.stack([person.bbox for person in frame.people])
    covariances = frame.covariances()
    # Decoders other than dark give none: then the filter is the plain one.
    known = np.isfinite(covariances).any()
    keypoints, numbers = tracks.update(
      boxes,
      frame.keypoints(),
      frame.frame.seconds,
      peak_widths=np.array([pose.peak_width(bbox) for bbox in boxes]),
      covariances=covariances if known else None,
    )
    people = [
      dataclasses.replace(person, keypoints_image=moved.astype(np.float32))
      for person, moved in zip(frame.people, keypoints, strict=True)
    ]
    yield frame._replace(people=people, numbers=numbers)


def main(argv: Sequence[str]) -> None:
  """Predicts on what the arguments name; see the flags."""
  startup.start()
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
  flag, out = flags.FLAGS, pathlib.Path(flags.FLAGS.out)
  boxes = None
  if flag.boxes:
    boxes = boxes_lib.read(
      flag.boxes, min_score=flag.min_box_score, category=flag.category
    )
  source_context = frames_lib.choose(
    argv[1:], boxes, out=out, upright=flag.upright, max_frames=flag.max_frames
  )
  with source_context as source:
    # A camera's frames are wanted as they come.
    pose = _pose(batch_size=1 if source.live else flag.batch_size)
    found = predict(pose, source.frames, source.boxes, nms=flag.nms)
    if flag.smooth:
      settings = smoothing.OneEuro(min_cutoff=flag.min_cutoff, beta=flag.beta)
      found = smooth(pose, found, settings)
    start = time.monotonic()
    written = results.write_all(
      found,
      out,
      pose.convention.skeleton,
      category_id=boxes.category if boxes else 1,
      video=(source.name, source.rate) if source.rate else None,
      draw=_draw if flag.pictures else None,
      total=source.count if boxes is None else None,
    )
  seconds = time.monotonic() - start
  _LOG.info("%s: %s; %.1f s with compiling", out, written.describe(), seconds)
  if source.unreadable:
    _LOG.error("%d photographs could not be read", len(source.unreadable))
    sys.exit(1)
  if written.interrupted and not source.live:
    of = f" of {source.count}" if source.count else ""
    _LOG.error("interrupted after %d%s pictures", written.pictures, of)
    sys.exit(130)


def _pose(*, batch_size: int) -> Pose:
  flag = flags.FLAGS
  options = dict(
    method=flag.method,
    flip_test=flag.flip_test,
    border=flag.border,
    batch_size=batch_size,
  )
  if flag.checkpoint:
    pose = Pose.from_checkpoint(flag.checkpoint, **options)
  else:
    _LOG.warning("no --checkpoint: the small LSP network of Pose.pretrained()")
    pose = Pose.pretrained(**options)
  _LOG.info("convention: %s", pose.convention.describe())
  return pose


def _draw(found: results.Found) -> PIL.Image.Image:
  flag = flags.FLAGS
  return results.overlay(
    found, min_score=flag.min_score, uncertainty=flag.uncertainty
  )


if __name__ == "__main__":
  flags.DEFINE_string(
    "checkpoint",
    None,
    "Folder of a run, or weights; without it those that come with darkjax.",
  )
  flags.DEFINE_string("out", "predictions", "Folder of what is written.")
  flags.DEFINE_string(
    "boxes",
    None,
    "COCO json of detections or annotations; without it every picture is one "
    "person's box.",
  )
  flags.DEFINE_float("min_box_score", 0.0, "Leave out lower detections.")
  flags.DEFINE_integer(
    "category",
    None,
    "Of the boxes; default: COCO's person, 1, if there is one.",
  )
  flags.DEFINE_enum("nms", "hard", coco.NMS, "How duplicates leave, by OKS.")
  flags.DEFINE_bool(
    "upright",
    None,
    "Turn photographs by their EXIF tag; default: unless --boxes is given, "
    "since labels count the pixels as stored.",
  )
  flags.DEFINE_enum("method", "dark", decode.METHODS, "Decoder.")
  flags.DEFINE_enum("border", "refine", decode.BORDERS, "Of the dark decoder.")
  flags.DEFINE_bool("flip_test", True, "Average with the mirrored crop.")
  flags.DEFINE_integer("batch_size", 32, "People at once: a power of two.")
  flags.DEFINE_bool("pictures", True, "Write overlays.")
  flags.DEFINE_float("min_score", SHOWN_SCORE, "Draw keypoints from here on.")
  flags.DEFINE_bool("uncertainty", False, "Draw covariances as ellipses.")
  flags.DEFINE_bool("smooth", False, "One-Euro filter for videos.")
  flags.DEFINE_float("min_cutoff", 1.0, "Of the filter, Hz; lower is steadier.")
  flags.DEFINE_float("beta", 1.0, "Of the filter; higher lags less.")
  flags.DEFINE_integer(
    "max_frames", None, "Stop after so many pictures.", lower_bound=1
  )
  app.run(main)

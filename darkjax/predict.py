"""Prediction: `python -m darkjax.predict --checkpoint=DIR photo.jpg`.

Without --checkpoint it uses the small network that comes with darkjax, see
`Pose.pretrained`. Photographs, folders of them, one video, or a webcam by its
number. `--out` receives the pictures with the people drawn (photographs under
their own names, a video as an .mp4), results.json in COCO's format and
results.csv.
"""

import collections
import contextlib
import dataclasses
import logging
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import PIL.Image
from absl import app, flags
from tqdm import tqdm

from darkjax import boxes as boxes_lib
from darkjax import frames as frames_lib
from darkjax import results, smoothing, startup
from darkjax.heatmaps import decode
from darkjax.metrics import coco, nms
from darkjax.people import SHOWN_SCORE
from darkjax.pose import Pose
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)


def predict(
  pose: Pose,
  frames: Iterator[frames_lib.Frame],
  boxes: boxes_lib.BoxFile | None = None,
) -> Iterator[results.Found]:
  """Finds the people of each frame; duplicates are removed by OKS-NMS.

  Args:
    pose: finds them, in batches of its size, however many share a frame.
    frames: read as they are needed, about two batches ahead.
    boxes: where people are; None for one person per frame, all of it.

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
    found = results.Found(
      frame, people, scores, np.array(areas), np.arange(len(people))
    )
    yield _without_duplicates(found, pose.convention.skeleton)


def _boxes_of(frame, boxes) -> tuple[np.ndarray, np.ndarray]:
  size = frame.pixels.shape[:2]
  if boxes is None:
    return boxes_lib.check(None, size, frame.name), np.ones(1)
  wanted, scores = boxes.of(frame.name, frame.image_id)
  return boxes_lib.check(wanted, size, frame.name), scores


def _padded_area(pose: Pose, bbox) -> float:
  _, scale, _ = pose.convention.crop_from_box(bbox)
  return float(scale.prod())


def _without_duplicates(found, skeleton) -> results.Found:
  if not found.people:
    return found
  scores = coco.rescore(found.box_scores, found.keypoint_scores())
  kept = found.take(
    nms.oks_nms(found.keypoints(), scores, found.box_areas, skeleton.sigmas)
  )
  return kept._replace(numbers=np.arange(len(kept.people)))


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


def write_all(
  found: Iterable[results.Found],
  out: pathlib.Path,
  skeleton: Skeleton,
  *,
  video: tuple[str, float] | None = None,
  draw: Callable[[results.Found], PIL.Image.Image] | None = None,
  total: int | None = None,
) -> int:
  """Writes what is found as it comes, with a progress bar of people/s.

  Args:
    found: the people of each picture; an interrupt (Ctrl-C) ends it.
    out: folder of results.json, results.csv and the overlays.
    skeleton: the people's.
    video: name without suffix and frames/s of the overlay video; None writes a
      picture per frame.
    draw: makes an overlay; None writes none.
    total: number of people, if known.

  Returns:
    How many people were written.
  """
  with (
    _writers(out, skeleton, video, draw) as write,
    tqdm(total=total, unit="people", disable=None, dynamic_ncols=True) as bar,
    contextlib.suppress(KeyboardInterrupt),  # how a webcam ends
  ):
    count = 0
    for frame in found:
      write(frame)
      count += len(frame.people)
      bar.update(len(frame.people))
  return count


@contextlib.contextmanager
def _writers(out, skeleton, video, draw):
  """Yields a function that writes one picture's people to all outputs."""
  out.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    append = stack.enter_context(results.json_writer(out / "results.json"))
    add_lines = stack.enter_context(results.csv_writer(out / "results.csv"))
    add_frame = None
    if draw and video:
      name, rate = video
      add_frame = stack.enter_context(
        frames_lib.video_writer(out / f"{name}.mp4", rate)
      )

    def write(found: results.Found) -> None:
      append(results.to_coco(found, skeleton))
      add_lines(found)
      if add_frame:
        add_frame(np.asarray(draw(found)))
      elif draw:
        path = results.overlay_path(out, found.frame.name)
        draw(found).save(path, quality=92)

    yield write


def main(argv: Sequence[str]) -> None:
  """Predicts on what the arguments name; see the flags."""
  startup.start()
  flag, out = flags.FLAGS, pathlib.Path(flags.FLAGS.out)
  boxes = None
  if flag.boxes:
    boxes = boxes_lib.read(flag.boxes, min_score=flag.min_box_score)
  source_context = frames_lib.choose(
    argv[1:], boxes, out=out, upright=flag.upright, max_frames=flag.max_frames
  )
  with source_context as source:
    # A camera's frames are wanted as they come.
    pose = _pose(batch_size=1 if source.live else flag.batch_size)
    found = predict(pose, source.frames, boxes)
    if flag.smooth:
      settings = smoothing.OneEuro(min_cutoff=flag.min_cutoff, beta=flag.beta)
      found = smooth(pose, found, settings)
    start = time.monotonic()
    count = write_all(
      found,
      out,
      pose.convention.skeleton,
      video=(source.name, source.rate) if source.rate else None,
      draw=_draw if flag.pictures else None,
      total=source.count if boxes is None else None,
    )
  seconds = time.monotonic() - start
  _LOG.info("%s: %d people, %.1f s with compiling", out, count, seconds)


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
  flags.DEFINE_integer("max_frames", None, "Stop after so many pictures.")
  app.run(main)

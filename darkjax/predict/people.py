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
from collections.abc import Iterator, Mapping

import numpy as np

from darkjax.inference import boxes as boxes_lib
from darkjax.inference.pose import Pose
from darkjax.metrics import coco
from darkjax.metrics import oks_nms as nms_lib
from darkjax.predict import frames as frames_lib
from darkjax.predict import smoothing, writers

_LOG = logging.getLogger(__name__)


def predict(
  pose: Pose,
  frames: Iterator[frames_lib.Frame],
  boxes: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None,
  *,
  nms: str = "hard",
) -> Iterator[writers.Found]:
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
    found = writers.Found(
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


def _without_duplicates(found, skeleton, nms) -> writers.Found:
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
  found: Iterator[writers.Found],
  settings: smoothing.OneEuro,
) -> Iterator[writers.Found]:
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

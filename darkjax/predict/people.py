"""People of a stream of pictures: prediction, duplicates, smoothing."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.inference import boxes as boxes_lib
from darkjax.inference.people import Person
from darkjax.inference.pose import Pose
from darkjax.metrics import coco, oks_nms
from darkjax.predict import smoothing
from darkjax.predict.inputs import BoxesById, Picture


class PicturePeople(NamedTuple):
  """The N people of one picture, duplicates removed.

  Attributes:
    picture: that shows them.
    people: N of them.
    box_scores: [N] of the detector, 1 where it gave none.
    box_areas: [N] of the padded boxes, px².
    numbers: [N] the index in the picture or, in a smoothed video, the number of
      the track.
    num_boxes: number of boxes, those of duplicates included.
  """

  picture: Picture
  people: Sequence[Person]
  box_scores: np.ndarray
  box_areas: np.ndarray
  numbers: np.ndarray
  num_boxes: int

  def keypoints(self) -> np.ndarray:
    """Returns [N, K, 2], image px."""
    return np.stack([person.keypoints_image for person in self.people])

  def keypoint_scores(self) -> np.ndarray:
    """Returns [N, K]."""
    return np.stack([person.scores for person in self.people])

  def covariances(self) -> np.ndarray:
    """Returns [N, K, 2, 2], image px²."""
    return np.stack([person.covariances for person in self.people])


def predict_people(
  pose: Pose,
  pictures: Iterable[Picture],
  boxes: BoxesById | None = None,
  *,
  nms: str = "hard",
) -> Iterator[PicturePeople]:
  """Predicts the people of each picture, best first, without duplicates.

  Args:
    pose: predicts in batches of its size, across pictures.
    pictures: read as they are needed, about two batches ahead.
    boxes: of people; None for one person per picture, all of it.
    nms: how to remove duplicates, one of `coco.NMS`.
  """
  waiting: collections.deque[tuple[Picture, np.ndarray]] = collections.deque()

  def with_boxes():
    for picture in pictures:
      some, scores = None, np.ones(1)
      if boxes is not None:
        no_boxes = np.zeros((0, 4)), np.zeros(0)
        some, scores = boxes.get(picture.image_id, no_boxes)
      size = picture.pixels.shape[:2]
      waiting.append((picture, scores))
      yield picture.pixels, boxes_lib.check(some, size, picture.name)

  for people in pose.stream(with_boxes()):
    picture, box_scores = waiting.popleft()
    scales = [pose.convention.crop_from_box(p.bbox)[1] for p in people]
    areas = np.array([scale.prod() for scale in scales])
    index = np.arange(0)
    if people:
      index = _without_duplicates(pose, people, box_scores, areas, nms)
    yield PicturePeople(
      picture,
      [people[i] for i in index],
      box_scores[index],
      areas[index],
      np.arange(len(index)),
      len(people),
    )


def _without_duplicates(pose, people, box_scores, areas, nms) -> np.ndarray:
  """Returns the indices of the people to keep, best first."""
  keypoint_scores = np.stack([person.scores for person in people])
  scores = coco.rescore(box_scores, keypoint_scores)
  if nms == "none":
    return np.argsort(-scores, kind="stable")
  keypoints = np.stack([person.keypoints_image for person in people])
  sigmas = pose.convention.skeleton.sigmas
  return np.asarray(oks_nms.METHODS[nms](keypoints, scores, areas, sigmas), int)


def smooth_people(
  pose: Pose,
  stream: Iterable[PicturePeople],
  settings: smoothing.OneEuro,
) -> Iterator[PicturePeople]:
  """Smooths the keypoints of a video's people and numbers them by their tracks.

  Args:
    pose: gives the width of a clean peak.
    stream: from `predict_people`, of one video.
    settings: of the filter.

  Raises:
    ValueError: photographs, which have no time.
  """
  tracks = smoothing.Tracks(settings)
  for frame in stream:
    if np.isnan(frame.picture.seconds):
      raise ValueError("--smooth is for videos; photographs have no time")
    if not frame.people:
      yield frame
      continue
    boxes = np.stack([person.bbox for person in frame.people])
    covariances = frame.covariances()
    # Decoders without covariances get the plain filter.
    has_covariances = np.isfinite(covariances).any()
    keypoints, numbers = tracks.update(
      boxes,
      frame.keypoints(),
      frame.picture.seconds,
      peak_widths=np.array([pose.peak_width(bbox) for bbox in boxes]),
      covariances=covariances if has_covariances else None,
    )
    people = [
      dataclasses.replace(person, keypoints_image=points.astype(np.float32))
      for person, points in zip(frame.people, keypoints, strict=True)
    ]
    yield frame._replace(people=people, numbers=numbers)

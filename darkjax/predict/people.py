"""People of a stream of pictures: prediction, duplicates, tracks, smoothing."""

import collections
import dataclasses
import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from darkjax.inference import boxes as boxes_lib
from darkjax.inference.people import People
from darkjax.inference.pose import Pose
from darkjax.metrics import coco, oks_nms
from darkjax.predict import smoothing, tracks
from darkjax.predict.inputs import BoxesById, Picture

_LOG = logging.getLogger(__name__)


class PicturePeople(NamedTuple):
  """The people of one picture, duplicates removed."""

  picture: Picture
  people: People
  num_boxes: int  # those of duplicates included


def predict_people(
  pose: Pose,
  pictures: Iterable[Picture],
  boxes: BoxesById | None = None,
  *,
  nms: str = "hard",
) -> Iterator[PicturePeople]:
  """Predicts the people of each picture, best first, without duplicates.

  Pictures are read about two batches ahead. Without boxes, their people are
  those that the pose's detector finds or, without one, each is one person's
  box. `nms` is one of `coco.NMS`.
  """
  waiting: collections.deque[tuple[Picture, np.ndarray | None]]
  waiting = collections.deque()

  def with_boxes():
    for picture in pictures:
      some = scores = None
      if boxes is not None:
        no_boxes = np.zeros((0, 4)), np.zeros(0)
        some, scores = boxes.get(picture.image_id, no_boxes)
        some, scores = _overlapping(picture, some, scores)
        boxes_lib.check(some, picture.pixels.shape[:2], picture.name)
      waiting.append((picture, scores))
      yield picture.pixels, some

  for everyone in pose.stream(with_boxes()):
    picture, box_scores = waiting.popleft()
    if box_scores is None:
      box_scores = everyone.box_scores
    scored = [
      dataclasses.replace(person, box_score=float(score))
      for person, score in zip(everyone, box_scores, strict=True)
    ]
    people = People(scored, everyone.image, everyone.skeleton)
    people = _without_duplicates(pose, people, nms)
    yield PicturePeople(picture, people, len(everyone))


def _overlapping(picture: Picture, boxes, scores):
  """Leaves out the boxes beside the picture, with a warning."""
  height, width = picture.pixels.shape[:2]
  x, y, w, h = np.reshape(boxes, (-1, 4)).T
  inside = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
  if not inside.all():
    _LOG.warning(
      "%s: %d of %d boxes lie beside its %d x %d px and are left out",
      picture.name, (~inside).sum(), len(inside), width, height,
    )  # fmt: skip
  return boxes[inside], scores[inside]


def _without_duplicates(pose, people, nms) -> People:
  """Returns the people to keep, best first."""
  if not people:
    return people
  scores = coco.rescore(people.box_scores, people.scores)
  if nms == "none":
    index = np.argsort(-scores, kind="stable")
  else:
    scales = [pose.convention.crop_from_box(p.bbox)[1] for p in people]
    areas = np.array([scale.prod() for scale in scales])  # padded boxes, px²
    sigmas = people.skeleton.sigmas
    # Its default is the limit of COCO's evaluation.
    options = {"max_people": len(people)} if nms == "soft" else {}
    index = oks_nms.METHODS[nms](
      people.keypoints, scores, areas, sigmas, **options
    )
  return People([people[int(i)] for i in index], people.image)


def track_people(
  stream: Iterable[PicturePeople], tracker: tracks.Tracker
) -> Iterator[PicturePeople]:
  """Gives a video's people the ids of their tracks."""
  for frame in stream:
    people, seconds = frame.people, frame.picture.seconds
    ids = tracker.update(people.boxes, people.box_scores, seconds)
    tracked = [
      dataclasses.replace(person, track_id=track_id)
      for person, track_id in zip(people, ids, strict=True)
    ]
    yield frame._replace(people=People(tracked, people.image, people.skeleton))


def smooth_people(
  pose: Pose,
  stream: Iterable[PicturePeople],
  settings: smoothing.OneEuro,
  rate: float | None = None,
) -> Iterator[PicturePeople]:
  """Smooths the keypoints of a video's people along their tracks.

  `rate` is the video's, as for `tracks.max_gap`.
  """
  smoother = smoothing.Smoother(settings, rate)
  for frame in stream:
    people = frame.people
    if not people:
      yield frame
      continue
    covariances = people.covariances
    keypoints = smoother.update(
      [person.track_id for person in people],
      people.keypoints,
      frame.picture.seconds,
      peak_widths=np.array([pose.peak_width(bbox) for bbox in people.boxes]),
      # Decoders without covariances get the plain filter.
      covariances=covariances if np.isfinite(covariances).any() else None,
    )
    smoothed = [
      dataclasses.replace(person, keypoints_image=points.astype(np.float32))
      for person, points in zip(people, keypoints, strict=True)
    ]
    yield frame._replace(people=People(smoothed, people.image))

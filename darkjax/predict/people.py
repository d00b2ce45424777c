"""People of a stream of pictures: prediction, duplicates, smoothing."""

import collections
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.inference import boxes as boxes_lib
from darkjax.inference.people import Person, stack
from darkjax.inference.pose import Pose
from darkjax.metrics import coco, oks_nms
from darkjax.predict import smoothing
from darkjax.predict.inputs import BoxesById, Picture

_LOG = logging.getLogger(__name__)


class PicturePeople(NamedTuple):
  """The N people of one picture, duplicates removed."""

  picture: Picture
  people: Sequence[Person]
  box_scores: np.ndarray  # [N] of the detector, 1 where it gave none
  box_areas: np.ndarray  # [N] of the padded boxes, px²
  numbers: np.ndarray  # [N] index in the picture, or smoothed, of the track
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

  for people in pose.stream(with_boxes()):
    picture, box_scores = waiting.popleft()
    if box_scores is None:
      box_scores = np.array([person.box_score for person in people])
    scales = [pose.convention.crop_from_box(p.bbox)[1] for p in people]
    areas = np.array([scale.prod() for scale in scales])
    index = _without_duplicates(pose, people, box_scores, areas, nms)
    yield PicturePeople(
      picture,
      [people[i] for i in index],
      box_scores[index],
      areas[index],
      np.arange(len(index)),
      len(people),
    )


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


def _without_duplicates(pose, people, box_scores, areas, nms) -> np.ndarray:
  """Returns the indices of the people to keep, best first."""
  if not people:
    return np.arange(0)
  scores = coco.rescore(box_scores, stack(people, "scores"))
  if nms == "none":
    return np.argsort(-scores, kind="stable")
  keypoints = stack(people, "keypoints_image")
  sigmas = pose.convention.skeleton.sigmas
  return np.asarray(oks_nms.METHODS[nms](keypoints, scores, areas, sigmas), int)


def smooth_people(
  pose: Pose, stream: Iterable[PicturePeople], settings: smoothing.OneEuro
) -> Iterator[PicturePeople]:
  """Smooths the keypoints of a video's people and numbers them by their tracks.

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
    boxes = stack(frame.people, "bbox")
    covariances = stack(frame.people, "covariances")
    keypoints, numbers = tracks.update(
      boxes,
      stack(frame.people, "keypoints_image"),
      frame.picture.seconds,
      peak_widths=np.array([pose.peak_width(bbox) for bbox in boxes]),
      # Decoders without covariances get the plain filter.
      covariances=covariances if np.isfinite(covariances).any() else None,
    )
    people = [
      dataclasses.replace(person, keypoints_image=points.astype(np.float32))
      for person, points in zip(frame.people, keypoints, strict=True)
    ]
    yield frame._replace(people=people, numbers=numbers)

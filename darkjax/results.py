"""What `predict` writes: a COCO results json, a csv, overlays."""

import contextlib
import csv
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from darkjax import frames as frames_lib
from darkjax.metrics import coco
from darkjax.people import People, Person
from darkjax.skeletons import Skeleton

CSV_COLUMNS = (
  "file_name",
  "image_id",
  "seconds",
  "person",
  "keypoint",
  "x",
  "y",
  "score",
  "var_x",
  "cov_xy",
  "var_y",
)


class Found(NamedTuple):
  """The N people of one picture.

  Attributes:
    frame: the picture.
    people: N of them.
    box_scores: [N] of the detector, 1 where it gave none.
    box_areas: [N] of the padded boxes, px².
    numbers: [N] what tells people apart: the index in the picture, or the
      number of the track in a smoothed video.
  """

  frame: frames_lib.Frame
  people: Sequence[Person]
  box_scores: np.ndarray
  box_areas: np.ndarray
  numbers: np.ndarray

  def keypoints(self) -> np.ndarray:
    """[N, K, 2], image px."""
    return np.stack([person.keypoints_image for person in self.people])

  def keypoint_scores(self) -> np.ndarray:
    """[N, K]."""
    return np.stack([person.scores for person in self.people])

  def covariances(self) -> np.ndarray:
    """[N, K, 2, 2], image px²."""
    return np.stack([person.covariances for person in self.people])

  def take(self, indices: Sequence[int]) -> "Found":
    """Those people only, in that order."""
    indices = np.asarray(indices, int)
    return Found(
      self.frame,
      [self.people[i] for i in indices],
      self.box_scores[indices],
      self.box_areas[indices],
      self.numbers[indices],
    )


def to_coco(found: Found, skeleton: Skeleton) -> list[dict[str, Any]]:
  """COCO results of one picture, best first; duplicates stay.

  The format of COCO's server, and `file_name` besides.
  """
  if not found.people:
    return []
  predictions = coco.Predictions(
    image_ids=np.full(len(found.people), found.frame.image_id),
    keypoints=found.keypoints(),
    keypoint_scores=found.keypoint_scores(),
    box_scores=found.box_scores,
    box_areas=found.box_areas,
  )
  records = coco.to_results(
    predictions, category_id=1, sigmas=skeleton.sigmas, nms="none"
  )
  return [record | {"file_name": found.frame.name} for record in records]


@contextlib.contextmanager
def json_writer(
  path: pathlib.Path,
) -> Iterator[Callable[[Sequence[Any]], None]]:
  """Writes a json list piece by piece, so that it never lies in memory.

  Args:
    path: of the file.

  Yields:
    A function that appends records; the list is closed on leaving, after an
    error too.
  """
  with path.open("w") as file:
    separator = "[\n"

    def append(records: Sequence[Any]) -> None:
      nonlocal separator
      for record in records:
        file.write(separator + json.dumps(record))
        separator = ",\n"

    try:
      yield append
    finally:
      file.write("[]\n" if separator == "[\n" else "\n]\n")


@contextlib.contextmanager
def csv_writer(path: pathlib.Path) -> Iterator[Callable[[Found], None]]:
  """Writes a csv with one line per keypoint and the columns `CSV_COLUMNS`.

  Coordinates are image px, (co)variances px², empty where there are none.

  Args:
    path: of the file.

  Yields:
    A function that appends the people of a picture.
  """
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    yield lambda found: writer.writerows(_lines(found))


def _lines(found: Found) -> Iterator[list[str]]:
  frame = found.frame
  picture = [frame.name, frame.image_id, _number(frame.seconds)]
  for number, person in zip(found.numbers, found.people, strict=True):
    for k, name in enumerate(person.names):
      (xx, xy), (_, yy) = person.covariances[k]
      numbers = [*person.keypoints_image[k], person.scores[k], xx, xy, yy]
      yield [*picture, number, name, *map(_number, numbers)]


def _number(value: float) -> str:
  return f"{value:.6g}" if np.isfinite(value) else ""


def overlay(
  found: Found, *, min_score: float, uncertainty: bool
) -> PIL.Image.Image:
  """The picture with its people drawn, see `People.plot`."""
  people = People(found.people, found.frame.pixels)
  return people.plot(min_score=min_score, uncertainty=uncertainty)


def overlay_path(out: pathlib.Path, name: str) -> pathlib.Path:
  """JPEG and PNG keep their name; .png is added to that of other files."""
  kept = pathlib.Path(name).suffix.lower() in (".jpg", ".jpeg", ".png")
  return out / (name if kept else f"{name}.png")

"""What `predict` writes: a COCO results json, a csv, overlays."""

import contextlib
import csv
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import PIL.Image
from tqdm import tqdm

from darkjax.inference.people import People, Person
from darkjax.metrics import coco
from darkjax.predict import frames as frames_lib
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
  """The N people of one picture, duplicates removed.

  Attributes:
    frame: the picture.
    people: N of them.
    box_scores: [N] of the detector, 1 where it gave none.
    box_areas: [N] of the padded boxes, px².
    numbers: [N] what tells people apart: the index in the picture, or the
      number of the track in a smoothed video.
    num_boxes: how many boxes were searched, duplicates included.
  """

  frame: frames_lib.Frame
  people: Sequence[Person]
  box_scores: np.ndarray
  box_areas: np.ndarray
  numbers: np.ndarray
  num_boxes: int

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
    return self._replace(
      people=[self.people[i] for i in indices],
      box_scores=self.box_scores[indices],
      box_areas=self.box_areas[indices],
      numbers=self.numbers[indices],
    )


def to_coco(
  found: Found, skeleton: Skeleton, category_id: int = 1
) -> list[dict[str, Any]]:
  """COCO results of one picture, best first.

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
    predictions, category_id, sigmas=skeleton.sigmas, nms="none"
  )
  return [record | {"file_name": found.frame.name} for record in records]


@contextlib.contextmanager
def _whole_file(path: pathlib.Path, **options) -> Iterator[IO[str]]:
  """A file to write that is called PATH.part until it is whole."""
  part = path.with_name(f"{path.name}.part")
  with part.open("w", **options) as file:
    yield file
  part.replace(path)


@contextlib.contextmanager
def json_writer(
  path: pathlib.Path,
) -> Iterator[Callable[[Sequence[Any]], None]]:
  """Writes a json list piece by piece, so that it never lies in memory.

  Args:
    path: of the file.

  Yields:
    A function that appends records. After an error the list is closed too, but
    lies in PATH.part, and an older file stays.
  """
  with _whole_file(path) as file:
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
    A function that appends the people of a picture. After an error they lie in
    PATH.part, and an older file stays.
  """
  with _whole_file(path, newline="") as file:
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


class Written(NamedTuple):
  """What a run wrote.

  Attributes:
    pictures: how many.
    without_box: how many of them had none, so that nobody was searched.
    boxes: how many were searched.
    people: how many are left without the duplicates.
    interrupted: Ctrl-C ended it.
  """

  pictures: int = 0
  without_box: int = 0
  boxes: int = 0
  people: int = 0
  interrupted: bool = False

  def plus(self, found: Found) -> "Written":
    """With one picture more."""
    return Written(
      self.pictures + 1,
      self.without_box + (found.num_boxes == 0),
      self.boxes + found.num_boxes,
      self.people + len(found.people),
    )

  def describe(self) -> str:
    """One line for the log."""
    return (
      f"{self.people} people in {self.pictures} pictures "
      f"({self.without_box} without a box); of {self.boxes} boxes "
      f"{self.boxes - self.people} were duplicates"
    )


def write_all(
  found: Iterable[Found],
  out: pathlib.Path,
  skeleton: Skeleton,
  *,
  category_id: int = 1,
  video: tuple[str, float] | None = None,
  draw: Callable[[Found], PIL.Image.Image] | None = None,
  total: int | None = None,
) -> Written:
  """Writes what is found as it comes, with a progress bar of people/s.

  Args:
    found: the people of each picture; an interrupt (Ctrl-C) ends it.
    out: folder of results.json, results.csv and the overlays. Both files are
      called .part until they are whole: after an error older ones stay.
    skeleton: the people's.
    category_id: of the people in results.json.
    video: name without suffix and frames/s of the overlay video; None writes a
      picture per frame.
    draw: makes an overlay; None writes none.
    total: number of people, if known.

  Returns:
    How much was written.
  """
  written = Written()
  with (
    _writers(out, skeleton, category_id, video, draw) as write,
    tqdm(total=total, unit="people", disable=None, dynamic_ncols=True) as bar,
  ):
    try:
      for frame in found:
        write(frame)
        written = written.plus(frame)
        bar.update(len(frame.people))
    except KeyboardInterrupt:  # how a webcam ends
      written = written._replace(interrupted=True)
  return written


@contextlib.contextmanager
def _writers(out, skeleton, category_id, video, draw):
  """Yields a function that writes one picture's people to all outputs."""
  out.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    append = stack.enter_context(json_writer(out / "results.json"))
    add_lines = stack.enter_context(csv_writer(out / "results.csv"))
    add_frame = None
    if draw and video:
      name, rate = video
      add_frame = stack.enter_context(
        frames_lib.video_writer(out / f"{name}.mp4", rate)
      )

    def write(found: Found) -> None:
      # The slow part first: an interrupt then leaves no half-counted picture.
      if add_frame:
        add_frame(np.asarray(draw(found)))
      elif draw:
        path = overlay_path(out, found.frame.name)
        draw(found).save(path, quality=92)
      add_lines(found)
      append(to_coco(found, skeleton, category_id))

    yield write

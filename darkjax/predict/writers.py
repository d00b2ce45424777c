"""Outputs of `predict`: results in COCO's json, a csv, overlays."""

import contextlib
import csv
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import PIL.Image
from tqdm import tqdm

from darkjax.inference import results
from darkjax.metrics import coco
from darkjax.predict import folders
from darkjax.predict import video as video_lib
from darkjax.predict.people import PicturePeople
from darkjax.runtime import files
from darkjax.viz import picture_file

RESULTS = "results.json"
CSV_COLUMNS = ("file_name", "image_id", "seconds", *results.TABLE_COLUMNS)


def to_coco(
  one: PicturePeople, category_id: int | str = 1
) -> list[dict[str, Any]]:
  """Returns one picture's results for COCO's server, best first.

  Each has `file_name` and `box_score`, the detector's, besides, and `track_id`
  where the person has one.
  """
  people = one.people
  records = people.to_coco(one.picture.image_id, category_id)
  best_first = np.argsort(
    -coco.rescore(people.box_scores, people.scores), kind="stable"
  )
  for record, n in zip(records, best_first, strict=True):
    person = people[int(n)]
    record["file_name"] = one.picture.name
    record["box_score"] = float(person.box_score)
    if person.track_id is not None:
      record["track_id"] = person.track_id
  return records


@contextlib.contextmanager
def _open_part(path: pathlib.Path, **options) -> Iterator[IO[str]]:
  """Opens PATH.part, renamed to PATH at the end, but not after an error."""
  part = path.with_name(f"{path.name}.part")
  # Names of files may hold what is no text.
  with part.open(
    "w", encoding="utf-8", errors="backslashreplace", **options
  ) as file:
    yield file
  part.replace(path)


@contextlib.contextmanager
def _json_writer(path: pathlib.Path) -> Iterator[Callable[..., None]]:
  """Yields a function that appends records to a json list on the disk."""
  with _open_part(path) as file:
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
def _csv_writer(path: pathlib.Path) -> Iterator[Callable[..., None]]:
  """Yields a function that appends a line for each keypoint of a picture.

  Cells are empty where there is no number, see `results.TABLE_COLUMNS`.
  """
  with _open_part(path, newline="") as file:
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    yield lambda one: writer.writerows(_lines(one))


def _lines(one: PicturePeople) -> Iterator[list[Any]]:
  name, image_id, seconds, _ = one.picture
  # Six digits would not tell the frames of a long video apart.
  time = f"{seconds:.6f}" if math.isfinite(seconds) else ""
  for row in results.table_rows(one.people):
    yield [name, image_id, time, *results.to_csv_cells(row)]


class Counts(NamedTuple):
  """Numbers of what a run wrote."""

  pictures: int = 0
  without_box: int = 0  # pictures
  boxes: int = 0
  people: int = 0  # without duplicates
  interrupted: bool = False  # by Ctrl-C

  def describe(self) -> str:
    """Returns one line for the log."""
    return (
      f"{self.people} people in {self.pictures} pictures "
      f"({self.without_box} without a box); of {self.boxes} boxes "
      f"{self.boxes - self.people} were duplicates"
    )


def write_all(
  stream: Iterable[PicturePeople],
  out: pathlib.Path,
  *,
  category_id: int | str = 1,
  video: tuple[str, float] | None = None,
  draw: Callable[[PicturePeople], PIL.Image.Image] | None = None,
  total: int | None = None,
) -> Counts:
  """Writes people as they are predicted, with a progress bar of people/s.

  results.json and results.csv are named .part until they are complete: after an
  error older ones stay. Ctrl-C ends the stream, as webcams have no end.

  Args:
    stream: the people of each picture.
    out: folder of all files.
    category_id: of the people in results.json.
    video: name and mean frames/s of the overlay video; None for pictures.
    draw: makes an overlay; None writes none.
    total: number of people.
  """
  counts = Counts()
  out.mkdir(parents=True, exist_ok=True)
  with (
    files.explain_full_disk(out),
    _json_writer(out / RESULTS) as append_records,
    _csv_writer(out / "results.csv") as append_lines,
    _overlay_writer(out, video, draw) as write_overlay,
    tqdm(total=total, unit="people", disable=None, dynamic_ncols=True) as bar,
  ):
    try:
      for one in stream:
        # The slow part first: an interrupt then leaves no half-counted picture.
        write_overlay(one)
        append_lines(one)
        append_records(to_coco(one, category_id))
        counts = Counts(
          counts.pictures + 1,
          counts.without_box + (one.num_boxes == 0),
          counts.boxes + one.num_boxes,
          counts.people + len(one.people),
        )
        bar.update(len(one.people))
    except KeyboardInterrupt:
      counts = counts._replace(interrupted=True)
  return counts


@contextlib.contextmanager
def _overlay_writer(out, video, draw) -> Iterator[Callable]:
  """Yields a function that draws and writes one picture's overlay."""
  if draw is None:
    yield lambda one: None
  elif video is None:
    yield lambda one: picture_file.save(
      draw(one), folders.overlay_path(out, one.picture.name)
    )
  else:
    name, rate = video
    with video_lib.open_writer(out / f"{name}.mp4", rate) as write_frame:
      yield lambda one: write_frame(np.asarray(draw(one)), one.picture.seconds)

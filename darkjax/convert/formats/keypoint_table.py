"""Tables of keypoints, a row for each image, as DeepLabCut invented them.

The head has a row each of scorers, individuals (in projects of several
animals), bodyparts and coordinates. The image of a row is one path or, in newer
versions, three cells: labeled-data, video, file. An empty cell is a point that
is not labelled; hidden points are not marked. Bodyparts of the individual
"single" are those that exist once beside the individuals: a category of their
own.

DeepLabCut's labels are clicked on axes of matplotlib or napari, on which an
integer is the centre of a pixel, as here. lightning-pose does not say; numbers
are taken as they are.
"""

import csv
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  VISIBLE,
  Category,
  Image,
  Person,
  keypoint_row,
)
from darkjax.convert.project import Project

NAME, SINGLE = "animal", "single"
_HEAD = ("scorer", "individuals", "bodyparts", "coords")


class Column(NamedTuple):
  """One column of numbers."""

  individual: str  # "" in projects of one animal
  bodypart: str
  coordinate: str  # "x" or "y"


class Table(NamedTuple):
  """A file of labels."""

  path: pathlib.Path
  columns: Sequence[Column]
  images: Sequence[str]  # names, with / between their parts
  values: np.ndarray  # [rows, columns], px, NaN where not labelled
  split: str = ""


def head(path: pathlib.Path) -> list[list[str]]:
  """Returns the head's rows of a csv, [] if it is another file."""
  rows = []
  try:
    with path.open(newline="", encoding="utf-8-sig") as file:
      for row in csv.reader(file):
        if not row or row[0] not in _HEAD:
          break
        rows.append(row)
  except (OSError, UnicodeDecodeError, csv.Error):
    return []
  names = [row[0] for row in rows]
  full = [name for name in _HEAD if name != "individuals" or name in names]
  return rows if names == full else []


def describe(path: pathlib.Path) -> str:
  """Returns why a file is no table, in brackets, "" if that is not known."""
  start = path.read_bytes()[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
  if not start:
    return " (an empty file)"
  if start.startswith(tuple(f"{name};".encode() for name in _HEAD)):
    return " (separated by ; as spreadsheets save it: use commas)"
  if start.startswith(tuple(f"{name},".encode() for name in _HEAD)):
    try:
      path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
      byte = f"byte {error.object[error.start]:#x} at {error.start}"
      return f" (not in UTF-8, {byte}: save it as CSV UTF-8)"
  return ""


def read_csv(path: pathlib.Path) -> Table:
  """Reads a csv.

  Raises:
    ValueError: another file, or a cell that is no number.
  """
  top, problem = head(path), describe(path)
  if problem or not top:
    raise ValueError(
      f"{path}{problem}: expected rows {', '.join(_HEAD)} at the top "
      "(individuals only in projects of several animals), as DeepLabCut and "
      "lightning-pose write"
    )
  if len({len(row) for row in top}) > 1:
    lengths = {row[0]: len(row) for row in top}
    raise ValueError(f"{path}: rows of different lengths at the top: {lengths}")
  names = {row[0]: row for row in top}
  with path.open(newline="", encoding="utf-8-sig") as file:
    rows = [row for row in csv.reader(file) if any(row)][len(top) :]
  coords = names["coords"]
  first = coords.index("x") if "x" in coords else len(coords)
  individuals = names.get("individuals", [""] * len(coords))
  cells = zip(individuals, names["bodyparts"], coords, strict=True)
  columns = [Column(*map(str.strip, cell)) for cell in [*cells][first:]]
  images, values = [], []
  for number, row in enumerate(rows, start=len(top) + 1):
    images.append("/".join(row[:first]).replace("\\", "/"))
    values.append(_numbers(row[first:], len(columns), f"{path}: row {number}"))
  return _checked(
    Table(path, columns, images, np.reshape(values, (-1, len(columns))))
  )


def from_frame(
  path: pathlib.Path,
  columns: Sequence[tuple[str, ...]],
  images: Sequence[str],
  values: np.ndarray,
) -> Table:
  """Returns the table of a DataFrame, whose columns have all levels."""
  if len({len(column) for column in columns} - {3, 4}) or not columns:
    raise ValueError(
      f"{path}: expected columns of 3 or 4 levels, got {columns}"
    )
  # The first level is the scorer.
  named = [
    Column(*map(str.strip, ("", *column[1:])[-3:])) for column in columns
  ]
  images = [name.replace("\\", "/") for name in images]
  return _checked(Table(path, named, images, values))


def _numbers(cells: Sequence[str], width: int, name: str) -> list[float]:
  try:
    numbers = [float(cell) if cell.strip() else np.nan for cell in cells]
  except ValueError as error:
    raise ValueError(f"{name}: {error}; a cell is a number or empty") from error
  if len(numbers) != width:
    raise ValueError(
      f"{name} has {len(numbers)} cells of coordinates, the head {width}"
    )
  return numbers


def _checked(table: Table) -> Table:
  kinds = {column.coordinate for column in table.columns}
  if "likelihood" in kinds:
    raise ValueError(
      f"{table.path}: has likelihoods, so it is what a network predicted; give "
      "the labels, CollectedData*.csv"
    )
  if kinds != {"x", "y"}:
    raise ValueError(f"{table.path}: expected coords x and y, got {kinds}")
  if len({*table.columns}) < len(table.columns):
    raise ValueError(
      f"{table.path}: several columns for one coordinate; give the labels of "
      "one scorer"
    )
  if not all("." in pathlib.PurePosixPath(n).name for n in table.images):
    raise ValueError(
      f"{table.path}: expected the name of an image in each row, got "
      f"{next(iter(table.images), None)!r}; frames of a video have no labels"
    )
  return table


def categories(
  tables: Sequence[Table], limbs: Sequence[tuple[str, str]] = ()
) -> dict[str, Category]:
  """Returns the category of each individual, "" for the only one.

  All but "single" have the same bodyparts: in the order of the files.
  """
  bodyparts: dict[str, dict[str, None]] = {}
  individuals: dict[str, None] = {}
  for column in (column for table in tables for column in table.columns):
    individuals[column.individual] = None
    kind = SINGLE if column.individual == SINGLE else NAME
    bodyparts.setdefault(kind, {})[column.bodypart] = None
  kinds = {}
  for kind, names in bodyparts.items():
    order = tuple(names)
    pairs = [(a, b) for a, b in limbs if a in names and b in names]
    indices = tuple((order.index(a), order.index(b)) for a, b in pairs)
    kinds[kind] = Category(kind, order, indices)
  return {i: kinds[SINGLE if i == SINGLE else NAME] for i in individuals}


def read_images(
  project: Project,
  tables: Sequence[Table],
  folders: Iterable[pathlib.Path],
  limbs: Sequence[tuple[str, str]] = (),
) -> list[Image]:
  """Returns the images of tables, below some folders, with their people."""
  individuals = categories(tables, limbs)
  found = project.find_images(*folders)
  images = [
    image
    for table in tables
    for image in _find_images(table, individuals, found)
  ]
  found.check_found(project.source, len(images))
  return images


def _find_images(
  table: Table, individuals: Mapping[str, Category], found: ImageFiles
) -> Iterator[Image]:
  seen = set()
  folders = {pathlib.PurePosixPath(name).parent for name in table.images}
  near = pathlib.Path(os.path.abspath(table.path)).parent
  for name, values in zip(table.images, table.values, strict=True):
    if name in seen:
      found.left_out["rows of an image that has one already"] += 1
      continue
    seen.add(name)
    names = [name]
    if len(folders) == 1:  # that of the video may have another name now
      names.append(str(near / pathlib.PurePosixPath(name).name))
    image = found.open(*names)
    if image is not None:
      image.people = _people(table.columns, values, individuals)
      image.split = table.split
      yield image


def _people(
  columns: Sequence[Column],
  values: np.ndarray,
  individuals: Mapping[str, Category],
) -> list[Person]:
  cells = dict(zip(columns, values.tolist(), strict=True))
  people = []
  for individual, category in individuals.items():
    rows = [
      keypoint_row(
        cells.get(Column(individual, bodypart, "x"), np.nan),
        cells.get(Column(individual, bodypart, "y"), np.nan),
        VISIBLE,
      )
      for bodypart in category.keypoints
    ]
    keypoints = np.array(rows)
    if keypoints.any():
      people.append(Person(category, keypoints))
  return people

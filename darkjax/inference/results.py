"""Forms in which `People` are handed on: json, tables, supervision's, files.

The extra `results` brings pandas and supervision; the rest needs neither.
"""

import csv
import dataclasses
import io
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from darkjax.runtime import extras, files
from darkjax.viz import picture_file

People = Any  # of people.py, which imports this module

# Lengths are image px, (co)variances px²; what there is not is nan, or None for
# a track. Boxes are those of the person, (x, y) their top left corner.
TABLE_COLUMNS = (
  *("person", "track_id", "keypoint", "x", "y", "score"),
  *("var_x", "cov_xy", "var_y"),
  *("box_x", "box_y", "box_width", "box_height", "box_score"),
  *("probability", "error"),
)
_TYPES = {"person": "int64", "track_id": "Int64", "keypoint": "str"}


def table_rows(people: People) -> Iterator[list[Any]]:
  """Yields a row of `TABLE_COLUMNS` for each keypoint of each person."""
  for n, person in enumerate(people):
    nothing = np.full(len(person.scores), np.nan)
    probabilities, errors = person.probabilities, person.errors
    columns = zip(
      person.names,
      person.keypoints_image,
      person.scores,
      person.covariances,
      nothing if probabilities is None else probabilities,
      nothing if errors is None else errors,
      strict=True,
    )
    for name, (x, y), score, ((xx, xy), (_, yy)), probability, error in columns:
      box = [*person.bbox, person.box_score]
      place = [n, person.track_id, name, x, y, score, xx, xy, yy]
      yield [*place, *box, probability, error]


def to_csv_cells(row: list[Any]) -> list[Any]:
  """Returns a row as csv holds it: six digits, empty for nan and None."""
  return [
    _six_digits(cell) if isinstance(cell, float | np.floating) else cell
    for cell in row
  ]


def _six_digits(value: Any) -> str:
  return f"{value:.6g}" if np.isfinite(value) else ""


def to_json(people: People) -> str:
  """Returns people as json text, with null in place of nan.

  {"keypoint_names": [K names], "people": [{"box": [x, y, w, h], "box_score",
  "track_id", "keypoints": [K (x, y)], "scores": [K], "covariances": [K 2x2]}]},
  and with a calibration "probabilities": [K] and "errors": [K]. Lengths are
  image px; numbers have the digits of float32.
  """
  records = []
  for person in people:
    arrays = {
      "keypoints": person.keypoints_image,
      "scores": person.scores,
      "covariances": person.covariances,
      "probabilities": person.probabilities,
      "errors": person.errors,
    }
    record = {
      "box": np.asarray(person.bbox, np.float64).tolist(),
      "box_score": float(person.box_score),
      "track_id": person.track_id,
    }
    records.append(
      record | {name: _plain(a) for name, a in arrays.items() if a is not None}
    )
  content = {"keypoint_names": list(people.names), "people": records}
  return json.dumps(content, allow_nan=False)


def _plain(array: Any) -> Any:
  """Nested lists of the shortest numbers that are the same float32."""
  if np.ndim(array):
    return [_plain(row) for row in array]
  return float(str(np.float32(array))) if np.isfinite(array) else None


def to_pandas(people: People) -> Any:
  """Returns a `pandas.DataFrame` with a row per keypoint and person.

  Its columns are `TABLE_COLUMNS`; `person` counts from 0.

  Raises:
    ImportError: pandas is not installed.
  """
  pandas = extras.load("pandas", extra="results", purpose="to_pandas()")
  types = {name: _TYPES.get(name, "float64") for name in TABLE_COLUMNS}
  frame = pandas.DataFrame(table_rows(people), columns=list(TABLE_COLUMNS))
  return frame.astype(types)


def to_supervision(people: People, *, min_score: float) -> Any:
  """Returns `supervision.KeyPoints` of supervision 0.29 or later.

  `xy` are the keypoints, `keypoint_confidence` their scores,
  `detection_confidence` the boxes', `class_id` 0. `data` has "covariance"
  [N, K, 2, 2] image px², which `VertexEllipseAreaAnnotator` draws, "xyxy"
  [N, 4], the corners of the boxes, and for a video "tracker_id" [N].

  Args:
    people: N people.
    min_score: keypoints with lower scores are not `visible`.

  Raises:
    ImportError: supervision is not installed, or too old.
  """
  supervision = extras.load(
    "supervision", extra="results", purpose="to_supervision()"
  )
  known = {field.name for field in dataclasses.fields(supervision.KeyPoints)}
  if "keypoint_confidence" not in known:
    raise ImportError(
      "to_supervision() needs supervision 0.29 or later, got "
      f"{supervision.__version__}: pip install -U 'darkjax[results]'"
    )
  boxes, tracks = people.boxes, people.track_ids
  corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], -1)
  data = {"covariance": people.covariances, "xyxy": corners.astype(np.float32)}
  if tracks is not None:
    data["tracker_id"] = tracks
  return supervision.KeyPoints(
    xy=people.keypoints,
    keypoint_confidence=people.scores,
    detection_confidence=people.box_scores.astype(np.float32),
    visible=people.scores >= min_score,
    class_id=np.zeros(len(people), int),
    data=data,
  )


def save(people: People, path: str | os.PathLike[str], **options: Any) -> None:
  """See `People.save`; the file is complete or as before."""
  path = pathlib.Path(path)
  suffix = path.suffix.lower()
  if suffix in picture_file.SUFFIXES:
    picture_file.save(people.plot(**options), path)
  elif suffix == ".json" and not options:
    files.write_whole(path, people.to_json().encode())
  elif suffix == ".csv" and not options:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(TABLE_COLUMNS)
    writer.writerows(map(to_csv_cells, table_rows(people)))
    files.write_whole(path, text.getvalue().encode())
  else:
    raise ValueError(
      "people are saved as .json, .csv, or with options of plot() as "
      f"{', '.join(picture_file.SUFFIXES)}, got {path} with options {options}"
    )

"""What one process does: it holds a `Pose` and predicts shard after shard."""

import io
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pyarrow as pa

from darkjax.data.images import bad_file, photo
from darkjax.inference.detectors import options
from darkjax.inference.detectors.load import from_flags
from darkjax.inference.people import People
from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor
from darkjax.metrics import coco
from darkjax.predict.inputs import Picture
from darkjax.predict.many import shards
from darkjax.predict.many.shards import Shard
from darkjax.predict.people import predict_people

_FLOATS = pa.list_(pa.float32())
# A row of results is a photograph. Lengths are px of the photograph upright.
_PERSON = pa.struct(
  {
    "bbox": _FLOATS,  # x, y, width, height
    "box_score": pa.float32(),
    "score": pa.float32(),  # of the person, as in COCO's results
    "keypoints": _FLOATS,  # K times x, y, score
    "covariances": _FLOATS,  # K times xx, xy, yy, px²; nan where there is none
  }
)
SCHEMA = pa.schema(
  {
    "path": pa.string(),
    "error": pa.string(),  # why it could not be read, else null
    "height": pa.int32(),
    "width": pa.int32(),
    "people": pa.list_(_PERSON),  # best first, duplicates removed
  }
)


class Settings(NamedTuple):
  """Flags of the command that results depend on."""

  checkpoint: str
  detector: str | None
  min_box_score: float | None
  method: str | None
  border: str
  flip_test: bool
  nms: str
  batch_size: int

  def absolute(self) -> "Settings":
    """Returns settings that are the same in every working folder.

    Names that are no files, as of the hub or torchvision, stay as they are.
    """
    checkpoint, detector = self.checkpoint, self.detector
    if os.path.exists(checkpoint):
      checkpoint = os.path.abspath(checkpoint)
    if detector and os.path.exists(options.split(detector)[0]):
      detector = os.path.abspath(detector)
    return self._replace(checkpoint=checkpoint, detector=detector)

  def load(self) -> Pose:
    """Reads the network and the detector."""
    predictor = Predictor.from_checkpoint(
      self.checkpoint,
      method=self.method,
      border=self.border,
      flip_test=self.flip_test,
    )
    detector = from_flags(self.detector, self.min_box_score)
    return Pose(predictor, detector=detector, batch_size=self.batch_size)


class Worker:
  """Predicts shards and writes their results into a folder."""

  def __init__(self, settings: Settings, folder: pathlib.Path):
    """Loads the network, which compiles with the first shard."""
    self._pose = settings.load()
    self._nms = settings.nms
    self._folder = folder
    self._metadata = {
      "darkjax": json.dumps(
        {
          **settings._asdict(),
          "keypoints": self._pose.convention.skeleton.keypoint_names,
          "convention": self._pose.convention.describe(),
        }
      )
    }

  def __call__(self, row: dict[str, Any]) -> dict[str, int]:
    """Predicts a shard, given by its fields and `number`, its position.

    Returns:
      The numbers of photographs, people and errors.
    """
    number = row.pop("number")
    shard = Shard(**row)
    rows: list[dict[str, Any]] = []
    pictures = _read(shard, rows)
    for found in predict_people(self._pose, pictures, nms=self._nms):
      rows[int(found.picture.image_id)]["people"] = _people(found.people)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = table.replace_schema_metadata(self._metadata)
    shards.write(self._folder, int(number), table)
    return {
      "photographs": len(rows),
      "people": sum(len(row["people"]) for row in rows),
      "errors": sum(row["error"] is not None for row in rows),
    }


def _read(shard: Shard, rows: list[dict[str, Any]]) -> Iterator[Picture]:
  """Yields the photographs that can be read; appends a row for every one."""
  for n, (name, image) in enumerate(shards.read(shard)):
    row: dict[str, Any] = {"path": _text(name), "people": []}
    rows.append(row)
    try:
      pixels = _pixels(image, name)
    except (OSError, ValueError) as error:
      row["error"] = _text(error)
      continue
    row["error"] = None
    row["height"], row["width"] = pixels.shape[:2]
    yield Picture(name, n, float("nan"), pixels)


def _text(value: Any) -> str:
  """Returns text that Parquet takes: names of files may hold what is none."""
  return str(value).encode(errors="backslashreplace").decode()


def _pixels(image: str | bytes, name: str) -> np.ndarray:
  if isinstance(image, str):
    return photo.read(image)
  if bad_file.is_heif(image[:12]):
    photo.register_heif()
  with photo.decoding(name):
    opened = PIL.Image.open(io.BytesIO(image))
  return photo.pixels(opened, name=name)


def _people(people: People) -> list[dict[str, Any]]:
  scored = np.concatenate([people.keypoints, people.scores[..., None]], -1)
  covariances = people.covariances[..., [0, 0, 1], [0, 1, 1]]
  scores = coco.rescore(people.box_scores, people.scores)
  return [
    {
      "bbox": people.boxes[i],
      "box_score": people.box_scores[i],
      "score": scores[i],
      "keypoints": scored[i].ravel(),
      "covariances": covariances[i].ravel(),
    }
    for i in range(len(people))
  ]

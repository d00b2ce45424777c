"""A data set that is ready to read: its records and the table of its people.

Records are TFDS ArrayRecords, one per image, read at random positions. The
table holds everything about the people except pixels (about 300 bytes each with
17 keypoints), so that shuffling, resuming and sharding never read an image.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from darkjax import skeletons
from darkjax.data.people_table import (
  GT_BOXES,
  Images,
  People,
  Table,
  concatenate,
)
from darkjax.runtime import files

SPLIT = "images"


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
  """A prepared data set.

  Attributes:
    annotations: the file it was made from; metrics read it.
    skeleton: the keypoints.
    category_ids: what the people are of, in that file; the first is written
      into results.
    builder: the TFDS builder; its only split is `SPLIT`.
    people: the trainable people (see `People.trainable`), or the detected
      boxes, without any keypoint labelled.
    box_source: where the boxes come from: "gt_boxes" | "detections".
    labels_digest: `digests.digest` of the json that the records were made from.
  """

  annotations: pathlib.Path
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...]
  builder: tfds.core.DatasetBuilder
  people: People
  labels_digest: str
  box_source: str = GT_BOXES

  @property
  def num_images(self) -> int:
    """Images in the records."""
    return self.builder.info.splits[SPLIT].num_examples

  @property
  def num_people(self) -> int:
    """Trainable people, or boxes."""
    return len(self.people)

  def check_labels(self) -> None:
    """Refuses to go on with a json that is not the one the records are of.

    Raises:
      ValueError: it was edited, or is gone, since the records were opened.
    """
    files.check_labels(self.annotations, self.labels_digest)

  def serialized(self) -> Sequence[bytes]:
    """The records as they are stored, by position; for `image_bytes`."""
    return self.builder.as_data_source(
      SPLIT, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )

  def image_bytes(self, serialized: tf.Tensor) -> tf.Tensor:
    """The encoded image (scalar string) of one stored record; a TF op."""
    features = self.builder.info.features
    part = tfds.features.FeaturesDict({"image": features["image"]})
    return part.deserialize_example(serialized)["image"]

  def dataset(self) -> tf.data.Dataset:
    """All records in order, see coco_records.py; `people` is a dictionary."""
    features = self.builder.info.features
    return _raw_dataset(self.serialized()).map(
      features.deserialize_example, num_parallel_calls=tf.data.AUTOTUNE
    )


def _raw_dataset(records: Sequence[bytes]) -> tf.data.Dataset:
  """The stored records in order."""

  def generate() -> Iterator[bytes]:
    yield from (records[i] for i in range(len(records)))

  return tf.data.Dataset.from_generator(
    generate, output_signature=tf.TensorSpec((), tf.string)
  )


def open_records(
  folder: pathlib.Path,
) -> tuple[tfds.core.DatasetBuilder, People]:
  """The builder of prepared records, and the table of all people in them.

  Raises:
    ValueError: files of the folder are damaged or gone.
  """
  try:
    builder = tfds.builder_from_directory(folder)
    return builder, _read(builder, People, _people_of)
  except Exception as error:  # of json, protobuf, zip or NumPy
    raise damaged(folder, error) from error


def damaged(folder: str | pathlib.Path, error: Exception) -> ValueError:
  """The error of records that cannot be read."""
  return ValueError(
    f"the records in {folder} are damaged or gone ({error}); delete this "
    "folder, and they are prepared again"
  )


def read_images(builder: tfds.core.DatasetBuilder) -> Images:
  """The table of all images in the records, made once and kept beside them.

  Raises:
    ValueError: files of the records' folder are damaged or gone.
  """
  try:
    return _read(builder, Images, _image_of)
  except Exception as error:  # as above
    raise damaged(builder.data_dir, error) from error


def _read(
  builder: tfds.core.DatasetBuilder,
  kind: type[Table],
  rows_of: Callable[[int, dict[str, Any]], Table],
) -> Table:
  """A table, made of every record's rows where its file is not there yet."""
  path = pathlib.Path(builder.data_dir) / f"{kind.__name__.lower()}.npz"
  if not path.is_file():
    examples = enumerate(_examples(builder))
    _write(path, concatenate([rows_of(i, example) for i, example in examples]))
  with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
    return kind(**arrays)


def _write(path: pathlib.Path, table: People | Images) -> None:
  """Writes the table so that nobody ever sees half of it."""
  temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
  fields = dataclasses.fields(table)
  np.savez(temporary, **{f.name: getattr(table, f.name) for f in fields})
  temporary.replace(path)


def _examples(
  builder: tfds.core.DatasetBuilder,
) -> Iterator[dict[str, Any]]:
  """The records in order, without the images."""
  features = builder.info.features
  part = tfds.features.FeaturesDict(
    {name: features[name] for name in features if name != "image"}
  )
  records = builder.as_data_source(
    SPLIT, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )
  dataset = _raw_dataset(records).map(
    part.deserialize_example, num_parallel_calls=tf.data.AUTOTUNE
  )
  return dataset.as_numpy_iterator()


def _people_of(position: int, example: dict[str, Any]) -> People:
  people = example["people"]
  count = len(people["annotation_id"])
  return People(
    record=np.full(count, position, np.int64),
    image_id=np.full(count, example["image_id"], np.int64),
    annotation_id=people["annotation_id"],
    image_size=np.full(
      (count, 2), (example["height"], example["width"]), np.int32
    ),
    bbox=people["bbox"],
    area=people["area"],
    keypoints=people["keypoints"],
    iscrowd=people["iscrowd"],
    score=people["score"],
    readable=np.full(count, example["readable"], bool),
  )


def _image_of(position: int, example: dict[str, Any]) -> Images:
  del position  # rows count up as records do
  size = (example["height"], example["width"])
  return Images(
    image_id=np.array([example["image_id"]], np.int64),
    image_size=np.array([size], np.int32),
    readable=np.array([example["readable"]], bool),
  )

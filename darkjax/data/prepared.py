"""Prepared data sets: records of images on disk, people in memory.

Records are TFDS ArrayRecords, one per image, read at random positions. The
people (about 300 bytes each with 17 keypoints) are a table, so that shuffling,
resuming and sharding never read an image.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
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
class PreparedDataset:
  """A data set whose records are on disk.

  Its people are the trainable ones (see `People.trainable`), or the detected
  boxes, without any keypoint labelled.
  """

  annotations: pathlib.Path  # the json of the labels, which metrics read
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...]  # in that file; results have the first
  builder: tfds.core.DatasetBuilder  # with the one split `SPLIT`
  people: People
  labels_digest: str  # `files.digest` of the json that records were made from
  box_source: str = GT_BOXES  # or `detections.DETECTIONS`
  upright: bool = False  # images are turned as EXIF says

  @property
  def num_images(self) -> int:
    """Number of images in the records."""
    return self.builder.info.splits[SPLIT].num_examples

  @property
  def num_bytes(self) -> int:
    """Size of all records, which other images change."""
    return self.builder.info.splits[SPLIT].num_bytes

  @property
  def num_people(self) -> int:
    """Number of trainable people, or boxes."""
    return len(self.people)

  def check_labels(self) -> None:
    """Raises a ValueError if the json was edited since, or is gone."""
    files.check_labels(self.annotations, self.labels_digest)

  def serialized(self) -> Sequence[bytes]:
    """Returns the serialized records by position, for `image_bytes`."""
    return _serialized(self.builder)

  def image_bytes(self, serialized: tf.Tensor) -> tf.Tensor:
    """Returns the encoded image (scalar string) of a record, by a TF op."""
    features = self.builder.info.features
    part = tfds.features.FeaturesDict({"image": features["image"]})
    return part.deserialize_example(serialized)["image"]

  def dataset(self) -> tf.data.Dataset:
    """Returns all records in order, see coco/records.py."""
    return _dataset(self.builder, self.builder.info.features)


def _serialized(builder: tfds.core.DatasetBuilder) -> Sequence[bytes]:
  return builder.as_data_source(
    SPLIT, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )


def _dataset(builder, features: tfds.features.FeaturesDict) -> tf.data.Dataset:
  """Some features of all records in order."""
  records = _serialized(builder)

  serialized = tf.data.Dataset.from_generator(
    lambda: (records[i] for i in range(len(records))),
    output_signature=tf.TensorSpec((), tf.string),
  )
  return serialized.map(
    features.deserialize_example, num_parallel_calls=tf.data.AUTOTUNE
  )


def open_records(
  folder: pathlib.Path,
) -> tuple[tfds.core.DatasetBuilder, People]:
  """Returns the builder of prepared records, and all people in them.

  Raises:
    ValueError: files of the folder are damaged or gone.
  """
  try:
    builder = tfds.builder_from_directory(folder)
    return builder, _read(builder, People, _people_of)
  except Exception as error:  # of json, protobuf, zip or NumPy
    raise damaged(folder, error) from error


def damaged(folder: str | pathlib.Path, error: Exception) -> ValueError:
  """Returns the error of records that cannot be read."""
  return ValueError(
    f"the records in {folder} are damaged or gone ({error}); delete this "
    "folder, and they are prepared again"
  )


def read_images(builder: tfds.core.DatasetBuilder) -> Images:
  """Returns the table of all images in the records; errors as above."""
  try:
    return _read(builder, Images, _image_of)
  except Exception as error:
    raise damaged(builder.data_dir, error) from error


def _read(
  builder: tfds.core.DatasetBuilder,
  kind: type[Table],
  rows_of: Callable[[int, dict[str, Any]], Table],
) -> Table:
  """A table, from the file beside the records; writes that if need be."""
  path = pathlib.Path(builder.data_dir) / f"{kind.__name__.lower()}.npz"
  if not path.is_file():
    features = builder.info.features
    features = {n: features[n] for n in features if n != "image"}
    examples = _dataset(builder, tfds.features.FeaturesDict(features))
    examples = enumerate(examples.as_numpy_iterator())
    tables: list[Table] = [rows_of(i, example) for i, example in examples]
    # So that the file is complete as soon as it exists.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(temporary, **vars(concatenate(tables)))
    temporary.replace(path)
  with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
    return kind(**arrays)


def _people_of(position: int, example: dict[str, Any]) -> People:
  people = dict(example["people"])
  count = len(people.pop("num_keypoints"))
  size = (example["height"], example["width"])
  return People(
    record=np.full(count, position, np.int64),
    image_id=np.full(count, example["image_id"], np.int64),
    image_size=np.full((count, 2), size, np.int32),
    readable=np.full(count, example["readable"], bool),
    **people,
  )


def _image_of(position: int, example: dict[str, Any]) -> Images:
  del position  # rows are in the order of the records
  return Images(
    image_id=np.array([example["image_id"]], np.int64),
    image_size=np.array([(example["height"], example["width"])], np.int32),
    readable=np.array([example["readable"]], bool),
    frame_unknown=np.array([example["frame_unknown"]], bool),
  )

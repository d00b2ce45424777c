"""Reading of the records that crops are cut from, at random positions."""

from collections.abc import Sequence
from concurrent import futures

import numpy as np

from darkjax import geometry as geometry_lib
from darkjax.data.pipeline import tf_crop
from darkjax.data.pipeline.crop_geometry import CropGeometry, Crops
from darkjax.data.prepared import PreparedDataset, damaged

# Threads that read one record each: faster than `__getitems__`.
_READERS = 16


class RecordReader:
  """Adds to crops the records of their images; decoding is left to tf.data."""

  def __init__(
    self, datasets: Sequence[PreparedDataset], geometry: CropGeometry
  ):
    self._geometry = geometry
    self._records = [dataset.serialized() for dataset in datasets]
    self._folders = [dataset.builder.data_dir for dataset in datasets]
    self._readers = futures.ThreadPoolExecutor(_READERS, "darkjax-read")

  def add_records(self, crops: Crops) -> Crops:
    """Reads the records of B crops.

    Adds record [B] bytes, window [B, 4] int32 (y, x, height, width), image px,
    the part to decode, and window_from_crop [B, 2, 3] float32. A ValueError
    if records are damaged or gone.
    """
    index = crops["index"]
    window = tf_crop.windows(
      crops["crop_from_image"],
      crop_size=self._geometry.convention.crop_size,
      image_size=self._geometry.people.image_size[index],
    )
    window_from_crop = geometry_lib.invert(crops["crop_from_image"])
    window_from_crop[..., 2] -= window[:, 1::-1]
    return crops | {
      "record": self._read(index),
      "window": window,
      "window_from_crop": window_from_crop.astype(np.float32),
    }

  def _read(self, index: np.ndarray) -> np.ndarray:
    """[B] bytes, the serialized records."""
    serialized = np.empty(len(index), object)
    record = self._geometry.people.record[index]
    dataset_index = self._geometry.dataset_index[index]
    for i, records in enumerate(self._records):
      mine = np.flatnonzero(dataset_index == i)
      positions = record[mine].tolist()
      try:
        serialized[mine] = [*self._readers.map(records.__getitem__, positions)]
      except (OSError, RuntimeError, ValueError) as error:
        raise damaged(self._folders[i], error) from error
    return serialized

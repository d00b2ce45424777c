"""What crops of stored images are made from: the record, a part, and a matrix.

Records are read at random positions while a batch is planned; decoding and
warping are left to tf.data (pipeline.py).
"""

from collections.abc import Sequence
from concurrent import futures

import numpy as np

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data.people_table import concatenate
from darkjax.data.pipeline import tf_crop
from darkjax.data.pipeline.crop_plan import Plan
from darkjax.data.prepared import Source, damaged

# Records that are read at the same time: enough to hide the latency of a
# network disk. Reading one by one from several threads takes half the processor
# time of `__getitems__`.
_READERS = 16


class StoredImages:
  """Adds to plans what the images of several sources are made from."""

  def __init__(self, sources: Sequence[Source], convention: Convention):
    self._crop_size = convention.crop_size
    self._people = concatenate([source.people for source in sources])
    self._source_index = np.repeat(
      np.arange(len(sources)), [source.num_people for source in sources]
    )
    self._records = [source.serialized() for source in sources]
    self._folders = [source.builder.data_dir for source in sources]
    self._readers = futures.ThreadPoolExecutor(_READERS, "darkjax-read")

  def add(self, plan: Plan) -> Plan:
    """Reads the records of a plan of B crops.

    Args:
      plan: from `Planner`, of the same sources.

    Returns:
      The plan with record [B] bytes, window [B, 4] int32 (y, x, height, width)
      in image px, the part to decode, and window_from_crop [B, 2, 3] float32.

    Raises:
      ValueError: records are damaged or gone.
    """
    index = plan["index"]
    window = tf_crop.windows(
      plan["crop_from_image"],
      crop_size=self._crop_size,
      image_size=self._people.image_size[index],
    )
    window_from_crop = geometry.invert(plan["crop_from_image"])
    window_from_crop[..., 2] -= window[:, 1::-1]
    return plan | {
      "record": self._read(index),
      "window": window,
      "window_from_crop": window_from_crop.astype(np.float32),
    }

  def _read(self, index: np.ndarray) -> np.ndarray:
    """[B] bytes, the stored records."""
    stored = np.empty(len(index), object)
    record, source_index = self._people.record[index], self._source_index[index]
    for i, records in enumerate(self._records):
      mine = np.flatnonzero(source_index == i)
      try:
        stored[mine] = list(
          self._readers.map(records.__getitem__, record[mine].tolist())
        )
      except (OSError, RuntimeError, ValueError) as error:
        raise damaged(self._folders[i], error) from error
    return stored

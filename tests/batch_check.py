"""Validation of batches, for tests."""

from collections.abc import Mapping

import numpy as np

from darkjax.convention import Convention
from darkjax.data import batch


def check(arrays: Mapping[str, np.ndarray], convention: Convention) -> None:
  """Raises where a batch does not agree with `batch.BATCH`.

  Args:
    arrays: dictionary of NumPy arrays with a leading batch axis.
    convention: gives H, W and K.

  Raises:
    ValueError: fields missing or unknown, a wrong dtype or shape, or examples
      (mask 1) with values that are not finite.
  """
  if set(arrays) != set(batch.BATCH):
    raise ValueError(
      f"a batch has the fields {sorted(batch.BATCH)}; missing: "
      f"{sorted(set(batch.BATCH) - set(arrays))}, unknown: "
      f"{sorted(set(arrays) - set(batch.BATCH))}"
    )
  height, width = convention.crop_size
  sizes = {"H": height, "W": width, "K": convention.skeleton.num_keypoints}
  rows = len(arrays["mask"])
  for name, field in batch.BATCH.items():
    shape = (rows, *(sizes.get(size, size) for size in field.shape))
    _check_array(name, arrays[name], shape, field.dtype)


def _check_array(name: str, array: np.ndarray, shape, dtype) -> None:
  if array.shape != shape or array.dtype != dtype:
    raise ValueError(
      f"batch field {name!r} must be {np.dtype(dtype).name}{list(shape)} "
      f"({batch.BATCH[name].meaning}), got {array.dtype.name}"
      f"{list(array.shape)}"
    )
  if not np.isfinite(array).all():
    raise ValueError(
      f"batch field {name!r} holds NaN or infinity in rows "
      f"{sorted({*np.argwhere(~np.isfinite(array))[:, 0].tolist()})}"
    )

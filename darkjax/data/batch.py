"""Fields of a batch of crops.

A batch is a dictionary of NumPy arrays with B examples; rows past the last
example of an evaluation are padding, with `mask` 0.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from darkjax.convention import Convention


@dataclasses.dataclass(frozen=True)
class Field:
  """One entry of a batch: shape without the batch axis, dtype, meaning."""

  shape: tuple[int | str, ...]
  dtype: type
  meaning: str


# H, W: crop size; K: keypoints.
BATCH = {
  "image": Field(("H", "W", 3), np.uint8, "RGB crop, not normalised"),
  "keypoints_heatmap": Field(("K", 2), np.float32, "(x, y), heatmap px"),
  "visibility": Field(("K",), np.float32, "1 where a keypoint is labelled"),
  "image_from_heatmap": Field((2, 3), np.float32, "affine, px"),
  "mask": Field((), np.float32, "1 for an example, 0 for padding"),
  "image_id": Field((), np.int64, "of the annotation file"),
  "annotation_id": Field((), np.int64, "or position of a detected box"),
  "score": Field((), np.float32, "of the box; 1 for a ground-truth box"),
  "box_area": Field((), np.float32, "of the padded box, image px²"),
}

# In place of `image` where the step cuts it, see train/device_crop.py.
CANVAS = {
  "first_page": Field((), np.int32, "of the person's canvas"),
  "canvas_size": Field((2,), np.int32, "(height, width), px"),
  "canvas_from_crop": Field((2, 3), np.float32, "affine, px"),
}

# Inputs of the jitted steps; the rest stays on the host.
DEVICE_FIELDS = (
  "image",
  "keypoints_heatmap",
  "visibility",
  "image_from_heatmap",
  "mask",
)


def to_device_fields(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns the fields of a batch that go to the devices."""
  image = ("image",) if "image" in batch else tuple(CANVAS)
  rest = tuple(name for name in DEVICE_FIELDS if name != "image")
  return {name: batch[name] for name in (*image, *rest)}


def check(batch: Mapping[str, np.ndarray], convention: Convention) -> None:
  """Refuses a batch that does not agree with `BATCH`.

  Args:
    batch: dictionary of NumPy arrays with a leading batch axis.
    convention: gives H, W and K.

  Raises:
    ValueError: fields missing or unknown, a wrong dtype or shape, or examples
      (mask 1) with values that are not finite.
  """
  if set(batch) != set(BATCH):
    raise ValueError(
      f"a batch has the fields {sorted(BATCH)}; missing: "
      f"{sorted(set(BATCH) - set(batch))}, unknown: "
      f"{sorted(set(batch) - set(BATCH))}"
    )
  height, width = convention.crop_size
  sizes = {"H": height, "W": width, "K": convention.skeleton.num_keypoints}
  rows = len(batch["mask"])
  for name, field in BATCH.items():
    shape = (rows, *(sizes.get(size, size) for size in field.shape))
    _check_array(name, batch[name], shape, field.dtype)


def _check_array(name: str, array: np.ndarray, shape, dtype) -> None:
  if array.shape != shape or array.dtype != dtype:
    raise ValueError(
      f"batch field {name!r} must be {np.dtype(dtype).name}{list(shape)} "
      f"({BATCH[name].meaning}), got {array.dtype.name}{list(array.shape)}"
    )
  if not np.isfinite(array).all():
    raise ValueError(
      f"batch field {name!r} ({BATCH[name].meaning}) holds NaN or infinity in "
      f"rows {sorted({*np.argwhere(~np.isfinite(array))[:, 0].tolist()})}"
    )

"""Fields of a batch of crops.

A batch is a dictionary of NumPy arrays with B examples; rows past the last
example of an evaluation are padding, with `mask` 0.
"""

from typing import NamedTuple

import numpy as np


class Field(NamedTuple):
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
  return {name: batch[name] for name in (*image, *DEVICE_FIELDS[1:])}

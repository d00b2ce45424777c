"""Boxes (x, y, w, h) of people in image px: validation."""

from typing import Any

import numpy as np

from darkjax.data.coco.box_file import LARGEST


def check(boxes: Any, image_size: tuple[int, int], name: str) -> np.ndarray:
  """Returns the boxes of one image as an array; the whole image for None.

  Args:
    boxes: [N, 4] (x, y, w, h), image px; empty for nobody; or None.
    image_size: (height, width), px.
    name: of the image, for messages.

  Raises:
    ValueError: another shape, NaN, numbers above 1e9, no positive size, or
      wholly outside.
  """
  height, width = image_size
  if boxes is None:
    return np.array([[0, 0, width, height]], np.float64)
  try:
    boxes = np.asarray(boxes, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"{name}: boxes are numbers [N, 4] (x, y, w, h), got {str(boxes)[:120]}"
    ) from error
  if boxes.size == 0:
    return boxes.reshape(0, 4)
  if boxes.ndim != 2 or boxes.shape[1] != 4:
    raise ValueError(
      f"{name}: boxes are [N, 4] (x, y, w, h), got shape {boxes.shape}; wrap a "
      "single box in a list"
    )
  x, y, w, h = boxes.T
  positive = (np.abs(boxes) <= LARGEST).all(1) & (w > 0) & (h > 0)
  inside = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
  for usable, rule in (
    (positive, f"must be of numbers up to {LARGEST:g} px, its sizes above 0"),
    (inside, f"must overlap the image of {width} x {height} px"),
  ):
    if not usable.all():
      n = int(np.argmin(usable))
      raise ValueError(
        f"{name}: a box (x, y, w, h) {rule}, got {boxes[n].tolist()} as box "
        f"{n}; check the order of the numbers and the image they belong to"
      )
  return boxes

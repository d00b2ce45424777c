"""The input of a detector's network: a photograph fitted to its size."""

from typing import NamedTuple

import numpy as np
import PIL.Image

from darkjax import convention
from darkjax.inference.detectors.options import Fit, Order, Values

_GREY = 114  # around a photograph that keeps its shape


class InputFromImage(NamedTuple):
  """Coordinates of the input are those of the image × scale + offset.

  Both count from the edges of pixels, as boxes do.
  """

  scale: np.ndarray  # [2] (x, y)
  offset: np.ndarray  # [2] (x, y), input px

  def corners_image(self, corners_input: np.ndarray) -> np.ndarray:
    """Returns corners [N, 4] (x0, y0, x1, y1) of the input in image px."""
    points = np.asarray(corners_input, np.float64).reshape(-1, 2, 2)
    return ((points - self.offset) / self.scale).reshape(-1, 4)


def fit_image(
  image: np.ndarray, size: tuple[int, int], fit: Fit
) -> tuple[np.ndarray, InputFromImage]:
  """Brings an image to the size of the input, see `Options.fit`.

  Args:
    image: [H, W, 3] uint8.
    size: (height, width), px.
    fit: how; with "none" the size is not used.

  Returns:
    [height, width, 3] uint8, and where it lies in there.
  """
  sides = np.array(image.shape[1::-1])  # (x, y)
  room = np.array(size[::-1])
  if fit == "none":
    return image, InputFromImage(np.ones(2), np.zeros(2))
  scaled = room
  if fit != "stretch":
    ratio = (room / sides).min()
    # A hair more than the product, which may be 639.9999.
    scaled = np.clip((sides * ratio + 1e-6).astype(int), 1, room)
  pixels = image
  if (scaled != sides).any():
    picture = PIL.Image.fromarray(np.ascontiguousarray(image))
    x, y = map(int, scaled)
    resized = picture.resize((x, y), PIL.Image.Resampling.BILINEAR)
    pixels = np.asarray(resized)
  # Of an odd rest the larger half is right and below, as in YOLO.
  x, y = map(int, (room - scaled) // 2 if fit == "center" else (0, 0))
  if (scaled == room).all():
    return pixels, InputFromImage(scaled / sides, np.zeros(2))
  canvas = np.full((*size, 3), _GREY, np.uint8)
  canvas[y : y + scaled[1], x : x + scaled[0]] = pixels
  return canvas, InputFromImage(scaled / sides, np.array([x, y], np.float64))


def normalize(pixels: np.ndarray, values: Values, order: Order) -> np.ndarray:
  """Returns [H, W, 3] float32 of uint8 RGB, see `Options`."""
  numbers = pixels.astype(np.float32)
  if values != "0-255":
    numbers /= 255
  if values == "imagenet":
    numbers -= np.array(convention.PIXEL_MEAN, np.float32)
    numbers /= np.array(convention.PIXEL_STD, np.float32)
  return numbers[..., ::-1] if order == "bgr" else numbers

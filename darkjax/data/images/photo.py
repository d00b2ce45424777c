"""Photographs as arrays, and person crops out of them, without TensorFlow.

An integer coordinate is the centre of a pixel. Files and PIL images are turned
upright as their EXIF orientation says, so that coordinates are those of the
picture a viewer shows; arrays are taken as they are. (Training does not turn:
labels such as COCO's count the pixels as stored.)
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps

from darkjax import geometry

# Larger images are refused by their header, before their pixels take memory:
# 256 MiB of RGB. Pillow warns from the same number on.
MAX_PIXELS = 2**28 // 3

# Pillow's own limit, for which it has no size.
_BOMBS = (
  PIL.Image.DecompressionBombError,
  PIL.Image.DecompressionBombWarning,
)
_ABSENT = (
  FileNotFoundError,
  IsADirectoryError,
  NotADirectoryError,
  PermissionError,
)

# What a photograph may be given as.
ImageLike = str | os.PathLike | PIL.Image.Image | np.ndarray


def read(image: ImageLike, *, upright: bool = True) -> np.ndarray:
  """Reads a photograph as RGB pixels.

  Args:
    image: path of a file that Pillow reads; or a PIL image; or a uint8 array
      [H, W, 3] RGB, [H, W, 4] with an alpha that is dropped, or [H, W] or
      [H, W, 1] grey. OpenCV's arrays are BGR: pass `array[..., ::-1]`.
    upright: apply the EXIF orientation of a file or a PIL image; False leaves
      the pixels as stored.

  Returns:
    [H, W, 3] uint8 RGB; an RGB array itself, not a copy.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, truncated, of more than `MAX_PIXELS`, or an array
      of another type or shape.
  """
  if isinstance(image, str | os.PathLike):
    return _read_file(pathlib.Path(image), upright)
  if isinstance(image, PIL.Image.Image):
    return _pixels(image, upright, getattr(image, "filename", "") or "image")
  if not hasattr(image, "__array__"):
    raise ValueError(
      "an image is a path, a PIL image or a uint8 array, got "
      f"{type(image).__name__}; open files and bytes with PIL.Image.open"
    )
  return _check_array(np.asarray(image))


def check_size(size: tuple[int, int], name: str | os.PathLike) -> None:
  """Raises ValueError, with the name, for a (height, width) of too many px."""
  height, width = size
  if height * width > MAX_PIXELS:
    raise ValueError(
      f"{name} claims {width}x{height} pixels, more than the limit of "
      f"{MAX_PIXELS}; shrink it, and its coordinates with it"
    )


def _read_file(path: pathlib.Path, upright: bool) -> np.ndarray:
  if path.is_dir():
    raise FileNotFoundError(f"{path} is a folder; list its image files")
  if not path.is_file():
    raise FileNotFoundError(f"no image file {path}; check the path")
  with decoding(path):
    image = PIL.Image.open(path)
  with image:
    return _pixels(image, upright, path)


@contextlib.contextmanager
def decoding(name: str | os.PathLike) -> Iterator[None]:
  """Turns what a decoder raises into a ValueError with the image's name.

  A path that is absent or may not be read keeps its OSError.
  """
  try:
    yield
  except _ABSENT:
    raise
  except _BOMBS as error:
    raise ValueError(
      f"{name} claims more pixels than the limit of {MAX_PIXELS}; shrink it, "
      "and its coordinates with it"
    ) from error
  except Exception as error:  # decoders raise whatever they stumble on
    raise ValueError(
      f"{name} is not an image that can be read ({error}); convert it to JPEG "
      "or PNG, or replace it if it is truncated"
    ) from error


def _pixels(
  image: PIL.Image.Image, upright: bool, name: str | os.PathLike
) -> np.ndarray:
  check_size(image.size[::-1], name)
  with decoding(name):
    image.load()
    image = PIL.ImageOps.exif_transpose(image) if upright else image
  if image.mode.startswith("I"):
    grey = np.asarray(image).astype(np.int64)
    if image.mode != "I" or grey.max() > 255:  # of 16 bits keep the upper 8
      grey >>= 8
    return _check_array(np.clip(grey, 0, 255).astype(np.uint8))
  if image.mode == "F":
    raise ValueError(
      "an image has 8 or 16 bits per channel, got floating point (mode F); "
      "scale it to 0..255 and convert it to uint8"
    )
  return _check_array(np.asarray(image.convert("RGB")))


def _check_array(image: np.ndarray) -> np.ndarray:
  if image.dtype != np.uint8:
    raise ValueError(
      f"an image array is uint8 with values 0..255, got {image.dtype} of shape "
      f"{image.shape}; scale it and use .astype(np.uint8)"
    )
  channels = image.shape[2] if image.ndim == 3 else 1
  if image.ndim not in (2, 3) or channels not in (1, 3, 4):
    raise ValueError(
      "an image array is [H, W, 3] RGB, [H, W, 4] RGBA or [H, W] grey, got "
      f"shape {image.shape}; several images are passed as a list"
    )
  if image.size == 0:
    raise ValueError(f"an image has at least one pixel, got {image.shape}")
  if channels == 1:
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
  return image[..., :3]


def warp(
  image: np.ndarray, crop_from_image: np.ndarray, crop_size: tuple[int, int]
) -> np.ndarray:
  """Resamples an image: bilinear, zero outside, no smoothing before shrinking.

  The NumPy twin of data/pipeline/tf_crop.py, equal to it within one grey level
  (coordinates are float32 there). Only the pixels of the crop are read.

  Args:
    image: [H, W, 3] uint8.
    crop_from_image: [2, 3], px.
    crop_size: (height, width), px.

  Returns:
    [height, width, 3] uint8.
  """
  rows, columns = np.arange(crop_size[0])[:, None], np.arange(crop_size[1])
  image_from_crop = geometry.invert(np.asarray(crop_from_image, np.float64))
  x, y = (_grid(line, columns, rows) for line in image_from_crop)
  (left, right), weights_x = _neighbours(x, image.shape[1])
  (upper, lower), weights_y = _neighbours(y, image.shape[0])

  def across(y):
    return image[y, left] * weights_x[0] + image[y, right] * weights_x[1]

  crop = across(upper) * weights_y[0] + across(lower) * weights_y[1]
  return np.rint(crop).astype(np.uint8)


def _grid(line: np.ndarray, columns, rows) -> np.ndarray:
  """One source coordinate at every crop pixel, [h or 1, w or 1].

  Without rotation x depends on the column only and y on the row only; an axis
  of 1 then makes the look-up three times cheaper than a full grid.
  """
  column_part = line[0] * columns[None, :] if line[0] else np.zeros((1, 1))
  row_part = line[1] * rows if line[1] else np.zeros((1, 1))
  return column_part + row_part + line[2]


def _neighbours(coordinate: np.ndarray, size: int) -> tuple[Any, Any]:
  """Two indices inside the image and their weights, zero if outside."""
  first = np.floor(coordinate)
  fraction = coordinate - first
  indices, weights = [], []
  for index, weight in ((first, 1 - fraction), (first + 1, fraction)):
    inside = (index >= 0) & (index < size)
    indices.append(np.clip(index, 0, size - 1).astype(np.intp))
    weights.append(np.where(inside, weight, 0.0).astype(np.float32)[..., None])
  return indices, weights

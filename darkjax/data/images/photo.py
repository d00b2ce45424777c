"""Photographs as arrays, and person crops out of them, without TensorFlow.

An integer coordinate is the centre of a pixel. Files and PIL images are turned
upright as their EXIF orientation says, so that coordinates are those of the
picture a viewer shows; arrays are taken as they are. (Training does not turn
unless `data.upright` says so: labels such as COCO's count the pixels as
stored.)
"""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image

from darkjax import geometry
from darkjax.data.images import bad_file, deep, exif

# Larger images are refused by their header: 256 MiB of RGB. Pillow warns from
# the same number on.
MAX_PIXELS = 2**28 // 3

# Pillow's own limit, for which it has no size.
_BOMBS = (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning)
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
    with open_file(image) as file:
      return pixels(file, upright=upright, name=image)
  if isinstance(image, PIL.Image.Image):
    name = getattr(image, "filename", "") or "image"
    return pixels(image, upright=upright, name=name)
  if not hasattr(image, "__array__"):
    raise ValueError(
      "an image is a path, a PIL image or a uint8 array, got "
      f"{type(image).__name__}; open files and bytes with PIL.Image.open"
    )
  return _check_array(np.asarray(image))


def check_size(size: tuple[int, int], name: str | os.PathLike) -> None:
  """Raises ValueError for a (height, width), px, of over `MAX_PIXELS`."""
  height, width = size
  if height * width > MAX_PIXELS:
    raise ValueError(
      f"{name} claims {width}x{height} pixels, more than the limit of "
      f"{MAX_PIXELS}; shrink it, and its coordinates with it"
    )


def open_file(path: str | os.PathLike[str]) -> PIL.Image.Image:
  """Opens an image file by its header; pixels are decoded when asked for.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image.
  """
  if not os.path.isfile(path):
    hint = "it is a folder" if os.path.isdir(path) else "check the path"
    raise FileNotFoundError(f"no image file {path}; {hint}")
  with decoding(path):
    with open(path, "rb") as file:
      heif = bad_file.is_heif(file.read(12))
    if heif:
      register_heif()
    return PIL.Image.open(path)


def register_heif() -> None:
  """Adds HEIC to what Pillow opens, where the extra is installed."""
  with contextlib.suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()


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
    raise ValueError(f"{name} {_wrong(name, error)}") from error


def _wrong(name: str | os.PathLike, error: Exception) -> str:
  """What is wrong with an image that a decoder stumbled on, and the fix."""
  known = bad_file.describe(name)
  if known is None and isinstance(error, PIL.UnidentifiedImageError):
    known = "is of no known format; convert it to JPEG or PNG"
  if known:
    return f"is not an image that can be read: it {known}"
  # Of files in memory Pillow shows the object.
  reason = re.sub(r"<.* object at 0x\w+>", "it", str(error))
  return (
    f"is not an image that can be read ({reason}); convert it to JPEG or PNG, "
    "or replace it if it is truncated"
  )


def pixels(
  image: PIL.Image.Image, *, upright: bool = True, name: str | os.PathLike
) -> np.ndarray:
  """Decodes a PIL image as `read` does; `name` is for messages."""
  check_size(image.size[::-1], name)
  if image.mode == "F":
    raise ValueError(
      f"{name}: an image has 8 or 16 bits per channel, got floating point "
      "(mode F); scale it to 0..255 and convert it to uint8"
    )
  with decoding(name):
    kind, is_deep = image.format, deep.is_deep(image)
    stated = deep.stated_maximum(image) if is_deep else None
    turned = exif.orientation(image)
    image.load()
    rgb = image if image.mode.startswith("I") else image.convert("RGB")
    array = np.asarray(rgb)
  if image.mode.startswith("I"):
    array = _grey_to_bytes(array, image.mode, stated, name)
  elif is_deep:
    array = deep.read_colours(name, array, stated)
  array = _check_array(array)
  if turned == 1:
    return array
  if kind == "TIFF":  # Pillow has turned it upright
    return array if upright else exif.turn_back(array, turned)
  return exif.turn(array, turned) if upright else array


def _grey_to_bytes(
  grey: np.ndarray, mode: str, stated: int | None, name: str | os.PathLike
) -> np.ndarray:
  if mode == "I" and grey.max(initial=0) <= 255:  # 8 bits in 32
    return np.clip(grey, 0, 255).astype(np.uint8)
  if mode == "I" and grey.max() >= 2**16:
    raise ValueError(
      f"{name}: an image has 8 or 16 bits per channel, got values up to "
      f"{grey.max()} in 32 bits; scale it to 0..255 and convert it to uint8"
    )
  return deep.to_bytes(grey, stated, name)


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

  Equals data/pipeline/tf_crop.py within one grey level (coordinates are float32
  there). The cost does not depend on the size of the photograph.

  Args:
    image: [H, W, 3] uint8.
    crop_from_image: [2, 3], px.
    crop_size: (height, width), px.

  Returns:
    [height, width, 3] uint8.
  """
  rows, columns = np.arange(crop_size[0])[:, None], np.arange(crop_size[1])
  image_from_crop = geometry.invert(np.asarray(crop_from_image, np.float64))
  # Without rotation x depends on the column only and y on the row only: an axis
  # of length 1 makes the look-up three times cheaper than a full grid.
  x, y = (
    (a * columns[None] if a else 0) + (b * rows if b else np.zeros((1, 1))) + c
    for a, b, c in image_from_crop
  )
  (left, right), weights_x = _neighbours(x, image.shape[1])
  (upper, lower), weights_y = _neighbours(y, image.shape[0])

  def across(y):
    return image[y, left] * weights_x[0] + image[y, right] * weights_x[1]

  crop = across(upper) * weights_y[0] + across(lower) * weights_y[1]
  return np.rint(crop).astype(np.uint8)


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

"""Image files as they come: read, sized and test-decoded once, at build time.

Coordinates refer to the pixels as they are stored: an EXIF orientation is not
applied, neither here nor when a crop is decoded (nor by the annotation tools of
COCO, nor by the official code, which reads with IMREAD_IGNORE_ORIENTATION).
"""

import io
import pathlib

import PIL.Image
import tensorflow as tf

FORMATS = ("JPEG", "PNG")

# Larger images are refused before they are decoded (3 bytes per pixel).
MAX_PIXELS = 100_000_000


def read_image(path: pathlib.Path) -> tuple[bytes, tuple[int, int]]:
  """The bytes of an image file and its (height, width), px.

  The header gives format and size; then the file is decoded once to see that
  nothing is cut off, a JPEG at an eighth of its size, which costs about a third
  of a full decode.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, truncated, too large, or an unknown format.
  """
  try:
    data = path.read_bytes()
  except OSError as error:
    raise FileNotFoundError(
      f"image {path} cannot be read ({error.strerror}); check the folder of "
      "images and the json's file_name"
    ) from error
  kind, size = _header(data, path)
  _check_decodes(data, kind, path)
  return data, size


def _header(data: bytes, path: pathlib.Path) -> tuple[str, tuple[int, int]]:
  try:
    with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
      kind, (width, height) = image.format, image.size
  except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
    raise ValueError(
      f"{path} is not an image that can be read; known formats: "
      f"{', '.join(FORMATS)}. Convert or replace the file"
    ) from None
  if width * height > MAX_PIXELS:
    raise ValueError(
      f"{path} claims {width}x{height} pixels, more than the limit of "
      f"{MAX_PIXELS}; shrink it together with its coordinates"
    )
  return kind, (height, width)


def _check_decodes(data: bytes, kind: str, path: pathlib.Path) -> None:
  try:
    if kind == "PNG":
      tf.io.decode_png(data, channels=3)
    else:  # JPEG, or MPO: several in one file, of which the first counts
      tf.io.decode_jpeg(data, channels=3, ratio=8)
  except tf.errors.InvalidArgumentError as error:
    raise ValueError(
      f"{path} cannot be decoded, it is probably truncated "
      f"({error.message.splitlines()[0][:120]}); download or write it again"
    ) from None

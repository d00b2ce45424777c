"""Image files as they come: read, sized and test-decoded once, at build time.

Coordinates refer to the pixels as they are stored: an EXIF orientation is not
applied, neither here nor when a crop is decoded (nor by the annotation tools of
COCO, nor by the official code, which reads with IMREAD_IGNORE_ORIENTATION).
"""

import pathlib

import tensorflow as tf

from darkjax.data.images import headers


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
    raise headers.unreadable(path, error) from error
  kind, size = headers.read_header(data, path)
  _check_decodes(data, kind, path)
  return data, size


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

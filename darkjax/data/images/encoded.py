"""Image files of a data set: their headers, and bytes for the records.

JPEG (grey or colour) and PNG of up to 8 bits keep their bytes, which training
decodes as `photo.read` does. All else, and what is turned upright, is decoded
by `photo.read` once and stored as PNG.
"""

import io
import pathlib
from typing import NamedTuple

import PIL.Image

from darkjax.data.images import bad_file, deep, exif, photo

# MPO: several JPEGs in one file, of which the first counts; no animation.
_JPEG = ("JPEG", "MPO")


class Header(NamedTuple):
  """What an image file says of itself."""

  stored_size: tuple[int, int]  # (height, width), px, before EXIF turns it
  orientation: int = 1  # of EXIF, 1 to 8
  keeps_bytes: bool = True  # see above
  num_frames: int = 1  # of an animation, or pages

  def size(self, *, upright: bool) -> tuple[int, int]:
    """Returns the (height, width), px, as stored or upright."""
    return exif.frame_size(self.stored_size, self.orientation, upright=upright)


def read_header(path: pathlib.Path) -> Header:
  """Reads the header of an image file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, or too large.
  """
  try:
    with photo.open_file(path) as image, photo.decoding(path):
      header = _header(image)
  except OSError as error:
    message = f"image {path} cannot be read ({error.strerror or error})"
    raise FileNotFoundError(message) from error
  photo.check_size(header.stored_size, path)
  return header


def _header(image: PIL.Image.Image) -> Header:
  plain_jpeg = image.format in _JPEG and image.mode in ("L", "RGB")
  plain_png = image.format == "PNG" and not deep.is_deep(image)
  frames = 1 if image.format in _JPEG else getattr(image, "n_frames", 1)
  return Header(
    exif.stored_size(image),
    exif.orientation(image),
    plain_jpeg or plain_png,
    frames,
  )


def read_image(
  path: pathlib.Path, *, upright: bool = False
) -> tuple[bytes, Header]:
  """Returns an image for the records, JPEG or PNG, and its file's header.

  The file is decoded once to see that nothing is cut off, a JPEG at an eighth
  of its size, which costs about a third of a full decode. Only this needs
  TensorFlow.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, truncated, or too large.
  """
  header = read_header(path)
  if header.keeps_bytes and not (upright and header.orientation != 1):
    return _check_bytes(path.read_bytes(), path), header
  buffer = io.BytesIO()
  pixels = photo.read(path, upright=upright)
  PIL.Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
  return buffer.getvalue(), header


def _check_bytes(data: bytes, path: pathlib.Path) -> bytes:
  import tensorflow as tf

  try:
    if data.startswith(b"\x89PNG"):
      tf.io.decode_png(data, channels=3)
    else:
      tf.io.decode_jpeg(data, channels=3, ratio=8)
  except tf.errors.InvalidArgumentError as error:
    known = bad_file.describe(path)
    if known:
      raise ValueError(
        f"{path} is not an image that can be read: it {known}"
      ) from None
    raise ValueError(
      f"{path} cannot be decoded, it is probably truncated "
      f"({error.message.splitlines()[0][:120]}); download or write it again"
    ) from None
  return data


def size_problem(
  expected: tuple[int, int] | None, header: Header, *, upright: bool = False
) -> str | None:
  """Returns how an image's frame differs from the json's (height, width).

  None where they agree or the json does not say. `upright` is the frame read.
  """
  read, other = (header.size(upright=frame) for frame in (upright, not upright))
  if expected is None or tuple(expected) == read:
    return None
  text = f"should be {expected[1]}x{expected[0]} px, the file is "
  if tuple(expected) != other:
    return f"{text}{read[1]}x{read[0]}"
  frame, flag = (
    ("as it is stored", "--stored") if upright else ("upright", "--upright")
  )
  return (
    f"{text}{read[1]}x{read[0]}: EXIF turns it, and the json has the size of "
    f"the picture {frame}; to read it so give {flag}, in training "
    f"--config.data.upright={not upright}"
  )


def frame_unknown(expected: tuple[int, int] | None, header: Header) -> bool:
  """Returns whether EXIF turns an image and no size says which frame is meant.

  `expected` is the json's (height, width), if it has one.
  """
  height, width = header.stored_size
  same_size = header.orientation < 5 or height == width
  return header.orientation != 1 and (expected is None or same_size)

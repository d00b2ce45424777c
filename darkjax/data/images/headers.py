"""What the header of an image file says: format and size, without decoding."""

import io
import pathlib

import PIL.Image

from darkjax.data.images import photo as image_lib

FORMATS = ("JPEG", "PNG")

# Pillow's own limit, for which it tells no size.
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


def read_header(
  file: bytes | pathlib.Path, path: pathlib.Path
) -> tuple[str, tuple[int, int]]:
  """Format and (height, width), px, of an image as it is stored.

  Args:
    file: the content, or the path where only the header is to be read.
    path: of the file, for messages.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, too large, or an unknown format.
  """
  source = io.BytesIO(file) if isinstance(file, bytes) else file
  try:
    with PIL.Image.open(source, formats=FORMATS) as image:
      kind, (width, height) = image.format, image.size
  except _ABSENT as error:
    raise unreadable(path, error) from error
  except _BOMBS:
    raise ValueError(
      f"{path} claims more pixels than the limit of {image_lib.MAX_PIXELS}; "
      "shrink it, and its coordinates with it"
    ) from None
  except Exception as error:  # decoders raise whatever they stumble on
    raise ValueError(
      f"{path} is not an image that can be read ({error}); known formats: "
      f"{', '.join(FORMATS)}. Convert or replace the file"
    ) from None
  image_lib.check_size((height, width), path)
  return kind, (height, width)


def unreadable(path: pathlib.Path, error: OSError) -> FileNotFoundError:
  """The error of a file that is not there or may not be read."""
  return FileNotFoundError(
    f"image {path} cannot be read ({error.strerror}); check the folder of "
    "images and the json's file_name; `python -m darkjax.data.check JSON "
    "--images=FOLDER` lists every file that is missing"
  )


def size_problem(
  expected: tuple[int, int] | None, size: tuple[int, int]
) -> str | None:
  """What is wrong with an image of another size than its json says.

  Args:
    expected: (height, width) of the json, or None where it does not say.
    size: (height, width) of the file.
  """
  if expected is None or tuple(expected) == size:
    return None
  turned = " (turned by EXIF? stored pixels count)" * (
    tuple(expected) == size[::-1]
  )
  return (
    f"should be {expected[1]}x{expected[0]} px, the file is "
    f"{size[1]}x{size[0]}{turned}"
  )

"""Image files of a data set: format and size by their header, and their bytes.

Coordinates refer to the pixels as they are stored: EXIF orientation is applied
neither here nor when a crop is decoded, as in COCO's tools and official code.
"""

import pathlib

import PIL.Image

from darkjax.data.images import photo

FORMATS = ("JPEG", "PNG")


def read_header(path: pathlib.Path) -> tuple[str, tuple[int, int]]:
  """Returns format and (height, width), px, of an image file as it is stored.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, too large, or an unknown format.
  """
  try:
    with photo.decoding(path), PIL.Image.open(path, formats=FORMATS) as image:
      kind, (width, height) = str(image.format), image.size
  except OSError as error:
    raise FileNotFoundError(
      f"image {path} cannot be read ({error.strerror}); check the folder of "
      "images and the json's file_name; `python -m darkjax.data.check JSON "
      "--images=FOLDER` lists every file that is missing"
    ) from error
  photo.check_size((height, width), path)
  return kind, (height, width)


def read_image(path: pathlib.Path) -> tuple[bytes, tuple[int, int]]:
  """Returns the bytes of an image file and its (height, width), px.

  The file is decoded once to see that nothing is cut off, a JPEG at an eighth
  of its size, which costs about a third of a full decode. Only this needs
  TensorFlow.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not an image, truncated, too large, or an unknown format.
  """
  import tensorflow as tf

  kind, size = read_header(path)
  data = path.read_bytes()
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
  return data, size


def size_problem(
  expected: tuple[int, int] | None, size: tuple[int, int]
) -> str | None:
  """Returns how the (height, width) of a file differs from the json's, if so.

  None where they agree or the json does not say.
  """
  if expected is None or tuple(expected) == size:
    return None
  turned = tuple(expected) == size[::-1]
  return (
    f"should be {expected[1]}x{expected[0]} px, the file is {size[1]}x{size[0]}"
    + (" (turned by EXIF? stored pixels count)" if turned else "")
  )

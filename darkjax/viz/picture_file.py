"""Pictures as files."""

import io
import os
import pathlib

import PIL.Image

from darkjax.runtime import files

SUFFIXES = (".jpg", ".jpeg", ".png")  # of photographs' drawings


def check(path: str | os.PathLike[str]) -> None:
  """Refuses a path that no picture can be written to, before there is one.

  Raises:
    OSError: see `files.check_writable`.
    ValueError: an ending of no format that Pillow writes.
  """
  _format(pathlib.Path(path))
  files.check_writable(path)


def save(picture: PIL.Image.Image, path: str | os.PathLike[str]) -> None:
  """Writes a picture as its ending says; the file is complete or as before.

  Raises:
    ValueError: an ending of no format that Pillow writes.
  """
  path = pathlib.Path(path)
  encoded = io.BytesIO()
  picture.save(encoded, _format(path), quality=92)
  files.write_whole(path, encoded.getvalue())


def _format(path: pathlib.Path) -> str:
  suffix = path.suffix.lower()
  form = PIL.Image.registered_extensions().get(suffix)
  if form not in PIL.Image.SAVE:
    raise ValueError(
      f"{path}: {suffix!r} is not a format of pictures; end the name in .png "
      "or .jpg"
    )
  return form

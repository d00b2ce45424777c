"""Pictures as files."""

import io
import os
import pathlib

import PIL.Image

from darkjax.runtime import files

SUFFIXES = (".jpg", ".jpeg", ".png")


def check(path: str | os.PathLike[str]) -> None:
  """Refuses a path that no picture can be written to, before there is one.

  Raises:
    OSError: see `files.check_writable`.
    ValueError: a path that ends in none of `SUFFIXES`.
  """
  if pathlib.Path(path).suffix.lower() not in SUFFIXES:
    raise ValueError(f"pictures are {', '.join(SUFFIXES)}, got {path}")
  files.check_writable(path)


def save(picture: PIL.Image.Image, path: str | os.PathLike[str]) -> None:
  """Writes a picture as JPEG or PNG; the file is complete or as before.

  Raises:
    ValueError: a path that ends in none of `SUFFIXES`.
  """
  check(path)
  path = pathlib.Path(path)
  encoded = io.BytesIO()
  kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
  picture.save(encoded, kind, quality=92)
  files.write_whole(path, encoded.getvalue())

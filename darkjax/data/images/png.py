"""Chunks of PNG files, of which Pillow shows some only after decoding."""

import io
from collections.abc import Iterator
from typing import Any

import PIL.Image

_SHOWN = 32  # first bytes of a chunk that are read


def chunks(image: PIL.Image.Image) -> Iterator[tuple[bytes, bytes]]:
  """Yields name and first bytes of each chunk of a PNG not yet decoded."""
  file: Any = getattr(image, "fp", None)
  if image.format != "PNG" or file is None:
    return
  position = file.tell()
  try:
    place = 8  # after the signature
    while True:
      file.seek(place)
      head = file.read(8)
      length = int.from_bytes(head[:4], "big")
      if len(head) < 8:
        return
      yield head[4:], file.read(min(length, _SHOWN))
      place += length + 12  # with length, name and checksum
  finally:
    file.seek(position, io.SEEK_SET)

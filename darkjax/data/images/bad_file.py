"""What a file is that should be an image and is none."""

import os
import re

import PIL.Image

_LFS = b"version https://git-lfs.github.com/spec/"
# Brands of ISO base media files that hold HEIF images.
_HEIF_BRANDS = (
  b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1",
  b"msf1",
)  # fmt: skip
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def describe(path: str | os.PathLike[str]) -> str | None:
  """Returns what is wrong with a file and the fix; None where that is unknown.

  The text continues "is not an image that can be read: it ".
  """
  try:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
      start = file.read(1024)
      file.seek(max(size - 2, 0))
      end = file.read()
  except OSError:
    return None
  if not size:
    return "is empty (0 bytes); fetch it again"
  if start.startswith(_LFS):
    stated = re.search(rb"\nsize (\d+)", start)
    count = f" of {int(stated.group(1))} bytes" if stated else ""
    return f"is a Git LFS pointer to a file{count}; run `git lfs pull`"
  if re.match(rb"\s*(<!doctype|<html|<\?xml)", start, re.IGNORECASE):
    return (
      "is a web page, such as of an error or a login; fetch the image itself"
    )
  if is_heif(start) and "HEIF" not in PIL.Image.OPEN:
    return (
      "is an HEIC file, which needs an extra: pip install "
      '"darkjax[heic]", or convert it to JPEG'
    )
  if start[4:12] == b"ftypavif" and "AVIF" not in PIL.Image.OPEN:
    return "is an AVIF file, which needs Pillow 11.3: pip install -U pillow"
  if start.startswith(_JPEG_START) and end != _JPEG_END:
    return (
      f"is a JPEG that ends early, after {size} bytes (truncated); fetch or "
      "write it again"
    )
  if not any(start):
    return "has zeros for content, as after a crash; fetch it again"
  return None


def is_heif(start: bytes) -> bool:
  """Returns whether a file that starts so holds HEIF images."""
  return start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS

"""Which way is up: EXIF orientations, 1 (upright) to 8.

Labels are of one of two frames: the pixels as stored (COCO's tools, detectron2)
or the upright picture that viewers show (browsers, hence Label Studio and CVAT;
Ultralytics).
"""

import numpy as np
import PIL.Image

from darkjax.data.images import png

_ORIENTATION = 0x0112  # EXIF's tag
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


def orientation(image: PIL.Image.Image) -> int:
  """Returns the EXIF orientation, 1 to 8; 1, upright, where there is none."""
  if getattr(image, "fp", None) and image.format == "PNG":
    # Pillow would decode the pixels to look for it.
    if not any(map(_may_hold_exif, *zip(*png.chunks(image), strict=True))):
      return 1
  try:
    value = image.getexif().get(_ORIENTATION)
  except Exception:  # a broken tag; the pixels may be fine
    return 1
  return value if isinstance(value, int) and 2 <= value <= 8 else 1


def _may_hold_exif(name: bytes, content: bytes) -> bool:
  texts = (b"Raw profile type", b"XML:com.adobe.xmp")
  is_text = name in (b"tEXt", b"zTXt", b"iTXt") and content.startswith(texts)
  return name == b"eXIf" or is_text


def stored_size(image: PIL.Image.Image) -> tuple[int, int]:
  """Returns the (height, width), px, of an image not yet decoded, as stored."""
  tags = getattr(image, "tag_v2", None)
  if image.format == "TIFF" and tags is not None:  # Pillow's is the upright one
    return int(tags[_TIFF_HEIGHT]), int(tags[_TIFF_WIDTH])
  return image.size[1], image.size[0]


def frame_size(
  stored: tuple[int, int], orientation: int, *, upright: bool
) -> tuple[int, int]:
  """Returns the (height, width), px, of one of an image's two frames.

  >>> frame_size((6, 8), 5, upright=True)
  (8, 6)
  """
  return stored[::-1] if upright and orientation >= 5 else stored


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
  """Turns stored pixels [H, W, ...] upright, by an EXIF orientation 1 to 8."""
  if orientation >= 5:
    array = array.swapaxes(0, 1)
  rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
  columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
  return np.ascontiguousarray(array[rows, columns])


def turn_back(array: np.ndarray, orientation: int) -> np.ndarray:
  """Inverse of `turn`."""
  return turn(array, {6: 8, 8: 6}.get(orientation, orientation))

"""Images of more than 8 bits per channel, as 8 bits.

They are scaled by the range that the file states (sBIT of a PNG; BitsPerSample,
MaxSampleValue or SMaxSampleValue of a TIFF), else by that of 16 bits, of which
the upper 8 are kept. A camera's 12 bits in 16 without a statement look nearly
black: there is a warning.
"""

import contextlib
import logging
import os
import sys
from typing import Any

import numpy as np
import PIL.Image

from darkjax.data.images import png

_LOG = logging.getLogger(__name__)

_FULL = 2**16 - 1
_DARK = 2**12  # largest values below it are warned of
_BITS_PER_SAMPLE, _MAX_SAMPLE, _SMAX_SAMPLE = 258, 281, 341  # tags of TIFF


def is_deep(image: PIL.Image.Image) -> bool:
  """Returns whether an image, not yet loaded, has over 8 bits per channel."""
  return image.mode.startswith("I") or bool(_raw_mode(image))


def stated_maximum(image: PIL.Image.Image) -> int | None:
  """Returns the largest value that a file, not yet loaded, says it may hold."""
  if image.format == "PNG":
    found = [content for name, content in png.chunks(image) if name == b"sBIT"]
    return 2 ** max(found[0][:4]) - 1 if found and found[0] else None
  tags = getattr(image, "tag_v2", None)
  if image.format != "TIFF" or tags is None:
    return None
  bits = 2 ** max(_numbers(tags.get(_BITS_PER_SAMPLE))) - 1
  stated = _numbers(tags.get(_MAX_SAMPLE)) + _numbers(tags.get(_SMAX_SAMPLE))
  stated = [value for value in [bits, *stated] if 255 < value < _FULL]
  return int(min(stated)) if stated else None


def to_bytes(values: np.ndarray, stated: int | None, name: Any) -> np.ndarray:
  """Scales values 0..65535 to uint8; `stated` is of `stated_maximum`.

  A statement that the values exceed does not count: a PNG's sBIT usually goes
  with values that were stretched to all 16 bits.
  """
  largest = int(values.max(initial=0))
  if stated is None or largest > stated:
    stated = _FULL
    if 0 < largest < _DARK:
      _LOG.warning(
        "%s: largest value %d of %d: read dark; scale it to 16 bits, or let "
        "the file state its range (MaxSampleValue of a TIFF, sBIT of a PNG)",
        name, largest, _FULL,
      )  # fmt: skip
  scaled = values.astype(np.int64) * 256 // (stated + 1)
  return np.clip(scaled, 0, 255).astype(np.uint8)


def read_colours(
  name: str | os.PathLike[str], high: np.ndarray, stated: int | None
) -> np.ndarray:
  """Returns a deep colour file as uint8, from its upper bytes `high`.

  Pillow reads these alone. Where they say too little, the lower ones are read
  by naming the other order of bytes, unless `name` is of no file.
  """
  if stated is None and high.max(initial=0) >= _DARK // 256:
    return high
  low = np.zeros_like(high)
  if os.path.isfile(name):
    with PIL.Image.open(name) as image:
      image.tile = [_swapped(tile) for tile in image.tile]
      with contextlib.suppress(KeyError, ValueError):  # no such order, as of LA
        low = np.asarray(image)[..., : high.shape[2]]
  values = high.astype(np.int64) * 256 + low
  return to_bytes(values, stated, name)


def _raw_mode(image: PIL.Image.Image) -> str:
  """RGB;16B and such, of a colour image not yet loaded; else ""."""
  for tile in getattr(image, "tile", ()):
    mode = tile[3][0] if isinstance(tile[3], tuple) else tile[3]
    if isinstance(mode, str) and ";16" in mode:
      return mode
  return ""


def _swapped(tile: Any) -> Any:
  """A tile whose bytes are named in the other order."""
  native = "L" if sys.byteorder == "little" else "B"
  order = {"L": "B", "B": "L", "N": "B" if native == "L" else "L"}

  def swap(mode: str) -> str:
    return mode[:-1] + order[mode[-1]]

  args = tile[3]
  args = (swap(args[0]), *args[1:]) if isinstance(args, tuple) else swap(args)
  parts = (*tile[:3], args)
  return tile._make(parts) if hasattr(tile, "_make") else parts


def _numbers(value: Any) -> list[int]:
  """A tag's values; [0] for none."""
  values = value if isinstance(value, tuple) else (value,)
  return [int(v) for v in values if isinstance(v, int | float)] or [0]

"""Animations and pages of pictures as frames, by Pillow: GIF, WebP, TIFF."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import PIL.Image

from darkjax.data.images import encoded, photo

_LOG = logging.getLogger(__name__)

SUFFIXES = (".gif", ".webp", ".png", ".apng", ".tif", ".tiff", ".avif")
_DEFAULT_RATE = 10.0  # frames/s, as browsers show GIFs without durations


class Animation(NamedTuple):
  """An open animation."""

  num_frames: int
  rate: float  # frames/s, by the duration of the first frame
  frames: Iterator[tuple[float, np.ndarray]]  # seconds, [H, W, 3] uint8 RGB


def is_animated(path: pathlib.Path) -> bool:
  """Returns whether a file is a picture of several frames or pages."""
  if path.suffix.lower() not in SUFFIXES or not path.is_file():
    return False
  try:
    return encoded.read_header(path).num_frames > 1
  except (OSError, ValueError):  # reported where it is read
    return False


@contextlib.contextmanager
def open_animation(
  path: pathlib.Path, *, upright: bool = True
) -> Iterator[Animation]:
  """Opens a picture of several frames."""
  with photo.open_file(path) as image:
    with photo.decoding(path):
      duration = _duration(image)
    if not duration:
      _LOG.warning(
        "%s: its frames have no durations; %g frames/s assumed",
        path.name, _DEFAULT_RATE,
      )  # fmt: skip
    rate = 1 / duration if duration else _DEFAULT_RATE
    frames = _read_frames(image, path, rate, upright)
    yield Animation(getattr(image, "n_frames", 1), rate, frames)


def _read_frames(
  image: PIL.Image.Image, path: pathlib.Path, rate: float, upright: bool
) -> Iterator[tuple[float, np.ndarray]]:
  seconds, size = 0.0, None
  count = getattr(image, "n_frames", 1)
  for n in range(count):
    name = f"{path} (frame {n})"
    try:
      with photo.decoding(name):
        image.seek(n)
      pixels = photo.pixels(image, upright=upright, name=name)
    except ValueError as error:
      if n == 0:
        raise
      _LOG.warning("only %d of %d frames can be read: %s", n, count, error)
      return
    size = size or pixels.shape
    if pixels.shape != size:
      raise ValueError(
        f"{name} has {pixels.shape[1]}x{pixels.shape[0]} px, the first one "
        f"{size[1]}x{size[0]}: no video; write each page to a file of its own"
      )
    yield seconds, pixels
    seconds += _duration(image) or 1 / rate


def _duration(image: PIL.Image.Image) -> float:
  """Seconds that the current frame is shown; 0 where the file has none."""
  image.load()  # some formats have it from here on
  value = image.info.get("duration", 0)
  return float(value) / 1000 if isinstance(value, int | float) else 0.0

"""Videos and webcams by OpenCV, an extra: `pip install "darkjax[video]"`."""

import contextlib
import logging
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images import photo

_LOG = logging.getLogger(__name__)

# Frames per second of videos and cameras that do not give it.
_DEFAULT_RATE = 30.0


def is_camera(name: str) -> bool:
  """Returns whether an argument is the number of a webcam."""
  return name.isdecimal() and not pathlib.Path(name).exists()


class Video(NamedTuple):
  """An open video or webcam."""

  name: str  # of the file without its folder, or "webcam0"
  num_frames: int  # 0 if the file does not give it
  rate: float  # frames/s
  frames: Iterator[np.ndarray]  # [H, W, 3] uint8 RGB; ValueError if none


@contextlib.contextmanager
def open_video(name: str, max_frames: int | None = None) -> Iterator[Video]:
  """Opens a video file or, for a number, that webcam."""
  cv2, camera = _import_opencv(), is_camera(name)
  if not camera and not pathlib.Path(name).is_file():
    raise FileNotFoundError(f"no video {name}")
  capture = cv2.VideoCapture(int(name) if camera else name)
  try:
    if camera and not capture.isOpened():
      raise FileNotFoundError(f"webcam {name} cannot be opened")
    if not capture.isOpened():
      raise ValueError(f"{name} is not a video that OpenCV can read")
    sides = cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH
    height, width = (int(capture.get(side)) for side in sides)
    photo.check_size((height, width), name)
    rate = capture.get(cv2.CAP_PROP_FPS)
    if not 0 < rate < 1000:
      _LOG.warning("%s has no frame rate; %g assumed", name, _DEFAULT_RATE)
      rate = _DEFAULT_RATE
    count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    name = f"webcam{name}" if camera else pathlib.Path(name).name
    frames = _read_frames(capture, name, count, max_frames)
    yield Video(name, count, rate, frames)
  finally:
    capture.release()


def _read_frames(capture, name, count, max_frames) -> Iterator[np.ndarray]:
  index = 0
  while max_frames is None or index < max_frames:
    success, bgr = capture.read()
    if not success:
      break
    yield np.ascontiguousarray(bgr[..., ::-1])
    index += 1
  if index == 0:
    raise ValueError(f"{name} has no frame that OpenCV can decode")
  if index < min(count, max_frames or count):
    _LOG.warning("%s: only %d of %d frames can be read", name, index, count)


@contextlib.contextmanager
def open_writer(
  path: pathlib.Path, rate: float
) -> Iterator[Callable[[np.ndarray], None]]:
  """Yields a function that appends a uint8 RGB frame to an MP4 (MPEG-4 part 2).

  Frames [H, W, 3] have one size; the rate is their number per second.
  """
  cv2 = _import_opencv()
  writers: list[Any] = []

  def write(rgb: np.ndarray) -> None:
    if not writers:
      code = cv2.VideoWriter_fourcc(*"mp4v")
      writers.append(cv2.VideoWriter(str(path), code, rate, rgb.shape[1::-1]))
      if not writers[0].isOpened():
        raise OSError(f"OpenCV cannot write {path}; check folder and disk")
    writers[0].write(np.ascontiguousarray(rgb[..., ::-1]))

  try:
    yield write
  finally:
    for writer in writers:
      writer.release()


def _import_opencv() -> Any:
  try:
    import cv2  # an extra
  except ImportError as error:
    raise ImportError(
      "videos and webcams need OpenCV, which is not installed; "
      'pip install "darkjax[video]"'
    ) from error
  return cv2

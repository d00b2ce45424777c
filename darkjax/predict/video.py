"""Videos and webcams by PyAV, an extra: `pip install "darkjax[video]"`."""

import contextlib
import fractions
import itertools
import logging
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images import photo
from darkjax.runtime import extras

_LOG = logging.getLogger(__name__)

# Frames per second of videos and cameras that do not give it.
_DEFAULT_RATE = 30.0

# Seconds; MPEG-4 part 2 counts at most 65535 a second.
_TICK = fractions.Fraction(1, 60000)

_PLATFORM = sys.platform
_AS_STORED = np.eye(2)  # a display matrix


def is_camera(name: str) -> bool:
  """Returns whether an argument is the number of a webcam."""
  return name.isdecimal() and not pathlib.Path(name).exists()


class Video(NamedTuple):
  """An open video or webcam."""

  name: str  # of the file without its folder, or "webcam0"
  num_frames: int  # 0 if the file does not give it
  rate: float  # frames/s, the mean of the file
  # Seconds from the first frame, rising, and [H, W, 3] uint8 RGB; ValueError
  # if there is no frame.
  frames: Iterator[tuple[float, np.ndarray]]


@contextlib.contextmanager
def open_video(
  name: str, max_frames: int | None = None, *, upright: bool = True
) -> Iterator[Video]:
  """Opens a video file or, for a number, that webcam.

  Times are the file's own, of a webcam those of capture. Frames are turned
  `upright` as the file's display matrix says.
  """
  camera = is_camera(name)
  with _open_file(name, camera) as file:
    if not file.streams.video:
      raise ValueError(f"{name} has no pictures, only sound or text")
    stream = file.streams.video[0]
    if stream.codec_context is None:
      raise ValueError(f"{name}: PyAV has no decoder for its pictures")
    stream.thread_type = "AUTO"
    photo.check_size((stream.height, stream.width), name)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if not 0 < rate < 1000:
      _LOG.warning("%s has no frame rate; %g assumed", name, _DEFAULT_RATE)
      rate = _DEFAULT_RATE
    name = f"webcam{name}" if camera else pathlib.Path(name).name
    count = 0 if camera else stream.frames
    frames = _read_frames(_decode(file, name), name, count, rate, upright)
    yield Video(name, count, rate, itertools.islice(frames, max_frames))


def _open_file(name: str, camera: bool) -> Any:
  av = _import_pyav()
  if camera:
    address, options = _find_camera(name)
  elif pathlib.Path(name).is_file():
    # Absolute, as FFmpeg takes "a:b.mp4" for an address.
    address = str(pathlib.Path(name).absolute())
    options = {"metadata_errors": "replace"}
  else:
    raise FileNotFoundError(f"no video {name}")
  try:
    return av.open(address, **options)
  except (av.error.FFmpegError, ValueError) as error:
    reason = getattr(error, "strerror", None) or error
    if camera:
      raise FileNotFoundError(
        f"webcam {name} cannot be opened as {address} ({reason})"
      ) from error
    raise ValueError(
      f"{name} is not a video that FFmpeg can read ({reason})"
    ) from error


def _find_camera(number: str) -> tuple[str, dict[str, Any]]:
  """Returns how this platform's FFmpeg opens a webcam: address and options."""
  if _PLATFORM == "darwin":
    # Its default of 29.97 frames/s is refused by cameras that have 30.
    return number, {"format": "avfoundation", "options": {"framerate": "30"}}
  if _PLATFORM != "win32":
    return f"/dev/video{number}", {"format": "v4l2"}
  av = _import_pyav()
  if not hasattr(av, "enumerate_input_devices"):
    raise ImportError("webcams on Windows need PyAV 17: pip install -U av")
  cameras = [
    device.name
    for device in av.enumerate_input_devices("dshow")
    if "video" in device.media_types
  ]
  if int(number) >= len(cameras):
    raise FileNotFoundError(
      f"no webcam {number}: {len(cameras)} are there, counted from 0"
    )
  return f"video={cameras[int(number)]}", {"format": "dshow"}


def _packets(file: Any) -> Iterator[Any]:
  """Yields the packets of the pictures as they come."""
  while True:
    try:
      yield from file.demux(file.streams.video[0])
      return
    except BlockingIOError:  # AVFoundation has no new frame yet
      time.sleep(0.002)


def _decode(file: Any, name: str) -> Iterator[Any]:
  """Yields the frames that can be decoded; warns of the others."""
  error_type = _import_pyav().error.FFmpegError
  num_damaged = 0
  try:
    for packet in _packets(file):
      try:
        frames = packet.decode()
      except error_type:
        num_damaged += 1
        continue
      yield from frames
  except error_type as error:  # of the file, not of a frame
    _LOG.warning("%s: the rest cannot be read (%s)", name, error.strerror)
  if num_damaged:
    _LOG.warning("%s: %d damaged parts are left out", name, num_damaged)


def _read_frames(
  decoded: Iterator[Any], name: str, count: int, rate: float, upright: bool
) -> Iterator[tuple[float, np.ndarray]]:
  start, index = 0.0, 0
  seconds = -1 / rate
  size: dict[str, int] = {}  # of the first frame
  shown = _AS_STORED
  for frame in decoded:
    if index == 0:
      start = frame.time or 0.0
      size = {"width": frame.width, "height": frame.height}
      # The file's; PyAV keeps each frame that is asked for it for long.
      shown = _display_matrix(frame) if upright else _AS_STORED
    # Some files have frames without a time, or two with the same.
    time = seconds if frame.time is None else frame.time - start
    seconds = time if time > seconds else seconds + 1 / rate
    rgb = frame.to_ndarray(format="rgb24", **size)
    yield seconds, _turn(rgb, shown)
    index += 1
  if index == 0:
    raise ValueError(f"{name} has no frame that FFmpeg can decode")
  if index < count:
    _LOG.warning("%s: only %d of %d frames can be read", name, index, count)


def _display_matrix(frame: Any) -> np.ndarray:
  """Returns ((a, b), (c, d)): (x, y) is shown at (a·x + c·y, b·x + d·y)."""
  data = frame.side_data.get("DISPLAYMATRIX")
  if data is None:
    return _AS_STORED
  fixed = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2]
  return fixed / 2**16


def _turn(rgb: np.ndarray, shown: np.ndarray) -> np.ndarray:
  """Turns and mirrors pixels by a display matrix, in steps of 90°."""
  (a, b), (c, d) = shown
  x, y = a, d
  if abs(b) > abs(a):
    rgb, x, y = rgb.swapaxes(0, 1), c, b
  return np.ascontiguousarray(rgb[:: -1 if y < 0 else 1, :: -1 if x < 0 else 1])


@contextlib.contextmanager
def open_writer(
  path: pathlib.Path, rate: float
) -> Iterator[Callable[[np.ndarray, float], None]]:
  """Yields a function that appends a uint8 RGB frame and its time to an MP4.

  It is named PATH.part until it is complete: after an error an older one stays.
  It is H.264, which browsers play, or MPEG-4 part 2, with a warning, where PyAV
  was built without x264. Frames [H, W, 3] have one size; an odd side gets its
  last row or column twice. Times are seconds and rise; `rate` is about the
  number of frames per second.
  """
  av = _import_pyav()
  part = path.absolute().with_name(f"{path.name}.part")
  file: Any = None
  stream: Any = None
  ticks = -1

  def write(rgb: np.ndarray, seconds: float) -> None:
    nonlocal file, stream, ticks
    if file is None:
      file = av.open(str(part), "w", format="mp4")
      stream = _add_stream(file, rgb.shape, rate)
    odd = [(0, side % 2) for side in rgb.shape[:2]]
    padded = np.pad(rgb, [*odd, (0, 0)], "edge")
    frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
    frame.pts = max(round(seconds / _TICK), ticks + 1)
    frame.time_base = _TICK
    file.mux(stream.encode(frame))
    ticks = frame.pts

  try:
    yield write
  finally:
    if file is not None:
      if stream is not None:
        file.mux(stream.encode())
      file.close()
  if ticks >= 0:
    part.replace(path)


def _add_stream(file: Any, shape: tuple[int, ...], rate: float) -> Any:
  av = _import_pyav()
  try:
    av.Codec("libx264", "w")
    codec, options = "libx264", {"crf": "20", "preset": "veryfast"}
  except ValueError:
    codec, options = "mpeg4", {"qmin": "3", "qmax": "3"}
    _LOG.warning(
      "PyAV has no x264 here: the video is MPEG-4 part 2, which players show "
      "but browsers do not"
    )
  nearest = fractions.Fraction(rate).limit_denominator(1001)
  stream = file.add_stream(codec, rate=nearest, options=options)
  stream.height, stream.width = (side + side % 2 for side in shape[:2])
  stream.pix_fmt = "yuv420p"
  stream.codec_context.time_base = _TICK
  return stream


def _import_pyav() -> Any:
  return extras.load("av", extra="video", purpose="a video or webcam")

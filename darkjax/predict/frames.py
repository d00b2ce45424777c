"""Pictures to predict on, one after the other: photographs, a video, a webcam.

Videos go through OpenCV, an extra: `pip install "darkjax[video]"`.
"""

import contextlib
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images import photo as image_lib
from darkjax.inference.boxes import BoxFile
from darkjax.predict import photographs

_LOG = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg")

# Frames per second where a video or a camera does not tell.
_DEFAULT_RATE = 30.0


class Frame(NamedTuple):
  """One picture.

  Attributes:
    name: of the file, without its folder.
    image_id: the number it has in results, see `photographs.image_ids`; in a
      video the index of the frame.
    seconds: from the start of the video; nan for photographs.
    pixels: [H, W, 3] uint8 RGB.
  """

  name: str
  image_id: int
  seconds: float
  pixels: np.ndarray


class Source(NamedTuple):
  """Frames to come.

  Attributes:
    frames: read one at a time as they are asked for.
    count: how many, as far as known, else None.
    rate: frames per second of a video; None for photographs.
    name: of the video without suffix; "" for photographs.
    live: frames come from a camera.
    boxes: by image id, (boxes [N, 4] in image px, scores [N]); None without a
      file of them.
    unreadable: grows by each photograph that cannot be read, which is left out.
  """

  frames: Iterator[Frame]
  count: int | None
  rate: float | None
  name: str
  live: bool = False
  boxes: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None
  unreadable: Sequence[str] = ()


def choose(
  inputs: Sequence[str],
  boxes: BoxFile | None = None,
  *,
  out: pathlib.Path,
  upright: bool | None = None,
  max_frames: int | None = None,
) -> contextlib.AbstractContextManager[Source]:
  """The frames that the command's arguments name.

  Args:
    inputs: photographs and folders, or one video, or one webcam's number.
    boxes: must know one of the pictures; a video's frames by their index.
    out: folder of the overlays; not the inputs' own.
    upright: turn photographs by their EXIF tag. None is only without boxes, as
      labels count the pixels as stored (COCO's tools do).
    max_frames: stop after so many pictures.

  Returns:
    A context whose value is the `Source`.

  Raises:
    FileNotFoundError: an input is not there.
    ValueError: the inputs do not go together or with `boxes` or `out`.
  """
  if not inputs:
    raise ValueError("name photographs, a folder, a video or a webcam's number")
  videos = [given for given in inputs if _is_video(given)]
  if not videos:
    upright = boxes is None if upright is None else upright
    found = _photos(inputs, boxes, out, upright, max_frames)
    return contextlib.nullcontext(found)
  if len(inputs) > 1:
    raise ValueError(
      f"a run takes photographs or one video, got {list(inputs)}; give each "
      "video a run and an --out of its own"
    )
  _check_apart(out, pathlib.Path(videos[0]))
  return video(videos[0], boxes, max_frames=max_frames)


def _photos(inputs, boxes, out, upright, max_frames) -> Source:
  paths = photographs.find(inputs)[:max_frames]
  for path in paths:
    _check_apart(out, path)
  keys = [boxes.key(path) if boxes else None for path in paths]
  ids = photographs.image_ids(
    paths, [key if isinstance(key, int) else None for key in keys]
  )
  found = photos(paths, ids, upright=upright)
  if boxes is None:
    return found
  known = {
    image_id: boxes.of(key)
    for image_id, key in zip(ids, keys, strict=True)
    if len(boxes.of(key)[0])
  }
  if not known:
    raise ValueError(
      f"no box belongs to any of the {len(paths)} photographs: the json knows "
      f"{list(boxes.people)[:3]}, the first photograph is {paths[0].name}; "
      "give file_name in the json, or name photographs by their image_id"
    )
  return found._replace(boxes=known)


def _check_apart(out: pathlib.Path, given: pathlib.Path) -> None:
  if out.resolve() == given.resolve().parent:
    raise ValueError(
      f"--out={out} is the folder of {given.name}, whose overlay would "
      "overwrite it; name another folder"
    )


def _is_video(path: str) -> bool:
  """Whether a command's argument names a video or the number of a webcam."""
  return _is_camera(path) or (
    pathlib.Path(path).suffix.lower() in VIDEO_SUFFIXES
  )


def _is_camera(given: str) -> bool:
  return given.isdecimal() and not pathlib.Path(given).exists()


def photos(
  paths: Sequence[pathlib.Path], ids: Sequence[int], *, upright: bool
) -> Source:
  """Photographs from files; see `image.read` for `upright`."""
  unreadable = []

  def frames():
    for path, n in zip(paths, ids, strict=True):
      try:
        pixels = image_lib.read(path, upright=upright)
      except (OSError, ValueError) as error:
        _LOG.error("left out: %s", error)
        unreadable.append(path.name)
        continue
      yield Frame(path.name, n, float("nan"), pixels)

  return Source(frames(), len(paths), None, "", unreadable=unreadable)


@contextlib.contextmanager
def video(
  given: str,
  boxes: BoxFile | None = None,
  *,
  max_frames: int | None = None,
) -> Iterator[Source]:
  """Frames of a video file or, for a number, of that webcam.

  Args:
    given: path, or the webcam's number as text.
    boxes: must know one of the frames, by its index as image_id.
    max_frames: stop after so many; a webcam never ends by itself.

  Yields:
    The source; times follow from the frame rate, which is taken as constant.

  Raises:
    FileNotFoundError: no such file or webcam.
    ImportError: OpenCV is not installed.
    ValueError: not a video, of frames larger than `image.MAX_PIXELS`, or boxes
      of other pictures.
  """
  cv2, camera = _opencv(), _is_camera(given)
  if not camera and not pathlib.Path(given).is_file():
    raise FileNotFoundError(f"no video {given}")
  capture = cv2.VideoCapture(int(given) if camera else given)
  try:
    if camera and not capture.isOpened():
      raise FileNotFoundError(f"webcam {given} cannot be opened")
    if not capture.isOpened():
      raise ValueError(f"{given} is not a video that OpenCV can read")
    image_lib.check_size(_frame_size(capture, cv2), given)
    rate = _rate(capture.get(cv2.CAP_PROP_FPS), given)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    limits = [n for n in (max_frames, count if count > 0 else None) if n]
    limit = min(limits, default=None)
    name = f"webcam{given}" if camera else pathlib.Path(given).name
    frames = _read_frames(capture, name, rate, max_frames, count)
    known = None if boxes is None else _frame_boxes(boxes, name, limit)
    stem = pathlib.Path(name).stem
    yield Source(frames, limit, rate, stem, camera, known)
  finally:
    capture.release()


def _frame_size(capture, cv2) -> tuple[int, int]:
  height = capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
  return int(height), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def _rate(rate: float, given: str) -> float:
  if 0 < rate < 1000:
    return rate
  _LOG.warning("%s tells no frame rate; taken as %g", given, _DEFAULT_RATE)
  return _DEFAULT_RATE


def _frame_boxes(boxes, name, limit):
  """The boxes of a video by the index of the frame."""
  last = np.inf if limit is None else limit - 1
  known = {
    key: found
    for key, found in boxes.people.items()
    if isinstance(key, int) and 0 <= key <= last
  }
  if not known:
    raise ValueError(
      f"no box belongs to any frame of {name}: the json knows "
      f"{list(boxes.people)[:3]}; frames are known by image_id, counted from 0"
    )
  return known


def _read_frames(capture, name, rate, max_frames, count) -> Iterator[Frame]:
  index = 0
  while max_frames is None or index < max_frames:
    there, bgr = capture.read()
    if not there:
      break
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    yield Frame(name, index, index / rate, rgb)
    index += 1
  if index == 0:
    raise ValueError(f"{name} has no frame that OpenCV can decode")
  if index < min(count, max_frames or count):
    _LOG.warning("%s: only %d of %d frames can be read", name, index, count)


@contextlib.contextmanager
def video_writer(
  path: pathlib.Path, rate: float
) -> Iterator[Callable[[np.ndarray], None]]:
  """Writes an MP4 (MPEG-4 part 2), frame by frame.

  Args:
    path: of the file, ending in .mp4.
    rate: frames per second.

  Yields:
    A function that takes [H, W, 3] uint8 RGB frames of one size.
  """
  cv2, writers = _opencv(), []

  def write(rgb: np.ndarray) -> None:
    if not writers:
      size = rgb.shape[1::-1]
      code = cv2.VideoWriter_fourcc(*"mp4v")
      writers.append(cv2.VideoWriter(str(path), code, rate, size))
      if not writers[0].isOpened():
        raise OSError(f"OpenCV cannot write {path}; check folder and disk")
    writers[0].write(np.ascontiguousarray(rgb[..., ::-1]))

  try:
    yield write
  finally:
    for writer in writers:
      writer.release()


def _opencv() -> Any:
  try:
    import cv2  # an extra
  except ImportError as error:
    raise ImportError(
      "videos and webcams need OpenCV, which is not installed; "
      'pip install "darkjax[video]"'
    ) from error
  return cv2

"""Pictures to predict on, one after the other: photographs, a video, a webcam.

Videos go through OpenCV, an extra: `pip install "darkjax[video]"`.
"""

import contextlib
import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax import image as image_lib
from darkjax.boxes import BoxFile

_LOG = logging.getLogger(__name__)

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg")

# Frames per second where a video or a camera does not tell.
_DEFAULT_RATE = 30.0


class Frame(NamedTuple):
  """One picture.

  Attributes:
    name: of the file, without its folder.
    image_id: the number it has in results, see `photo_ids`; in a video the
      index of the frame.
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
  """

  frames: Iterator[Frame]
  count: int | None
  rate: float | None
  name: str
  live: bool = False


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
    boxes: must know one of the photographs.
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
  return video(videos[0], max_frames=max_frames)


def _photos(inputs, boxes, out, upright, max_frames) -> Source:
  paths = photo_paths(inputs)[:max_frames]
  for path in paths:
    _check_apart(out, path)
  ids = photo_ids(paths, boxes.image_ids if boxes else {})
  known = boxes is None or [
    path
    for path, n in zip(paths, ids, strict=True)
    if len(boxes.of(path.name, n)[0])
  ]
  if not known:
    raise ValueError(
      f"no box belongs to any of the {len(paths)} photographs: the json knows "
      f"{list(boxes.people)[:3]}, the first photograph is {paths[0].name} "
      f"(image_id {ids[0]}); give file_name in the json"
    )
  return photos(paths, ids, upright=upright)


def _check_apart(out: pathlib.Path, given: pathlib.Path) -> None:
  if out.resolve() == given.resolve().parent:
    raise ValueError(
      f"--out={out} is the folder of {given.name}, whose overlay would "
      "overwrite it; name another folder"
    )


def _is_video(path: str) -> bool:
  """Whether a command's argument names a video or the number of a webcam."""
  return path.isdigit() or pathlib.Path(path).suffix.lower() in VIDEO_SUFFIXES


def photo_paths(inputs: Sequence[str]) -> list[pathlib.Path]:
  """The files that are named, and the photographs of folders, sorted.

  Raises:
    FileNotFoundError: a path that is not there, or a folder without any.
    ValueError: two files of the same name, which results could not tell apart.
  """
  paths = [path for given in inputs for path in _expand(pathlib.Path(given))]
  names = [path.name for path in paths]
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(
      f"results and overlays know photographs by their file names, got twice: "
      f"{', '.join(twice[:3])}; predict each folder in a run of its own"
    )
  return paths


def _expand(path: pathlib.Path) -> list[pathlib.Path]:
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise FileNotFoundError(f"no photograph, folder or video {path}")
  found = sorted(
    p for p in path.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES
  )
  if not found:
    raise FileNotFoundError(
      f"folder {path} holds no photographs ({', '.join(PHOTO_SUFFIXES)})"
    )
  return found


def photo_ids(
  paths: Sequence[pathlib.Path], known: dict[str, int]
) -> list[int]:
  """COCO's image id of each photograph.

  Those a json file told; else, if all names are numbers as in
  000000000139.jpg, these numbers; else their positions, from 0.

  Args:
    paths: the photographs.
    known: id by file name; used if it knows all.
  """
  if known and all(path.name in known for path in paths):
    return [known[path.name] for path in paths]
  if all(path.stem.isdecimal() for path in paths):
    return [int(path.stem) for path in paths]
  return list(range(len(paths)))


def photos(
  paths: Sequence[pathlib.Path], ids: Sequence[int], *, upright: bool
) -> Source:
  """Photographs from files; see `image.read` for `upright`."""
  frames = (
    Frame(path.name, n, float("nan"), image_lib.read(path, upright=upright))
    for path, n in zip(paths, ids, strict=True)
  )
  return Source(frames, len(paths), None, "")


@contextlib.contextmanager
def video(given: str, *, max_frames: int | None = None) -> Iterator[Source]:
  """Frames of a video file or, for a number, of that webcam.

  Args:
    given: path, or the webcam's number as text.
    max_frames: stop after so many; a webcam never ends by itself.

  Yields:
    The source; times follow from the frame rate, which is taken as constant.

  Raises:
    FileNotFoundError: no such file or webcam.
    ImportError: OpenCV is not installed.
    ValueError: not a video, or of frames larger than `image.MAX_PIXELS`.
  """
  cv2, camera = _opencv(), given.isdigit()
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
    yield Source(frames, limit, rate, pathlib.Path(name).stem, camera)
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

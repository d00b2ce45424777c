"""Pictures to predict on: photographs, the frames of a video or a webcam."""

import collections
import contextlib
import itertools
import logging
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.data.images import photo
from darkjax.inference.boxes import BoxFile
from darkjax.predict import video

_LOG = logging.getLogger(__name__)

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg")

# Boxes [N, 4] (x, y, w, h) in image px and their scores [N], by image id.
BoxesById = Mapping[int, tuple[np.ndarray, np.ndarray]]


class Picture(NamedTuple):
  """A photograph, or a frame of a video."""

  name: str  # of the file, without its folder
  image_id: int  # in results, see `image_ids`; of a frame its index
  seconds: float  # from the start of the video; nan for photographs
  pixels: np.ndarray  # [H, W, 3] uint8 RGB


class Pictures(NamedTuple):
  """Pictures of a run, read when they are asked for."""

  stream: Iterator[Picture]
  num_pictures: int | None  # None for a camera without an end
  rate: float | None = None  # frames/s of a video; None for photographs
  name: str = ""  # of the video without suffix; "" for photographs
  live: bool = False  # frames come from a camera
  boxes: BoxesById | None = None  # None without a file of them
  unreadable: Sequence[str] = ()  # names of photographs, so far


def open_inputs(
  inputs: Sequence[str],
  boxes: BoxFile | None = None,
  *,
  out: pathlib.Path,
  upright: bool | None = None,
  max_pictures: int | None = None,
) -> contextlib.AbstractContextManager[Pictures]:
  """Opens photographs and folders, or one video, or one webcam's number.

  A video's frames have their index as image id. Photographs are turned
  `upright` by default unless there are boxes, as COCO's tools count the pixels
  as stored.

  Raises:
    FileNotFoundError: an input does not exist.
    ValueError: the inputs do not fit together or with `boxes` or `out`.
  """
  if not inputs:
    raise ValueError("name photographs, a folder, a video or a webcam's number")
  if not any(map(_is_video, inputs)):
    upright = boxes is None if upright is None else upright
    paths = find_photographs(inputs)[:max_pictures]
    for path in paths:
      _check_folder(out, path)
    return contextlib.nullcontext(_open_photographs(paths, boxes, upright))
  if len(inputs) > 1:
    raise ValueError(
      f"a run takes photographs or one video, got {list(inputs)}; give each "
      "video a run and an --out of its own"
    )
  _check_folder(out, pathlib.Path(inputs[0]))
  return open_frames(inputs[0], boxes, max_pictures)


def _is_video(name: str) -> bool:
  suffix = pathlib.Path(name).suffix.lower()
  return video.is_camera(name) or suffix in VIDEO_SUFFIXES


def _check_folder(out: pathlib.Path, path: pathlib.Path) -> None:
  if out.resolve() == path.resolve().parent:
    raise ValueError(
      f"--out={out} is the folder of {path.name}, whose overlay would "
      "overwrite it; name another folder"
    )


def find_photographs(inputs: Sequence[str]) -> list[pathlib.Path]:
  """Returns the files given, and folders' photographs, sorted, but no .NAME."""
  paths = [path for name in inputs for path in _list_files(pathlib.Path(name))]
  counts = collections.Counter(path.name for path in paths)
  twice = sorted(name for name, count in counts.items() if count > 1)
  if twice:
    raise ValueError(
      "results and overlays identify photographs by their file names, got "
      f"twice: {', '.join(twice[:3])}; predict each folder in a run of its own"
    )
  return paths


def _list_files(path: pathlib.Path) -> list[pathlib.Path]:
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise FileNotFoundError(f"no photograph, folder or video {path}")
  photographs = sorted(
    p
    for p in path.glob("[!.]*")
    if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file()
  )
  if not photographs:
    raise FileNotFoundError(
      f"folder {path} holds no photographs ({', '.join(PHOTO_SUFFIXES)})"
    )
  return photographs


def _open_photographs(paths, boxes: BoxFile | None, upright: bool) -> Pictures:
  """Opens photographs; those that cannot be read are logged and left out."""
  keys = [boxes.key(path) if boxes else None for path in paths]
  ids = image_ids(paths, [k if isinstance(k, int) else None for k in keys])
  by_id = None
  if boxes:
    all_boxes = {n: boxes.of(key) for n, key in zip(ids, keys, strict=True)}
    by_id = {n: some for n, some in all_boxes.items() if len(some[0])}
    if not by_id:
      raise ValueError(
        f"no box belongs to any of the {len(paths)} photographs: the json has "
        f"{list(boxes.people)[:3]}, the first photograph is {paths[0].name}; "
        "give file_name in the json, or name photographs by their image_id"
      )
  unreadable: list[str] = []

  def read():
    for path, n in zip(paths, ids, strict=True):
      try:
        pixels = photo.read(path, upright=upright)
      except (OSError, ValueError) as error:
        _LOG.error("left out: %s", error)
        unreadable.append(path.name)
        continue
      yield Picture(path.name, n, float("nan"), pixels)

  return Pictures(read(), len(paths), boxes=by_id, unreadable=unreadable)


def image_ids(
  paths: Sequence[pathlib.Path], ids: Sequence[int | None]
) -> list[int]:
  """Returns a COCO image id for each photograph, no two the same.

  Photographs without one in `ids`, from a json file, get the number that is
  their name, as in 000000000139.jpg, if all of their names are different
  numbers; else the first free ones from 0 on.
  """
  counts = collections.Counter(n for n in ids if n is not None)
  pairs = list(zip(paths, ids, strict=True))
  twice = [path.name for path, n in pairs if n is not None and counts[n] > 1]
  if twice:
    raise ValueError(
      f"{', '.join(twice[:3])} are one image in the json of boxes, "
      f"{counts.most_common(1)[0][0]}; leave one of them out"
    )
  others = [path for path, n in pairs if n is None]
  numbers = {int(p.stem) for p in others if p.stem.isdecimal()} - set(counts)
  free: Iterator[int]
  if len(numbers) == len(others):
    free = (int(path.stem) for path in others)
  else:
    free = itertools.filterfalse(counts.__contains__, itertools.count())
  return [next(free) if n is None else n for n in ids]


@contextlib.contextmanager
def open_frames(
  name: str, boxes: BoxFile | None = None, max_frames: int | None = None
) -> Iterator[Pictures]:
  """Opens a video or webcam; times follow from a constant frame rate."""
  with video.open_video(name, max_frames) as opened:
    limits = [n for n in (max_frames, opened.num_frames) if n]
    limit = min(limits, default=None)
    by_id = None
    if boxes:
      by_id = {
        n: some
        for n, some in boxes.people.items()
        if isinstance(n, int) and 0 <= n < (limit or sys.maxsize)
      }
      if not by_id:
        raise ValueError(
          f"no box belongs to any frame of {opened.name}: the json has "
          f"{list(boxes.people)[:3]}; the image_id of a frame is its index, "
          "from 0"
        )
    yield Pictures(
      (
        Picture(opened.name, n, n / opened.rate, pixels)
        for n, pixels in enumerate(opened.frames)
      ),
      limit,
      rate=opened.rate,
      name=pathlib.Path(opened.name).stem,
      live=video.is_camera(name),
      boxes=by_id,
    )

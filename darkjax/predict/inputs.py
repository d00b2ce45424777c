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
from darkjax.predict import animation, video
from darkjax.predict.boxes import BoxFile
from darkjax.predict.folders import (
  Photograph,
  find_photographs,
  overlay_path,
)
from darkjax.predict.frame import choose_upright

_LOG = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
  *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv"),
  *(".flv", ".ogv", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"),
)

# Boxes [N, 4] (x, y, w, h) in image px and their scores [N], by image id.
BoxesById = Mapping[int | str, tuple[np.ndarray, np.ndarray]]


class Picture(NamedTuple):
  """A photograph, or a frame of a video."""

  name: str  # of the file, below the folder that was given
  image_id: int | str  # in results, see `image_ids`; of a frame its index
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
  recursive: bool = False,
  max_pictures: int | None = None,
) -> contextlib.AbstractContextManager[Pictures]:
  """Opens photographs and folders, or one video, or one webcam's number.

  A video's frames have their index as image id; one animated picture (GIF,
  WebP, pages of a TIFF) is a video. Videos are turned `upright` by default,
  photographs unless there are boxes, see `frame.choose_upright`. `recursive`
  reads subfolders.

  Raises:
    FileNotFoundError: an input does not exist.
    ValueError: the inputs do not fit together or with `boxes` or `out`.
  """
  if not all(inputs) or not inputs:
    raise ValueError(
      "name photographs, a folder, a video or a webcam's number, got "
      f"{list(inputs)}"
    )
  first = pathlib.Path(inputs[0])
  if len(inputs) == 1 and animation.is_animated(first):
    _check_folder(out, first)
    return _open_animation(first, boxes, upright is not False, max_pictures)
  if not any(map(_is_video, inputs)):
    photographs = find_photographs(inputs, recursive=recursive, out=out)
    _check_overlays(out, photographs)
    opened = _open_photographs(photographs[:max_pictures], boxes, upright)
    return contextlib.nullcontext(opened)
  if len(inputs) > 1:
    raise ValueError(
      f"a run takes photographs or one video, got {list(inputs)}; give each "
      "video a run and an --out of its own"
    )
  _check_folder(out, first)
  return open_frames(
    inputs[0], boxes, max_pictures, upright=upright is not False
  )


def _is_video(name: str) -> bool:
  suffix = pathlib.Path(name).suffix.lower()
  return video.is_camera(name) or suffix in VIDEO_SUFFIXES


def _check_folder(out: pathlib.Path, path: pathlib.Path) -> None:
  if out.resolve() == path.resolve().parent:
    raise ValueError(
      f"--out={out} is the folder of {path.name}, whose overlay would "
      "overwrite it; name another folder"
    )


def _check_overlays(
  out: pathlib.Path, photographs: Sequence[Photograph]
) -> None:
  given = {photograph.path.resolve() for photograph in photographs}
  drawn: dict[pathlib.Path, str] = {}
  for path, name in photographs:
    _check_folder(out, path)
    overlay = overlay_path(out, name)
    if drawn.setdefault(overlay, name) != name:
      raise ValueError(
        f"{drawn[overlay]} and {name} have one overlay, {overlay}; predict "
        "one of them in a run of its own"
      )
    if overlay.resolve() in given:
      raise ValueError(
        f"--out={out}: the overlay of {name} would overwrite the photograph "
        f"{overlay}; name another folder"
      )


def _open_photographs(
  photographs: Sequence[Photograph],
  boxes: BoxFile | None,
  upright: bool | None,
) -> Pictures:
  """Opens photographs; those that cannot be read are logged and left out."""
  paths = [photograph.path for photograph in photographs]
  keys = [boxes.key(path) if boxes else None for path in paths]
  own = [boxes.image_id(key) if boxes else None for key in keys]
  ids = image_ids(paths, own)
  by_id = None
  if boxes:
    all_boxes = {n: boxes.of(key) for n, key in zip(ids, keys, strict=True)}
    by_id = {n: some for n, some in all_boxes.items() if len(some[0])}
    if not by_id:
      raise ValueError(
        f"no box belongs to any of the {len(paths)} photographs: of the first, "
        f"{paths[0].name}, {boxes.hint(paths[0])}; give file_name in the json, "
        "or name photographs by their image_id"
      )
  if boxes:
    upright = choose_upright(paths, keys, boxes, upright)
  upright = upright is not False
  unreadable: list[str] = []
  stream = _read_photographs(photographs, ids, upright, unreadable)
  return Pictures(stream, len(paths), boxes=by_id, unreadable=unreadable)


def _read_photographs(
  photographs: Sequence[Photograph],
  ids: Sequence[int | str],
  upright: bool,
  unreadable: list[str],
) -> Iterator[Picture]:
  animated = False  # whether it was said
  for (path, name), n in zip(photographs, ids, strict=True):
    try:
      pixels = photo.read(path, upright=upright)
    except (OSError, ValueError) as error:
      _LOG.error("left out: %s", error)
      unreadable.append(name)
      continue
    if not animated and animation.is_animated(path):
      animated = True
      _LOG.warning(
        "of pictures with several frames, such as %s, the first one is used; "
        "given alone, one is read as a video",
        path,
      )
    yield Picture(name, n, float("nan"), pixels)


def image_ids(
  paths: Sequence[pathlib.Path], ids: Sequence[int | str | None]
) -> list[int | str]:
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
  name: str,
  boxes: BoxFile | None = None,
  max_frames: int | None = None,
  *,
  upright: bool = True,
) -> Iterator[Pictures]:
  """Opens a video or webcam; times are those of its frames."""
  with video.open_video(name, max_frames, upright=upright) as opened:
    limits = [n for n in (max_frames, opened.num_frames) if n]
    limit = min(limits, default=None)
    by_id = _boxes_of_frames(boxes, limit, opened.name)
    yield Pictures(
      (
        Picture(opened.name, n, *frame) for n, frame in enumerate(opened.frames)
      ),
      limit,
      rate=opened.rate,
      name=pathlib.Path(opened.name).stem,
      live=video.is_camera(name),
      boxes=by_id,
    )


@contextlib.contextmanager
def _open_animation(
  path: pathlib.Path,
  boxes: BoxFile | None,
  upright: bool,
  max_frames: int | None,
) -> Iterator[Pictures]:
  """Opens one animated picture; times follow from its frames' durations."""
  with animation.open_animation(path, upright=upright) as opened:
    limit = min(opened.num_frames, max_frames or opened.num_frames)
    frames = itertools.islice(opened.frames, limit)
    yield Pictures(
      (Picture(path.name, n, *frame) for n, frame in enumerate(frames)),
      limit,
      rate=opened.rate,
      name=path.stem,
      boxes=_boxes_of_frames(boxes, limit, path.name),
    )


def _boxes_of_frames(
  boxes: BoxFile | None, limit: int | None, name: str
) -> BoxesById | None:
  """The boxes of a video's frames, by their index; None without a file."""
  if boxes is None:
    return None
  by_id: BoxesById = {
    n: some
    for n, some in boxes.people.items()
    if isinstance(n, int) and 0 <= n < (limit or sys.maxsize)
  }
  if not by_id:
    raise ValueError(
      f"no box belongs to any frame of {name}: the json has "
      f"{list(boxes.people)[:3]}; the image_id of a frame is its index, from 0"
    )
  return by_id

"""Which way is up where boxes meet photographs that EXIF turns.

A detector counts either the pixels as stored or those of the upright picture;
the sizes in a json of boxes may say which.
"""

import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.coco.box_file import warn_of_corners
from darkjax.data.images import encoded
from darkjax.predict.boxes import BoxFile

_LOG = logging.getLogger(__name__)


class _Photograph(NamedTuple):
  path: pathlib.Path
  header: encoded.Header
  boxes: np.ndarray  # [N, 4], image px
  size: tuple[int, int] | None  # (height, width), px, in the file of boxes


def choose_upright(
  paths: Sequence[pathlib.Path],
  keys: Sequence[Any],
  boxes: BoxFile,
  upright: bool | None = None,
) -> bool:
  """Returns whether boxes are of the pictures as EXIF turns them upright.

  Where no size says so they are of the pixels as stored, with a warning.

  Args:
    paths: photographs.
    keys: of each in `boxes`.
    boxes: their file.
    upright: the answer, where it is given.

  Raises:
    ValueError: some sizes say the one, some the other, or a photograph has
      another size than the file of boxes says.
  """
  photographs = [*_with_boxes(paths, keys, boxes)]
  if upright is None:
    upright = _by_sizes(photographs)
  problems = [
    f"{path.name} {problem}"
    for path, header, _, size in photographs
    if (problem := encoded.size_problem(size, header, upright=upright))
  ]
  if problems:
    raise ValueError(
      f"{len(problems)} photographs have another size than the json of boxes "
      f"says; the first: {problems[0]}; boxes would not fit: use the images "
      "they were made on, or correct the json"
    )
  warn_of_corners(
    np.concatenate([p.boxes for p in photographs] or [np.zeros((0, 4))]),
    np.array(
      [p.header.size(upright=upright) for p in photographs for _ in p.boxes]
    ).reshape(-1, 2),
    "--boxes",
  )
  return upright


def _with_boxes(paths, keys, boxes: BoxFile) -> Iterator[_Photograph]:
  """Those that have boxes, with their headers."""
  for path, key in zip(paths, keys, strict=True):
    some, _ = boxes.of(key)
    if key is None or not len(some):
      continue
    try:
      header = encoded.read_header(path)
    except (OSError, ValueError):  # reported where it is read
      continue
    yield _Photograph(path, header, some, boxes.sizes.get(key))


def _by_sizes(photographs: Sequence[_Photograph]) -> bool:
  """Whether the boxes are of the pictures upright, by the json's sizes."""
  sizes: list[bool] = []  # of those that decide: is it the upright one
  turned: list[pathlib.Path] = []
  for path, header, _, size in photographs:
    if header.orientation == 1:
      continue
    turned.append(path)
    stored, upright = (header.size(upright=frame) for frame in (False, True))
    if size in (stored, upright) and stored != upright:
      sizes.append(size == upright)
  if not turned:
    return False
  if not sizes:
    _LOG.warning(
      "%d photographs with boxes are turned by EXIF, such as %s, and no size "
      "in the json says which pixels the boxes count: taken are the stored "
      "ones, as COCO's tools do (--stored); --upright for boxes on the "
      "picture that viewers and Ultralytics show",
      len(turned), turned[0],
    )  # fmt: skip
    return False
  if any(sizes) != all(sizes):
    raise ValueError(
      f"of {len(turned)} photographs with boxes that EXIF turns, {sum(sizes)} "
      f"have their upright size in the json and {len(sizes) - sum(sizes)} the "
      "stored one; give --upright or --stored, or predict them apart"
    )
  chosen = "upright (--upright)" if sizes[0] else "as stored (--stored)"
  _LOG.info(
    "%d photographs with boxes are turned by EXIF; by the sizes in the json "
    "the boxes are of the pictures %s",
    len(turned), chosen,
  )  # fmt: skip
  return sizes[0]

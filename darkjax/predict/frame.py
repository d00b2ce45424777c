"""Which way is up where boxes meet photographs that EXIF turns.

A detector counts either the pixels as stored or those of the upright picture;
the sizes in a json of boxes may say which.
"""

import logging
import pathlib
from collections.abc import Sequence
from typing import Any

from darkjax.data.images import encoded
from darkjax.inference.boxes import BoxFile

_LOG = logging.getLogger(__name__)


def choose_upright(
  paths: Sequence[pathlib.Path], keys: Sequence[Any], boxes: BoxFile
) -> bool:
  """Returns whether boxes are of the pictures as EXIF turns them upright.

  Where no size says so they are of the pixels as stored, with a warning.

  Args:
    paths: photographs.
    keys: of each in `boxes`.
    boxes: their file.

  Raises:
    ValueError: some sizes say the one, some the other.
  """
  sizes: list[bool] = []  # of those that decide: is it the upright one
  turned: list[pathlib.Path] = []
  for path, key in zip(paths, keys, strict=True):
    if key is None or not len(boxes.of(key)[0]):
      continue
    try:
      header = encoded.read_header(path)
    except (OSError, ValueError):  # reported where it is read
      continue
    if header.orientation == 1:
      continue
    turned.append(path)
    stored, upright = (header.size(upright=frame) for frame in (False, True))
    if boxes.sizes.get(key) in (stored, upright) and stored != upright:
      sizes.append(boxes.sizes[key] == upright)
  if not turned:
    return False
  if not sizes:
    _LOG.warning(
      "%d photographs with boxes are turned by EXIF, such as %s, and no size "
      "in the json says which pixels the boxes count: taken are the stored "
      "ones, as COCO's tools do (--noupright); --upright for boxes on the "
      "picture that viewers and Ultralytics show",
      len(turned), turned[0],
    )  # fmt: skip
    return False
  if any(sizes) != all(sizes):
    raise ValueError(
      f"of {len(turned)} photographs with boxes that EXIF turns, {sum(sizes)} "
      f"have their upright size in the json and {len(sizes) - sum(sizes)} the "
      "stored one; give --upright or --noupright, or predict them apart"
    )
  chosen = "upright (--upright)" if sizes[0] else "as stored (--noupright)"
  _LOG.info(
    "%d photographs with boxes are turned by EXIF; by the sizes in the json "
    "the boxes are of the pictures %s",
    len(turned), chosen,
  )  # fmt: skip
  return sizes[0]

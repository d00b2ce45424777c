"""People cut out of their photographs, side by side on a sheet."""

import logging
import math
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from darkjax.data.images import photo as image_lib
from darkjax.runtime.json_file import read_json
from darkjax.skeletons import Skeleton
from darkjax.viz import draw as viz

_LOG = logging.getLogger(__name__)

_TRUTH = (255, 255, 255)
_FOUND, _BASELINE = (213, 40, 0), (0, 220, 255)  # as in the paper's Fig. 5


def contact_sheet(tiles: Sequence[Image.Image], *, columns: int) -> Image.Image:
  """Tiles of one size side by side, row by row, with a small gap."""
  gap, (width, height) = 4, tiles[0].size
  rows = math.ceil(len(tiles) / columns)
  size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
  sheet = Image.new("RGB", size, "white")
  for i, tile in enumerate(tiles):
    row, column = divmod(i, columns)
    sheet.paste(tile, (column * (width + gap), row * (height + gap)))
  return sheet


def person_tile(
  photo: Image.Image,
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  truth: np.ndarray,
  visible: np.ndarray,
  baseline: np.ndarray | None = None,
  covariances: np.ndarray | None = None,
  size: tuple[int, int] = (240, 180),
) -> Image.Image:
  """The part of a photograph around a person, with the keypoints drawn.

  Args:
    photo: RGB.
    keypoints: [K, 2] found, px of the photograph.
    skeleton: its limbs and names.
    truth: [K, 2] labelled, px of the photograph; drawn as small white dots.
    visible: [K], above 0 where labelled; other keypoints are not drawn, unless
      none is labelled.
    baseline: [K, 2] found by another method, px of the photograph; drawn below
      in cyan, and the keypoints then in red.
    covariances: [K, 2, 2], px² of the photograph, see `viz.draw_skeleton`.
    size: (height, width) of the tile, px.

  Returns:
    RGB of that size.
  """
  labelled = np.asarray(visible) > 0
  shown, around = labelled, truth[labelled]
  if not labelled.any():
    shown, around = ~labelled, np.asarray(keypoints)
  box, zoom = _surroundings(around, size)
  tile = photo.transform(
    size[::-1], Image.Transform.EXTENT, box, Image.Resampling.BICUBIC
  )

  def to_tile(points):
    return (np.asarray(points) + 0.5 - box[:2]) * zoom - 0.5

  options = {"shown": shown}
  if baseline is not None:
    options["color"] = _BASELINE
    tile = viz.draw_skeleton(tile, to_tile(baseline), skeleton, **options)
    options["color"] = _FOUND
  if covariances is not None:
    options["covariances"] = np.asarray(covariances) * zoom**2
  tile = viz.draw_skeleton(tile, to_tile(keypoints), skeleton, **options)
  draw = ImageDraw.Draw(tile)
  for x, y in to_tile(truth[labelled]):
    viz.draw_dot(draw, (x + 0.5, y + 0.5), 1.5, _TRUTH)
  return tile


def _photo(path: pathlib.Path) -> Image.Image:
  """A photograph as stored; one grey pixel where it has vanished since."""
  try:
    return Image.fromarray(image_lib.read(path, upright=False))
  except (FileNotFoundError, ValueError) as error:
    _LOG.warning("drawn without its photograph: %s", error)
    return Image.new("RGB", (1, 1), (128, 128, 128))


def _surroundings(points, size):
  """(left, top, right, bottom) of the tile in the photo, and tile px per px."""
  low, high = points.min(0), points.max(0)
  span = np.maximum(high - low, 8.0) * 1.3
  zoom = min(size[1] / span[0], size[0] / span[1])
  half = np.array(size[::-1]) / zoom / 2
  middle = (low + high) / 2 + 0.5
  return (*(middle - half), *(middle + half)), zoom


def people_sheet(
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  image_ids: Sequence[int],
  truth: np.ndarray,
  visible: np.ndarray,
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  count: int = 18,
) -> Image.Image:
  """A sheet of people, evenly picked from N.

  Args:
    keypoints: [N, K, 2] found, image px.
    skeleton: its limbs and names.
    image_ids: [N].
    truth: [N, K, 2] labelled, image px.
    visible: [N, K].
    annotations: COCO-format json that names the images' files.
    images: their folder.
    count: how many people at the most.

  Returns:
    RGB, six tiles a row.
  """
  content = read_json(annotations)
  names = {image["id"]: image["file_name"] for image in content["images"]}
  chosen = np.linspace(0, len(keypoints) - 1, min(count, len(keypoints)))
  tiles = []
  for n in np.unique(chosen.astype(int)):
    photo = _photo(pathlib.Path(images) / names[int(image_ids[n])])
    tiles.append(
      person_tile(
        photo, keypoints[n], skeleton, truth=truth[n], visible=visible[n]
      )
    )
  return contact_sheet(tiles, columns=6)

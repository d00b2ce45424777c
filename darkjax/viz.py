"""Pictures of people and their keypoints."""

import json
import math
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from darkjax.skeletons import Skeleton

# Colours of the person's left, right and middle, apart for most eyes.
_LEFT, _RIGHT, _MIDDLE = (255, 140, 0), (0, 170, 255), (120, 230, 90)
_TRUTH = (255, 255, 255)


def draw_skeleton(
  image: Image.Image,
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  shown: np.ndarray | None = None,
) -> Image.Image:
  """A copy of the image with one person's limbs and keypoints drawn.

  Limbs of the person's left are orange, of the right blue, others green.

  Args:
    image: RGB.
    keypoints: [K, 2] (x, y), px of the image; integers are pixel centres.
    skeleton: its limbs and names.
    shown: [K] booleans; a limb needs both its ends. All by default.

  Returns:
    RGB, same size.
  """
  zoom = 4  # drawn large and reduced, for smooth edges
  canvas = image.resize((image.width * zoom, image.height * zoom))
  draw = ImageDraw.Draw(canvas)
  points = [tuple(p) for p in (np.asarray(keypoints) + 0.5) * zoom]
  shown = np.ones(len(points), bool) if shown is None else np.asarray(shown)
  width = max(zoom, round(zoom * max(image.size) / 120))
  for a, b in skeleton.limbs:
    if shown[a] and shown[b]:
      draw.line([points[a], points[b]], _side_color(skeleton, a, b), width)
  for k in np.flatnonzero(shown):
    _dot(draw, points[k], width, _side_color(skeleton, k, k))
  return canvas.resize(image.size, Image.Resampling.LANCZOS)


def _side_color(skeleton: Skeleton, a: int, b: int) -> tuple[int, int, int]:
  names = [skeleton.keypoint_names[i] for i in (a, b)]
  for side, color in (("left", _LEFT), ("right", _RIGHT)):
    if all(side in name for name in names):
      return color
  return _MIDDLE


def _dot(draw, point, radius, color) -> None:
  (x, y), r = point, radius
  draw.ellipse((x - r, y - r, x + r, y + r), fill=color)


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
  size: tuple[int, int] = (240, 180),
) -> Image.Image:
  """The part of a photograph around a person, with the keypoints drawn.

  Args:
    photo: RGB.
    keypoints: [K, 2] found, px of the photograph.
    skeleton: its limbs and names.
    truth: [K, 2] labelled, px of the photograph; drawn as small white dots.
    visible: [K], above 0 where labelled; other keypoints are not drawn.
    size: (height, width) of the tile, px.

  Returns:
    RGB of that size.
  """
  shown = np.asarray(visible) > 0
  box, zoom = _surroundings(truth[shown], size)
  tile = photo.transform(
    (size[1], size[0]),
    Image.Transform.EXTENT,
    box,
    Image.Resampling.BICUBIC,
  )
  corner = np.array(box[:2])

  def to_tile(points):
    return (np.asarray(points) + 0.5 - corner) * zoom - 0.5

  tile = draw_skeleton(tile, to_tile(keypoints), skeleton, shown=shown)
  draw = ImageDraw.Draw(tile)
  for x, y in to_tile(truth[shown]):
    _dot(draw, (x + 0.5, y + 0.5), 1.5, _TRUTH)
  return tile


def _surroundings(points, size):
  """(left, top, right, bottom) of the tile in the photo, and tile px per px."""
  low, high = points.min(0), points.max(0)
  span = np.maximum(high - low, 8.0) * 1.3
  zoom = min(size[1] / span[0], size[0] / span[1])
  half = np.array(size[::-1]) / zoom / 2
  middle = (low + high) / 2 + 0.5
  return (*(middle - half), *(middle + half)), zoom


def save_people(
  path: str | pathlib.Path,
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  image_ids: Sequence[int],
  truth: np.ndarray,
  visible: np.ndarray,
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  count: int = 18,
) -> None:
  """Writes a sheet of people, evenly picked from N.

  Args:
    path: of the picture.
    keypoints: [N, K, 2] found, image px.
    skeleton: its limbs and names.
    image_ids: [N].
    truth: [N, K, 2] labelled, image px.
    visible: [N, K].
    annotations: COCO-format json that names the images' files.
    images: their folder.
    count: how many people at the most.
  """
  content = json.loads(pathlib.Path(annotations).read_text())
  names = {image["id"]: image["file_name"] for image in content["images"]}
  chosen = np.linspace(0, len(keypoints) - 1, min(count, len(keypoints)))
  tiles = []
  for n in np.unique(chosen.astype(int)):
    with Image.open(pathlib.Path(images) / names[int(image_ids[n])]) as file:
      photo = file.convert("RGB")
    tiles.append(
      person_tile(
        photo, keypoints[n], skeleton, truth=truth[n], visible=visible[n]
      )
    )
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  contact_sheet(tiles, columns=6).save(path)

"""Contact sheets of people cut out of their photographs."""

import logging
import math
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from darkjax.data.images import photo as photo_lib
from darkjax.data.images.names import FolderNames
from darkjax.metrics import coco_annotations
from darkjax.skeletons import Skeleton
from darkjax.viz import draw

_LOG = logging.getLogger(__name__)

_TRUTH = (255, 255, 255)
_PREDICTED, _BASELINE = (213, 40, 0), (0, 220, 255)  # as in the paper's Fig. 5


def contact_sheet(
  pictures: Sequence[Image.Image], *, columns: int
) -> Image.Image:
  """Arranges pictures of one size row by row, with a small gap."""
  gap, (width, height) = 4, pictures[0].size
  rows = math.ceil(len(pictures) / columns)
  size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
  sheet = Image.new("RGB", size, "white")
  for i, picture in enumerate(pictures):
    row, column = divmod(i, columns)
    sheet.paste(picture, (column * (width + gap), row * (height + gap)))
  return sheet


def draw_person(
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
  """Cuts a person out of a photograph and draws the keypoints.

  Args:
    photo: RGB.
    keypoints: [K, 2] predicted, px of the photograph, as all below.
    skeleton: its limbs and names.
    truth: [K, 2] labelled; drawn as small white dots.
    visible: [K], above 0 where labelled; only these are drawn, if any are.
    baseline: [K, 2] predicted by another method; drawn below in cyan, and the
      keypoints then in red.
    covariances: [K, 2, 2], px², see `draw.draw_skeleton`.
    size: (height, width) of the result, px.
  """
  labelled = np.asarray(visible) > 0
  shown, around = labelled, truth[labelled]
  if not labelled.any():
    shown, around = ~labelled, np.asarray(keypoints)
  box, zoom = _surroundings(around, size)
  picture = photo.transform(
    size[::-1], Image.Transform.EXTENT, box, Image.Resampling.BICUBIC
  )

  def to_picture(points):
    return (np.asarray(points) + 0.5 - box[:2]) * zoom - 0.5

  color = None
  if baseline is not None:
    color = _PREDICTED
    picture = draw.draw_skeleton(
      picture, to_picture(baseline), skeleton, shown=shown, color=_BASELINE
    )
  if covariances is not None:
    covariances = np.asarray(covariances) * zoom**2
  picture = draw.draw_skeleton(
    picture,
    to_picture(keypoints),
    skeleton,
    shown=shown,
    covariances=covariances,
    color=color,
  )
  drawing = ImageDraw.Draw(picture)
  for x, y in to_picture(truth[labelled]):
    draw.draw_dot(drawing, (x + 0.5, y + 0.5), 1.5, _TRUTH)
  return picture


def _surroundings(points, size):
  """Returns (left, top, right, bottom) in the photo, and result px per px."""
  low, high = points.min(0), points.max(0)
  span = np.maximum(high - low, 8.0) * 1.3
  zoom = min(size[1] / span[0], size[0] / span[1])
  half = np.array(size[::-1]) / zoom / 2
  middle = (low + high) / 2 + 0.5
  return (*(middle - half), *(middle + half)), zoom


def draw_people(
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  image_ids: Sequence[int] | np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  annotations: str | os.PathLike[str],
  images: str | os.PathLike[str],
  upright: bool = False,
  count: int = 18,
) -> Image.Image:
  """Draws up to `count` people, evenly picked from N, six a row.

  Args:
    keypoints: [N, K, 2] predicted, image px.
    skeleton: its limbs and names.
    image_ids: [N].
    truth: [N, K, 2] labelled, image px.
    visible: [N, K].
    annotations: COCO-format json with the images' file names.
    images: their folder.
    upright: the frame that the coordinates are of, see `photo.read`.
    count: most people to draw.
  """
  listed = coco_annotations.read_sections(annotations, ("images",))["images"]
  names = {image["id"]: image["file_name"] for image in listed}
  folder = FolderNames(images, names.values())
  picked = np.linspace(0, len(keypoints) - 1, min(count, len(keypoints)))
  pictures = [
    draw_person(
      _read_photo(folder, names[int(image_ids[n])], upright),
      keypoints[n],
      skeleton,
      truth=truth[n],
      visible=visible[n],
    )
    for n in np.unique(picked.astype(int))
  ]
  return contact_sheet(pictures, columns=6)


def _read_photo(folder: FolderNames, name: str, upright: bool) -> Image.Image:
  """Reads a photograph; one grey pixel if it cannot be read."""
  try:
    return Image.fromarray(photo_lib.read(folder.path(name), upright=upright))
  except (FileNotFoundError, ValueError) as error:
    _LOG.warning("drawn without its photograph: %s", error)
    return Image.new("RGB", (1, 1), (128, 128, 128))

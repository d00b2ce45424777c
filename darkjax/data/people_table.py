"""Tables of annotated people and of images, without pixels."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from darkjax import geometry

# The labels' boxes, in the names of metrics; see also `detections.DETECTIONS`.
GT_BOXES = "gt_boxes"


@dataclasses.dataclass(frozen=True, eq=False)
class People:
  """N annotated people, in the order of the records."""

  record: np.ndarray  # [N] int64, of the person's image
  image_id: np.ndarray  # [N] int64, of the annotation file
  annotation_id: np.ndarray  # [N] int64, of the annotation or detections file
  image_size: np.ndarray  # [N, 2] int32 (height, width), px
  bbox: np.ndarray  # [N, 4] float32 (x, y, w, h), image px, as annotated
  area: np.ndarray  # [N] float32, of the body, image px²
  keypoints: np.ndarray  # [N, K, 3] float32 (x, y, visibility 0 | 1 | 2)
  iscrowd: np.ndarray  # [N] bool
  score: np.ndarray  # [N] float32, of the box; 1 for a ground-truth box
  readable: np.ndarray  # [N] bool, false on images that were skipped

  def __len__(self) -> int:
    return len(self.record)

  def rows(self, index: np.ndarray) -> "People":
    """Returns the people at `index` (positions or a mask)."""
    return People(**{name: array[index] for name, array in vars(self).items()})

  @property
  def labelled(self) -> np.ndarray:
    """[N] bool: at least one keypoint is labelled."""
    return np.any(self.keypoints[..., 2] > 0, axis=-1)

  @property
  def boxed(self) -> np.ndarray:
    """[N] bool: box inside the image and area of the body are not empty."""
    height, width = self.image_size.T
    x, y, w, h = self.bbox.T
    inside = (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
    return inside & (w > 0) & (h > 0) & (self.area > 0)

  @property
  def in_image(self) -> np.ndarray:
    """[N] bool: at least one labelled keypoint lies in the image."""
    height, width = self.image_size.T[..., None]
    x, y, flag = np.moveaxis(self.keypoints, -1, 0)
    inside = (x > -1) & (y > -1) & (x < width) & (y < height)
    return np.any((flag > 0) & inside, axis=-1)

  @property
  def trainable(self) -> np.ndarray:
    """[N] bool: readable, no crowd, a label in the image, a box with area."""
    return self.readable & ~self.iscrowd & self.in_image & self.boxed


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
  """The images of M records, in their order."""

  image_id: np.ndarray  # [M] int64, of the annotation file
  image_size: np.ndarray  # [M, 2] int32 (height, width), px
  readable: np.ndarray  # [M] bool, false for images that were skipped
  # [M] bool, EXIF turns it and no size says which frame the labels are of
  frame_unknown: np.ndarray


Table = TypeVar("Table")


def concatenate(tables: Sequence[Table]) -> Table:
  """Returns all rows of several tables of one kind, in order."""
  columns = {
    name: np.concatenate([vars(table)[name] for table in tables])
    for name in vars(tables[0])
  }
  return type(tables[0])(**columns)


def clean_boxes(people: People, *, alignment: str) -> np.ndarray:
  """Returns boxes [N, 4] (x, y, w, h), image px, clipped to the image.

  As in the official code, hrnet takes last - first for the width, one less
  than dark and udp. Never less than 1 px.
  """
  bbox = people.bbox.astype(np.float64)
  limit = people.image_size[:, ::-1] - 1
  first = np.maximum(bbox[:, :2], 0)
  last = np.minimum(limit, first + np.maximum(bbox[:, 2:] - 1, 0))
  size = last - first + geometry.get_alignment(alignment).inset
  return np.concatenate([first, np.maximum(size, 1)], -1)

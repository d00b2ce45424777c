"""Boxes of people whose labels have keypoints only.

The box is the extent of the labelled keypoints, grown on all four sides by
`padding` times the longer side of the extent, and cut to the image where its
size is known. A person of one labelled keypoint, or of several at one place,
has no extent: the box is a square around it, as large as the longer side of the
others of the category is in the middle (the median), or `SIDE` px without any.
"""

import statistics
from collections.abc import Iterable

import numpy as np

from darkjax.convert.labels import Bbox, Person, Size
from darkjax.metrics.coco_fields import AREA_SHARE, BOX_MARGIN

PADDING = BOX_MARGIN
SIDE = 32.0  # px; COCO calls a person below 32² px² small


def around_keypoints(
  keypoints: np.ndarray,
  *,
  padding: float = PADDING,
  side: float = SIDE,
  size: Size | None = None,
) -> Bbox:
  """Returns the box (x, y, w, h) around the labelled ones of keypoints [K, 3].

  Args:
    keypoints: (x, y, visibility), px; at least one is labelled.
    padding: share of the longer side of their extent.
    side: of the square around keypoints without extent, px.
    size: (height, width) of the image, px; None does not cut the box. Nor is a
      box cut that lies beside the image.

  >>> points = np.array([[10.0, 20.0, 2], [30.0, 60.0, 1], [0.0, 0.0, 0]])
  >>> around_keypoints(points)
  (6.0, 16.0, 28.0, 48.0)
  """
  points = keypoints[keypoints[:, 2] > 0, :2]
  low, high = points.min(0), points.max(0)
  longer = float((high - low).max())
  margin = padding * longer if longer > 0 else side / 2
  low, high = low - margin, high + margin
  if size is not None:
    cut_low = np.clip(low, 0, size[::-1])
    cut_high = np.clip(high, 0, size[::-1])
    if (cut_high > cut_low).all():
      low, high = cut_low, cut_high
  (x, y), (w, h) = low.tolist(), (high - low).tolist()
  return x, y, w, h


def usual_sides(
  people: Iterable[Person], padding: float = PADDING
) -> dict[int, float]:
  """Returns the median of the longer sides of boxes, px, by category's `id()`.

  Boxes are the people's own or, without, those around their keypoints.
  Categories in which nobody has an extent are not listed.
  """
  sides: dict[int, list[float]] = {}
  for person in people:
    box = person.bbox
    if box is None and (person.keypoints[:, 2] > 0).any():
      box = around_keypoints(person.keypoints, padding=padding, side=0.0)
    if box is not None and max(box[2:]) > 0:
      sides.setdefault(id(person.category), []).append(max(box[2:]))
  return {
    category: statistics.median(lengths) for category, lengths in sides.items()
  }


def area(bbox: Bbox) -> float:
  """Returns the area that stands in for a mask's, px²."""
  return AREA_SHARE * bbox[2] * bbox[3]

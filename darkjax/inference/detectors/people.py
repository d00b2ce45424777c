"""What every detector returns: boxes of people and their scores."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Boxes of which less than this lies in the photograph, px, are no use to crop.
_MIN_SIDE = 1.0


class Detections(NamedTuple):
  """N people of a photograph, best first.

  Boxes count from the edges of pixels, as COCO's: the whole photograph is
  (0, 0, width, height).
  """

  boxes: np.ndarray  # [N, 4] float64 (x, y, w, h), image px, inside the image
  scores: np.ndarray  # [N] float64


# Of an image [H, W, 3] uint8 RGB.
Detector = Callable[[np.ndarray], Detections]


def select(
  corners: Any,
  scores: Any,
  image_size: tuple[int, int],
  *,
  min_score: float = 0.0,
  nms: float = 1.0,
) -> Detections:
  """Returns the boxes that are used: in the image, certain, no duplicates.

  Args:
    corners: [N, 4] (x0, y0, x1, y1), image px.
    scores: [N].
    image_size: (height, width), px.
    min_score: lowest score.
    nms: of two boxes with a larger intersection over union the one of the
      higher score is kept; 1 keeps both.
  """
  corners = np.asarray(corners, np.float64).reshape(-1, 4)
  scores = np.asarray(scores, np.float64)
  height, width = image_size
  corners = np.clip(corners, 0, (width, height, width, height))
  sides = corners[:, 2:] - corners[:, :2]
  usable = (sides >= _MIN_SIDE).all(1) & (scores >= min_score)
  order = np.argsort(-scores, kind="stable")
  order = order[usable[order]]
  if nms < 1:
    order = order[suppress(corners[order], nms)]
  boxes = np.concatenate([corners[:, :2], sides], axis=1)
  return Detections(boxes[order], scores[order])


def suppress(corners: np.ndarray, threshold: float) -> np.ndarray:
  """Returns indices of the boxes that greedy non-maximum suppression keeps.

  Args:
    corners: [N, 4] (x0, y0, x1, y1), best first, of positive size.
    threshold: on the intersection over union.
  """
  areas = (corners[:, 2:] - corners[:, :2]).prod(1)
  kept = []
  rest = np.arange(len(corners))
  while len(rest):
    best, rest = rest[0], rest[1:]
    kept.append(best)
    low = np.maximum(corners[best, :2], corners[rest, :2])
    high = np.minimum(corners[best, 2:], corners[rest, 2:])
    intersection = np.maximum(high - low, 0).prod(1)
    union = areas[best] + areas[rest] - intersection
    rest = rest[intersection <= threshold * union]
  return np.array(kept, int)

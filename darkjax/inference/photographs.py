"""Photographs with the boxes of their people: given, found, or the whole."""

import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from darkjax.data.images import photo as photo_lib
from darkjax.data.images.photo import ImageLike
from darkjax.inference import boxes as boxes_lib
from darkjax.inference.detectors.any_callable import read_supervision
from darkjax.inference.detectors.people import Detector
from darkjax.runtime.prefetch import map_ahead

_LOG = logging.getLogger(__name__)


class Photograph(NamedTuple):
  """A photograph and its N people."""

  image: ImageLike
  pixels: np.ndarray  # [H, W, 3] uint8 RGB
  boxes: np.ndarray  # [N, 4] float64 (x, y, w, h), image px
  scores: np.ndarray  # [N] of the detector, 1 for boxes that were given


class PhotographReader:
  """Reads photographs and finds their people, some ahead with a detector."""

  def __init__(self, detector: Detector | None = None, *, ahead: int = 8):
    """Keeps a detector for photographs without boxes.

    Args:
      detector: finds people, in a thread.
      ahead: photographs whose people are found before they are asked for.
    """
    self._detector = detector
    self._ahead = ahead
    self._warned = False

  def __call__(
    self, photographs: Iterable[tuple[ImageLike, Any]]
  ) -> Iterator[Photograph]:
    """Yields photographs in order, see `Pose.stream`."""
    numbered = enumerate(photographs)
    if self._detector is None:
      return map(self._read, numbered)
    return map_ahead(self._read, numbered, ahead=self._ahead)

  def _read(self, numbered: tuple[int, tuple[ImageLike, Any]]) -> Photograph:
    n, (image, boxes) = numbered
    pixels = photo_lib.read(image)
    scores = None
    if boxes is None and self._detector is not None:
      boxes, scores = self._detector(pixels)
    elif boxes is None:
      self._warn_of_whole_photographs()
    elif hasattr(boxes, "xyxy"):
      boxes, scores = read_supervision(boxes)
    named = image if isinstance(image, str | os.PathLike) else n
    size = pixels.shape[0], pixels.shape[1]
    boxes = boxes_lib.check(boxes, size, f"image {named}")
    scores = np.ones(len(boxes)) if scores is None else scores
    return Photograph(image, pixels, boxes, scores)

  def _warn_of_whole_photographs(self) -> None:
    if not self._warned:
      _LOG.warning(
        "no boxes and no detector: each whole photograph is taken as one "
        "person; give boxes, or a detector that finds people"
      )
    self._warned = True

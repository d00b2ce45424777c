"""Detectors that are functions of an image, whatever they run."""

from collections.abc import Callable
from typing import Any

import numpy as np

from darkjax.inference.detectors.options import Options
from darkjax.inference.detectors.people import Detections, select


class CallableDetector:
  """A function of an image, with its results as `Detections`."""

  def __init__(self, function: Callable[[np.ndarray], Any], options: Options):
    """Keeps the function; see `load_detector`."""
    self._function = function
    self._options = options

  def __call__(self, image: np.ndarray) -> Detections:
    """See `load_detector`.

    Raises:
      ValueError: a result that is no boxes.
    """
    result = self._function(image)
    boxes, scores = _read_result(result, self._options.person_class)
    return select(
      np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
      scores,
      (image.shape[0], image.shape[1]),
      min_score=self._options.min_score or 0.0,
    )


def _read_result(
  result: Any, person_class: int | None
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the boxes [N, 4] and scores [N] of people in what came back."""
  if hasattr(result, "xyxy"):
    boxes, scores = read_supervision(result)
    people = _are_people(result, person_class)
    return boxes[people], scores[people]
  pair = isinstance(result, tuple) and len(result) == 2
  given, given_scores = result if pair else (result, None)
  boxes = _read_boxes(given)
  return boxes, _read_scores(given_scores, len(boxes))


def read_supervision(found: Any) -> tuple[np.ndarray, np.ndarray]:
  """Returns boxes [N, 4] (x, y, w, h) and scores [N] of all classes.

  Args:
    found: a `supervision.Detections`.

  Raises:
    ValueError: its boxes or scores are not numbers of these shapes.
  """
  corners = _read_boxes(found.xyxy)
  first, second = corners[:, :2], corners[:, 2:]
  boxes = np.concatenate([first, second - first], axis=1)
  return boxes, _read_scores(getattr(found, "confidence", None), len(boxes))


def _are_people(found: Any, person_class: int | None) -> np.ndarray:
  """Returns which [N] detections are people; all where there are no classes."""
  classes = getattr(found, "class_id", None)
  names = getattr(found, "data", {}).get("class_name")
  if classes is None or not len(found.xyxy):
    return np.ones(len(found.xyxy), bool)
  if person_class is not None:
    return np.asarray(classes) == person_class
  if names is not None:
    return np.char.lower(np.asarray(names, str)) == "person"
  raise ValueError(
    f"detections have the classes {sorted(set(map(int, classes)))[:10]} "
    "without names; say which are people: load_detector(function, "
    "person_class=0)"
  )


def _read_boxes(boxes: Any) -> np.ndarray:
  try:
    array = np.asarray(boxes, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(
      "a detector returns boxes [N, 4] (x, y, w, h), or a tuple of boxes and "
      f"scores, or supervision.Detections, got {type(boxes).__name__}"
    ) from error
  if array.size == 0:
    return array.reshape(0, 4)
  if array.ndim != 2 or array.shape[1] != 4:
    raise ValueError(
      "a detector returns boxes [N, 4] (x, y, w, h), or a tuple of boxes and "
      f"scores, got boxes of shape {array.shape}"
    )
  if not np.isfinite(array).all():
    raise ValueError(
      "a detector returns boxes of finite numbers, got "
      f"{array[~np.isfinite(array).all(1)][0].tolist()}"
    )
  return array


def _read_scores(scores: Any, count: int) -> np.ndarray:
  """Scores [N]; 1 where there are none."""
  if scores is None:
    return np.ones(count)
  array = np.asarray(scores, np.float64)
  if array.shape != (count,) or not np.isfinite(array).all():
    raise ValueError(
      f"a detector returns a finite score for each of its {count} boxes, got "
      f"scores of shape {array.shape}: {array.ravel()[:5].tolist()}"
    )
  return array

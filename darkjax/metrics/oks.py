"""Object keypoint similarity (OKS): how alike two poses are, 0 to 1.

One keypoint at distance d contributes exp(-d² / (2 s² k²)), with s² the area
of the person in px² and k = 2σ the keypoint's constant; OKS is the mean over
the keypoints that count. Keypoints are (x, y) in image px, `sigmas` the K
constants σ; shapes that do not fit together are a ValueError.

Reference: https://cocodataset.org/#keypoints-eval, section 1.2.
"""

from collections.abc import Sequence

import numpy as np


def oks(
  keypoints: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  area: np.ndarray,
  sigmas: Sequence[float],
) -> np.ndarray:
  """Returns the OKS of every prediction with every labelled person.

  Only labelled keypoints count; a person without any gets 0 (pycocotools scores
  those by their box, see `coco.average_precision`).

  Args:
    keypoints: [N, K, 2] predicted.
    truth: [M, K, 2] labelled.
    visible: [M, K]; above 0 where labelled (COCO's 1 and 2).
    area: [M] of the person (COCO: of the segmentation mask).
    sigmas: [K].

  Returns:
    [N, M] float64 in [0, 1].
  """
  keypoints, truth = _points(keypoints), _points(truth)
  counts = np.asarray(visible) > 0
  _check_shapes(keypoints, truth, counts, np.asarray(area), sigmas)
  areas = np.asarray(area)[None]
  closeness = similarity(keypoints[:, None], truth[None], areas, sigmas)
  labelled = np.maximum(counts.sum(-1), 1)
  return (closeness * counts).sum(-1) / labelled


def prediction_oks(
  keypoints: np.ndarray, areas: np.ndarray, sigmas: Sequence[float]
) -> np.ndarray:
  """Returns the OKS [N, N] float64 between predictions; all keypoints count.

  A pair's area is the mean of its two (HRNet, lib/nms/nms.py `oks_iou`).
  Keypoints are [N, K, 2], areas [N] px².
  """
  keypoints, areas = _points(keypoints), np.asarray(areas, np.float64)
  everything = np.ones(keypoints.shape[:2], bool)
  _check_shapes(keypoints, keypoints, everything, areas, sigmas)
  pair_areas = (areas[:, None] + areas[None]) / 2
  each = similarity(keypoints[:, None], keypoints[None], pair_areas, sigmas)
  return each.mean(-1)


def similarity(
  keypoints: np.ndarray,
  truth: np.ndarray,
  area: np.ndarray,
  sigmas: Sequence[float],
) -> np.ndarray:
  """Returns exp(-d² / (2 s² k²)), k = 2 sigma, of keypoints [..., K, 2].

  Areas [...], px², broadcast to the people; the result is [..., K].
  """
  # spacing(1) keeps an area of zero finite, in pycocotools' way.
  squared = ((np.asarray(keypoints, np.float64) - truth) ** 2).sum(-1)
  variances = (2 * np.asarray(sigmas, np.float64)) ** 2
  scale = 2 * (np.asarray(area, np.float64) + np.spacing(1))[..., None]
  return np.exp(-squared / (scale * variances))


def _points(keypoints) -> np.ndarray:
  points = np.asarray(keypoints, np.float64)
  if points.ndim != 3 or points.shape[-1] != 2:
    raise ValueError(
      "OKS takes keypoints [N, K, 2], (x, y) without scores, got shape "
      f"{points.shape}; add a leading axis for one person, drop a third column"
    )
  return points


def _check_shapes(keypoints, truth, counts, area, sigmas) -> None:
  people, num_keypoints = truth.shape[:2]
  points = (len(keypoints), num_keypoints, 2)
  expected = (points, (people, num_keypoints), (people,), (num_keypoints,))
  got = (keypoints.shape, counts.shape, area.shape, np.shape(sigmas))
  if got != expected:
    raise ValueError(
      f"OKS of {people} people with K={num_keypoints} keypoints expects shapes "
      f"of keypoints, visible, area, sigmas {expected}, got {got}; sigmas come "
      "from the skeleton"
    )

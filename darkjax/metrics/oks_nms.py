"""Duplicate people in one image: OKS-NMS, hard and soft.

Two poses are duplicates when their OKS is high. Both functions look at the
people of one image and give indices, best first; equal scores keep their
order.

References: HRNet (arXiv:1908.07919), lib/nms/nms.py of its official code;
Soft-NMS (arXiv:1704.04503).
"""

from collections.abc import Sequence

import numpy as np

from darkjax.metrics import oks

# What the official code keeps at most, and all that COCO's evaluation reads.
MAX_PEOPLE = 20


def oks_nms(
  keypoints: np.ndarray,
  scores: np.ndarray,
  areas: np.ndarray,
  sigmas: Sequence[float],
  *,
  threshold: float = 0.9,
) -> np.ndarray:
  """Keeps the best person, drops those too much alike, and goes on.

  Args:
    keypoints: [N, K, 2] people of one image, (x, y), image px.
    scores: [N] higher is better.
    areas: [N] px², of the padded box in the official code.
    sigmas: K OKS constants.
    threshold: a person whose OKS with a kept one exceeds it is dropped.

  Returns:
    [kept] int64 indices into N, best first.

  Raises:
    ValueError: shapes do not fit together.
  """
  _check_scores(keypoints, scores)
  duplicate = oks.prediction_oks(keypoints, areas, sigmas) > threshold
  alive = np.ones(len(scores), bool)
  kept = []
  for person in np.argsort(-np.asarray(scores), kind="stable"):
    if alive[person]:
      kept.append(person)
      alive &= ~duplicate[person]
  return np.asarray(kept, np.int64)


def soft_oks_nms(
  keypoints: np.ndarray,
  scores: np.ndarray,
  areas: np.ndarray,
  sigmas: Sequence[float],
  *,
  threshold: float = 0.9,
  max_people: int = MAX_PEOPLE,
) -> np.ndarray:
  """Keeps the best person, lowers the scores of those alike, and goes on.

  Each time a person is kept, the scores of the others are multiplied by
  exp(-OKS² / threshold), and the best of them is next. The lowered scores only
  choose and order, as in the official code: results carry the scores that
  came in.

  Args:
    keypoints: [N, K, 2] people of one image, (x, y), image px.
    scores: [N] higher is better.
    areas: [N] px², of the padded box in the official code.
    sigmas: K OKS constants.
    threshold: the width of the Gaussian, in OKS²; larger lowers less.
    max_people: how many are kept at most.

  Returns:
    [kept] int64 indices into N, in the order they were kept.

  Raises:
    ValueError: shapes do not fit together.
  """
  _check_scores(keypoints, scores)
  alike = oks.prediction_oks(keypoints, areas, sigmas)
  decay = np.exp(-(alike**2) / threshold)
  lowered = np.array(scores, np.float64)
  waiting = np.ones(len(lowered), bool)
  kept = []
  for _ in range(min(max_people, len(lowered))):
    best = int(np.argmax(np.where(waiting, lowered, -np.inf)))
    kept.append(best)
    waiting[best] = False
    lowered *= decay[best]
  return np.asarray(kept, np.int64)


# How duplicates leave: "hard" drops them, "soft" keeps the 20 best people of an
# image by lowered scores.
METHODS = {"hard": oks_nms, "soft": soft_oks_nms}


def _check_scores(keypoints, scores) -> None:
  if np.shape(scores) != (len(keypoints),):
    raise ValueError(
      "NMS takes one score per person of one image: expected shape "
      f"({len(keypoints)},), got {np.shape(scores)}"
    )

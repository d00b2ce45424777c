"""Removal of duplicate people in one image: OKS-NMS, hard and soft.

Both functions take N people: keypoints [N, K, 2] in image px, scores [N], areas
[N] px² (of the padded box) and K OKS constants. They return indices [kept]
int64, best first; equal scores keep their order. Wrong shapes: ValueError.

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
  """Keeps the best person, drops those with OKS > threshold, and goes on."""
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

  Scores of the others are multiplied by exp(-OKS² / threshold) each time. The
  lowered scores only choose and order, as in the official code.
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


METHODS = {"hard": oks_nms, "soft": soft_oks_nms}


def _check_scores(keypoints, scores) -> None:
  if np.shape(scores) != (len(keypoints),):
    raise ValueError(
      "NMS takes one score per person of one image: expected shape "
      f"({len(keypoints)},), got {np.shape(scores)}"
    )

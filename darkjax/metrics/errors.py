"""Kinds of errors of keypoints: jitter, inversion, swap and miss.

The similarity of a predicted and a labelled keypoint is exp(-d² / (2 s² k²)),
as in OKS. With its own label a keypoint is good from 0.85 on and jitter from
0.5 on. Else it is an inversion if its similarity with the left-right twin of
the same person is 0.5 or more, a swap if that with the same keypoint or its
twin of another person in the image is, and a miss otherwise.

Reference: Ronchi and Perona, Benchmarking and Error Diagnosis in Multi-Instance
Pose Estimation (ICCV 2017, arXiv:1707.05388), section 3.1; the parts that can
be confused are the twins, as in their evaluation code.
"""

from collections.abc import Sequence

import numpy as np

from darkjax.metrics import coco
from darkjax.metrics.oks import similarity

KINDS = ("good", "jitter", "inversion", "swap", "miss")
UNLABELLED = -1

_GOOD, _NEAR = 0.85, 0.5


def classify(
  keypoints: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  area: np.ndarray,
  image_ids: np.ndarray,
  *,
  sigmas: Sequence[float],
  flip_indices: Sequence[int],
) -> np.ndarray:
  """Returns the kind of each keypoint of N people.

  Args:
    keypoints: [N, K, 2] predicted, image px.
    truth: [N, K, 2] labelled, of the same people.
    visible: [N, K], above 0 where labelled.
    area: [N] of the people, px².
    image_ids: [N].
    sigmas: [K] OKS constants.
    flip_indices: [K] of each keypoint's left-right twin, its own without one.

  Returns:
    [N, K] indices in `KINDS`, `UNLABELLED` where nothing is labelled.
  """
  twins = np.asarray(flip_indices)
  labelled = np.asarray(visible) > 0
  own = similarity(keypoints, truth, area, sigmas)
  # Of each prediction with the label of its twin, by that one's constant.
  mirrored = similarity(keypoints[:, twins], truth, area, sigmas)[:, twins]
  inverted = (mirrored >= _NEAR) & labelled[:, twins]
  inverted &= twins != np.arange(len(twins))
  swapped = _near_others(
    keypoints, truth, labelled, area, image_ids, sigmas, twins
  )
  kinds = np.select(
    [~labelled, own >= _GOOD, own >= _NEAR, inverted, swapped],
    [UNLABELLED, *range(4)],
    default=KINDS.index("miss"),
  )
  return kinds.astype(np.int8)


def _near_others(keypoints, truth, labelled, area, image_ids, sigmas, twins):
  """[N, K]: near the same keypoint, or its twin, of another in the image."""
  near = np.zeros(labelled.shape, bool)
  for people in coco.people_by_image(image_ids):
    others = ~np.eye(len(people), dtype=bool)[..., None]
    for part in (np.arange(len(twins)), twins):
      close = similarity(
        keypoints[people][:, None],
        truth[people][None][..., part, :],
        area[people][None],
        np.asarray(sigmas)[part],
      )
      close = (close >= _NEAR) & labelled[people][None][..., part] & others
      near[people] |= close.any(1)
  return near

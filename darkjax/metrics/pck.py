"""Keypoints near their labels: PCK, MPII's PCKh, and the mean error of faces.

A labelled keypoint is correct when its distance to the prediction is at most
threshold × reference length: the torso or the box (PCK), or the head (PCKh).

`predicted` and `truth` are [N, K, 2] (x, y) in the same frame, `visible` [N, K]
is above 0 where labelled, lengths are [N] in the unit of the keypoints. Shapes
that do not fit together are a ValueError.

SimpleBaseline, HRNet and DARK print PCKh at entry 11 of thresholds 0, 0.01, ...
as PCKh@0.1: it is PCKh@0.11. `pckh_table` reports both.

References: Yang and Ramanan, TPAMI 2013 (PCK); Andriluka et al., CVPR 2014
(PCKh); HRNet, lib/dataset/mpii.py of its official code; Sagonas et al., ICCV
Workshops 2013 (faces, by the distance of the outer corners of the eyes).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darkjax import skeletons

# MPII's share of the head box's diagonal that counts as head size.
HEAD_SHARE = 0.6

PCKH_THRESHOLDS = (0.5, 0.1, 0.11)

# The columns of the paper's Table 8; left and right are averaged.
PCKH_GROUPS = {"Head": ("head_top",)} | {
  part.capitalize(): (f"left_{part}", f"right_{part}")
  for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}
PCKH_LEFT_OUT = ("pelvis", "thorax")


class Pck(NamedTuple):
  """Shares of correct keypoints, in 0..1; nan where none is labelled."""

  per_keypoint: np.ndarray  # [K]
  mean: float  # over all labelled keypoints, each of which counts the same


def pck(
  predicted: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  reference_length: np.ndarray,
  threshold: float,
) -> Pck:
  """Returns the share of labelled keypoints within threshold × length.

  People whose reference length is nan are left out.
  """
  lengths = np.asarray(reference_length, np.float64)
  distances = _distances(predicted, truth, visible, lengths)
  counts = (np.asarray(visible) > 0) & np.isfinite(lengths)[:, None]
  correct = counts & (distances <= threshold * lengths[:, None])
  return Pck(
    _ratio(correct.sum(0), counts.sum(0)),
    float(_ratio(correct.sum(), counts.sum())),
  )


def mean_error(
  predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray
) -> float:
  """Returns the mean distance of the labelled keypoints; nan without any."""
  distances = _distances(predicted, truth, visible, np.zeros(len(truth)))
  counts = np.asarray(visible) > 0
  return float(_ratio(np.where(counts, distances, 0.0).sum(), counts.sum()))


def normalized_mean_error(
  predicted: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  reference_length: np.ndarray,
) -> float:
  """Returns the mean over people of their mean distance / length: NME.

  People whose reference length is nan or 0, or who have no label, are left out;
  nan without any others.
  """
  lengths = np.asarray(reference_length, np.float64)
  lengths = np.where(lengths == 0, np.nan, lengths)
  distances = _distances(predicted, truth, visible, lengths)
  labelled = np.asarray(visible) > 0
  sums = np.where(labelled, distances, 0.0).sum(1)
  errors = _ratio(sums, labelled.sum(1)) / lengths
  counts = np.isfinite(errors)
  return float(_ratio(errors[counts].sum(), counts.sum()))


def length_between(
  truth: np.ndarray,
  visible: np.ndarray,
  skeleton: skeletons.Skeleton,
  names: tuple[str, str],
) -> np.ndarray:
  """Returns [N] distances of two keypoints, nan where not both are labelled.

  Raises:
    ValueError: the skeleton has no such keypoints.
  """
  ends = _indices(skeleton, names)
  one, other = (np.asarray(truth, np.float64)[:, i] for i in ends)
  labelled = (np.asarray(visible)[:, ends] > 0).all(-1)
  return np.where(labelled, np.linalg.norm(one - other, axis=-1), np.nan)


def torso_length(
  truth: np.ndarray, visible: np.ndarray, skeleton: skeletons.Skeleton
) -> np.ndarray:
  """Returns `length_between` left shoulder and right hip: LSP's PCK@0.2."""
  return length_between(
    truth, visible, skeleton, ("left_shoulder", "right_hip")
  )


def box_length(bbox: np.ndarray) -> np.ndarray:
  """Returns the larger side of boxes [N, 4] (x, y, w, h), for PCK."""
  return np.asarray(bbox, np.float64)[:, 2:].max(-1)


def head_size(headboxes: np.ndarray) -> np.ndarray:
  """Returns MPII's head size [N]: 0.6 of the diagonal of the head box.

  `headboxes` are [N, 4] corners (x1, y1, x2, y2), px.
  """
  boxes = np.asarray(headboxes, np.float64)
  return HEAD_SHARE * np.linalg.norm(boxes[:, 2:] - boxes[:, :2], axis=-1)


def pckh(
  predicted: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  head_sizes: np.ndarray,
  threshold: float = 0.5,
  *,
  skeleton: skeletons.Skeleton = skeletons.MPII,
) -> dict[str, float]:
  """Returns MPII's PCKh by body part, in percent, as the columns of Table 8.

  A part is the average of its left and right keypoint, of one alone where the
  other is never labelled; the mean is over all labelled keypoints but pelvis
  and thorax.

  Returns:
    {"Head": ..., "Shoulder": ..., ..., "Ankle": ..., "Mean": ...} in 0..100;
    nan where nobody has the part labelled.

  Raises:
    ValueError: shapes do not fit together, or the skeleton lacks a part.
  """
  scored = np.asarray(visible) > 0
  left_out = _indices(skeleton, PCKH_LEFT_OUT)
  shares = pck(predicted, truth, scored, head_sizes, threshold)
  scored[:, left_out] = False
  mean = pck(predicted, truth, scored, head_sizes, threshold).mean
  groups = {}
  for group, names in PCKH_GROUPS.items():
    sides = shares.per_keypoint[_indices(skeleton, names)]
    labelled = np.isfinite(sides)
    mean_of_sides = _ratio(sides[labelled].sum(), labelled.sum())
    groups[group] = 100 * float(mean_of_sides)
  return {**groups, "Mean": 100 * mean}


def pckh_table(
  predicted: np.ndarray,
  truth: np.ndarray,
  visible: np.ndarray,
  head_sizes: np.ndarray,
  *,
  thresholds: Sequence[float] = PCKH_THRESHOLDS,
) -> dict[str, float]:
  """Returns `pckh` at several thresholds, each under its own names.

  Returns:
    {"PCKh@0.5": mean, "PCKh@0.5/Head": ..., ..., "PCKh@0.11": ...} in 0..100.
  """
  table = {}
  for threshold in thresholds:
    name = f"PCKh@{threshold:g}"
    columns = pckh(predicted, truth, visible, head_sizes, threshold)
    table[name] = columns.pop("Mean")
    table |= {f"{name}/{part}": share for part, share in columns.items()}
  return table


def _indices(skeleton, names) -> list[int]:
  missing = [name for name in names if name not in skeleton.keypoint_names]
  if missing:
    raise ValueError(
      f"skeleton {skeleton.name!r} needs the keypoints {missing} for this "
      f"metric, it has {list(skeleton.keypoint_names)}"
    )
  return [skeleton.keypoint_names.index(name) for name in names]


def _distances(predicted, truth, visible, lengths) -> np.ndarray:
  """[N, K] distances; checks the shapes."""
  predicted, truth = np.asarray(predicted), np.asarray(truth)
  people, num_keypoints = truth.shape[:2]
  points = (people, num_keypoints, 2)
  expected = (points, points, (people, num_keypoints), (people,))
  got = (predicted.shape, truth.shape, np.shape(visible), lengths.shape)
  if got != expected:
    raise ValueError(
      "PCK expects shapes of predicted, truth, visible, reference length "
      f"{expected}, got {got}"
    )
  return np.linalg.norm(predicted.astype(np.float64) - truth, axis=-1)


def _ratio(part, whole) -> np.ndarray:
  """Quotient; nan, without a warning, where whole is 0."""
  return np.where(np.asarray(whole) > 0, part / np.maximum(whole, 1), np.nan)

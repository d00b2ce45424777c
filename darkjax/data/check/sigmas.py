"""OKS sigmas from people who were labelled twice.

COCO measures the constant of a keypoint by labelling images redundantly: for
keypoint i, d is the distance between two labels of it and s the scale of the
person (s² is its area), and

  σ_i² = E[d² / s²].

OKS then is exp(-d² / (2 s² k_i²)) with k_i = 2 σ_i, so that a prediction as far
off as a second annotator is on average has exp(-1/8) = 0.88, twice as far 0.61,
three times 0.32. `skeletons.Skeleton.sigmas` holds the σ_i; the factor 2 is
applied where OKS is computed (pycocotools does the same).

Here d is the distance between the two labels themselves; if both are equally
and independently wrong, the error of one of them is σ / √2. COCO does not say
which of the two it means.

Reference: https://cocodataset.org/#keypoints-eval, section "Tuning OKS".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from darkjax.data.check.labels import Labels


class Estimate(NamedTuple):
  """Sigmas of K keypoints; nan where no person has two labels."""

  sigmas: np.ndarray  # [K]
  robust: np.ndarray  # [K] from the median, which few wrong labels hardly move
  counts: np.ndarray  # [K] pairs of labels, of both sides of a flip pair

  @property
  def relative_error(self) -> np.ndarray:
    """[K] standard error / sigma: 1 / (2 √n), as d² has two squares."""
    return 0.5 / np.sqrt(np.maximum(self.counts, 1))


def estimate_sigmas(
  first: np.ndarray,
  second: np.ndarray,
  area: np.ndarray,
  *,
  flip_pairs: Sequence[tuple[int, int]] = (),
) -> Estimate:
  """Returns the sigmas of N people labelled twice.

  Args:
    first: [N, K, 3] (x, y, visibility), image px.
    second: [N, K, 3] of the same people.
    area: [N] image px², above 0.
    flip_pairs: keypoints that share one sigma, as left and right do in COCO.

  Raises:
    ValueError: shapes differ.
  """
  first, second = np.asarray(first, float), np.asarray(second, float)
  if first.shape != second.shape or np.shape(area) != first.shape[:1]:
    raise ValueError(
      "sigmas need keypoints [N, K, 3] twice and areas [N], got "
      f"{first.shape}, {second.shape}, {np.shape(area)}"
    )
  both = (first[..., 2] > 0) & (second[..., 2] > 0)
  squared = ((first[..., :2] - second[..., :2]) ** 2).sum(-1)
  ratio = squared / np.asarray(area, float)[:, None]
  group = np.arange(first.shape[1])
  for left, right in flip_pairs:
    group[right] = group[left]
  columns = [ratio[:, group == g][both[:, group == g]] for g in group]

  def root(average: Callable[[np.ndarray], float]) -> np.ndarray:
    means = [average(column) if len(column) else np.nan for column in columns]
    return np.sqrt(np.array(means, float))

  counts = np.array([len(column) for column in columns])
  # Of d² = a² + b² with Gaussian a, b the median is ln 2 times the mean.
  return Estimate(root(np.mean), root(np.median) / np.log(2) ** 0.5, counts)


def from_repeated(first: Labels, second: Labels) -> Estimate:
  """Returns the sigmas of two jsons that label the same people, matched by id.

  The area is the first's. People in one of the two only, and crowds, are left
  out.

  Raises:
    ValueError: other keypoints; nobody in common; people of one id in two
      images; labels that are all the same.
  """
  paths = f"{first.content.path} and {second.content.path}"
  names = [x.content.skeleton.keypoint_names for x in (first, second)]
  if names[0] != names[1]:
    raise ValueError(
      f"{paths} must label the same keypoints in the same order, got "
      f"{names[0]} and {names[1]}"
    )
  a, b = first.trainable(), second.trainable()
  shared, i, j = np.intersect1d(
    a.annotation_id, b.annotation_id, return_indices=True
  )
  if not len(shared):
    raise ValueError(
      f"{paths} have no annotation id in common: the second labels of a person "
      "need the id of the first"
    )
  a, b = a.rows(i), b.rows(j)
  elsewhere = a.image_id != b.image_id
  if elsewhere.any():
    raise ValueError(
      f"{paths}: annotations {shared[elsewhere][:5].tolist()} are in other "
      "images in the second file; the second labels of a person need the id of "
      "the first"
    )
  pairs = first.content.skeleton.flip_pairs
  estimate = estimate_sigmas(a.keypoints, b.keypoints, a.area, flip_pairs=pairs)
  if not (estimate.sigmas > 0).any():
    raise ValueError(
      f"{paths} hold the same labels: sigmas need people labelled twice, by "
      "two annotators or by one on two days"
    )
  return estimate

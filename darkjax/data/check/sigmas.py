"""OKS sigmas from people who were labelled twice, as COCO defines them.

For a keypoint i, d is the distance between two labels of it and s² the area of
the person: σ_i² = E[d² / s²]. OKS is exp(-d² / (2 s² k_i²)) with k_i = 2 σ_i,
the factor applied where OKS is computed (pycocotools does the same). COCO does
not say whether d is between two labels, as here, or of one of them; if both are
equally and independently wrong, the error of one is σ / √2.

Reference: https://cocodataset.org/#keypoints-eval, section "Tuning OKS".
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darkjax.data.check.labels import Labels, read_labels
from darkjax.data.coco import reader


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
    second: the same people's other labels, likewise.
    area: [N] image px², above 0.
    flip_pairs: keypoints that share one sigma, as left and right do in COCO.
  """
  first, second = np.asarray(first, float), np.asarray(second, float)
  if first.shape != second.shape or np.shape(area) != first.shape[:1]:
    shapes = (first.shape, second.shape, np.shape(area))
    raise ValueError(f"needs keypoints [N, K, 3] twice, areas [N]: {shapes}")
  both = (first[..., 2] > 0) & (second[..., 2] > 0)
  squared = ((first[..., :2] - second[..., :2]) ** 2).sum(-1)
  ratio = np.where(both, squared / np.asarray(area, float)[:, None], np.nan)
  group = np.arange(first.shape[1])
  for left, right in flip_pairs:
    group[right] = group[left]
  shared = [ratio[:, group == g] for g in group]
  with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
    mean = np.array([np.nanmean(column) for column in shared])
    median = np.array([np.nanmedian(column) for column in shared])
  counts = np.array([np.isfinite(column).sum() for column in shared])
  # Of d² = a² + b² with Gaussian a, b the median is ln 2 times the mean.
  return Estimate(np.sqrt(mean), np.sqrt(median / np.log(2)), counts)


def from_repeated(first: Labels, again: reader.Content) -> Estimate:
  """Returns the sigmas of two jsons that label the same people, matched by id.

  The area is the first's; people in one of the two only are left out.
  """
  paths = f"{first.content.path} and {again.path}"
  names = [x.skeleton.keypoint_names for x in (first.content, again)]
  if names[0] != names[1]:
    raise ValueError(
      f"{paths} must label the same keypoints in the same order, got {names}"
    )
  images = [x.image_ids_in_file for x in (first.content, again)]
  sizes = {images[0][i]: size for i, size in first.sizes.items()}
  second = read_labels(
    again, {i: sizes[own] for i, own in images[1].items() if own in sizes}
  )
  a, b = first.trainable(), second.trainable()
  rows = [{own: n for n, own in enumerate(x.annotation_id)} for x in (a, b)]
  shared = [own for own in rows[0] if own in rows[1]]
  if not shared:
    raise ValueError(
      f"{paths} have no annotation id in common: the second labels of a person "
      "need the id of the first"
    )
  a, b = (
    people.rows(np.array([row[own] for own in shared]))
    for people, row in zip((a, b), rows, strict=True)
  )
  elsewhere = [
    own
    for own, i, j in zip(shared, a.image_id, b.image_id, strict=True)
    if images[0][i] != images[1][j]
  ]
  if elsewhere:
    raise ValueError(
      f"{paths}: annotations {elsewhere[:5]} are in other images in the second "
      "file; the second labels of a person need the id of the first"
    )
  pairs = first.content.skeleton.flip_pairs
  estimate = estimate_sigmas(a.keypoints, b.keypoints, a.area, flip_pairs=pairs)
  if not (estimate.sigmas > 0).any():
    raise ValueError(
      f"{paths} hold the same labels: sigmas need people labelled twice, by "
      "two annotators or by one on two days"
    )
  return estimate

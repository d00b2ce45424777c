"""Whether the Hessian's covariance predicts the error, for decode_published.py.

The width of a keypoint is √(tr Σ / 2) heatmap px, Σ from decode_heatmaps. Where
a scale is fitted, it is that of the median Mahalanobis distance over the first
half of the people, and judged on the second. "Near" are the points within two
cells of the label; further away is another part of the body or another person.
"""

import numpy as np
from published_maps import Network, table

from darkjax import decode_heatmaps

FIFTHS = 5
SHARES = (0.5, 0.9)  # of a 2D Gaussian, inside an ellipse


def summary(networks: list[Network]) -> str:
  """Returns the table of correlations, scales and coverages."""
  return table(
    (
      "",
      "rank correlation of width and error",
      "the same within keypoints",
      "of 1 − score and error",
      "the same within keypoints",
      "AUC of a miss by width",
      "by score",
      "scale of Σ that fits near points",
      "near points inside the 50 % ellipse, Σ as it is",
      "scaled",
      "inside the 90 % ellipse, scaled",
      "log likelihood over one constant Σ, nats a point",
    ),
    {network.name: _row(_measure(network)) for network in networks},
  )


def reliability(networks: list[Network]) -> str:
  """Returns the table of errors in fifths of the width."""
  rows = {}
  for network in networks:
    width, score, error, offset, covariance, _, _ = _measure(network)
    del score, covariance
    edges = np.quantile(width, np.linspace(0, 1, FIFTHS + 1)[1:-1])
    fifth = np.searchsorted(edges, width)
    for n in range(FIFTHS):
      here = fifth == n
      near = here & (error <= 2)
      rows[f"{network.name}, {n + 1}"] = [
        f"{width[here].mean():.2f}",
        f"{np.median(error[here]):.2f}",
        f"{100 * (error[here] > 2).mean():.0f} %",
        f"{np.sqrt(np.square(offset[near]).mean()):.2f}",
      ]
  columns = "network and fifth, mean width, median error of all"
  columns += ", further than 2 cells, deviation of near points along an axis"
  return table(tuple(columns.split(", ")), rows)


def _measure(network):
  """Labelled keypoints with a covariance: seven arrays [M, ...]."""
  decoded = decode_heatmaps(network.heatmaps)
  covariance = np.asarray(decoded.covariances, np.float64)
  kept = network.labelled & np.isfinite(covariance).all((-1, -2))
  offset = network.offsets(np.asarray(decoded.keypoints))
  person, keypoint = np.indices(kept.shape)
  width = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 2)
  error = np.linalg.norm(offset, axis=-1)
  fields = width, np.asarray(decoded.scores), error, offset, covariance
  return tuple(field[kept] for field in (*fields, person, keypoint))


def _row(measured):
  width, score, error, offset, covariance, person, keypoint = measured
  miss = error > 2
  cells = []
  for value in (width, -score):
    cells.append(f"{_correlation(value, error):.2f}")
    within = [
      _correlation(value[keypoint == k], error[keypoint == k])
      for k in np.unique(keypoint)
    ]
    cells.append(f"{np.mean(within):.2f}")
  cells += [f"{_area(value, miss):.2f}" for value in (width, -score)]

  offset = offset[~miss] - offset[~miss].mean(0)
  covariance, first = covariance[~miss], person[~miss] <= person.mean()
  squares = _squares(offset, covariance)
  scale = _fitted(squares[first])
  inside = (
    squares[~first] <= _limit(SHARES[0]),
    *(squares[~first] / scale <= _limit(share) for share in SHARES),
  )
  cells.append(f"{scale:.2f}")
  cells += [f"{100 * share.mean():.0f} %" for share in inside]
  constant = np.broadcast_to(np.cov(offset[first].T), covariance.shape)
  ours = _log_likelihood(offset, covariance, first)
  cells.append(f"{ours - _log_likelihood(offset, constant, first):+.3f}")
  return cells


def _log_likelihood(offset, covariance, first):
  """Mean over the second half, with the scale likeliest on the first."""
  squares = _squares(offset, covariance)
  scale = squares[first].mean() / 2
  logs = -0.5 * squares / scale - 0.5 * np.log(
    np.linalg.det(scale * covariance)
  )
  return logs[~first].mean()


def _squares(offset, covariance):
  """Squared Mahalanobis distances."""
  return np.einsum("mi,mij,mj->m", offset, np.linalg.inv(covariance), offset)


def _limit(share):
  """Of the squared distance, within which a share of a 2D Gaussian is."""
  return -2 * np.log(1 - share)


def _fitted(squares):
  return np.median(squares) / _limit(0.5)


def _ranks(values):
  return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def _correlation(first, second):
  """Spearman's."""
  return np.corrcoef(_ranks(first), _ranks(second))[0, 1]


def _area(values, is_miss):
  """Under the ROC curve: how often a miss has the larger of two values."""
  misses, others = is_miss.sum(), (~is_miss).sum()
  least = misses * (misses - 1) / 2
  return (_ranks(values)[is_miss].sum() - least) / (misses * others)

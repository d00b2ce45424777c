"""The width of a network's peaks, measured on its heatmaps.

The logarithm of a Gaussian is a quadratic with curvature -1 / sigma^2 (paper
Eq. 5 and 7). Each map's quadratic is fitted by least squares to the logarithms
around its maximum, as far as one sigma and with weights that grow with the
values (Guo, "A simple algorithm for fitting a Gaussian function", 2011); the
median over the confident maps is the answer.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkjax.heatmaps import arguments

MOST_MAPS = 4096  # measured, spread evenly over all; the median needs no more
CONFIDENT = 0.5  # of the 95th percentile of the maxima
FITS = 8  # the radius of the window has settled long before
FAR = 4.0  # sigmas from the maximum, where a Gaussian is below 1/2000
LEAST_FAR = 0.125  # share of a map that must be far to give its background


class _Peaks(NamedTuple):
  """Maps and the places of their maxima."""

  maps: np.ndarray  # [M, H, W] float64
  x: np.ndarray  # [M]
  y: np.ndarray  # [M]
  heights: np.ndarray  # [M], above 0

  def select(self, kept) -> "_Peaks":
    return _Peaks(*(field[kept] for field in self))


def estimate_sigma(heatmaps: ArrayLike) -> float:
  """Measures the standard deviation of the peaks of any network's heatmaps.

  Maps count whose maximum is at least half the 95th percentile of all maxima
  that can be measured, so that flat, empty and doubtful ones do not. A maximum
  on the map's outermost cells, one that is not above 0, one without positive
  neighbours all around, and maps that hold NaN or infinity there are left out.
  The scale does not matter; a constant background, of either sign and any
  height, is taken off where an eighth of the map is further than four sigmas
  from the maximum.

  A few dozen maps suffice. On drawn Gaussians of sigma 0.7 to 5 the answer is
  exact, and within 5 % under white noise of 0.05 of the peak's height. Real
  peaks are no Gaussians: theirs is the sigma that their top has.

  Args:
    heatmaps: [..., H, W, K] of at least 3 x 3 pixels, one peak each, any real
      type, computed in float64. A NumPy function: not for jit.

  Returns:
    Sigma in heatmap pixels, the geometric mean over both axes of each peak, the
    median over maps; for `decode_heatmaps(..., sigma=...)`.

  Raises:
    ValueError: a rank below 3, maps below 3 x 3, no map with a peak that can be
      measured.

  Example:
    >>> from darkjax import render_heatmaps
    >>> points = np.float32([[5.3, 7.8], [10.0, 3.25]])
    >>> heatmaps = render_heatmaps(points, size=(32, 24), sigma=1.5)
    >>> round(estimate_sigma(heatmaps), 3)
    1.5
  """
  shape = np.shape(heatmaps)
  arguments.check_heatmaps(shape, smallest=3)
  peaks = _peaks(heatmaps)
  sigmas = _sigmas(peaks, radius=1)
  measured = np.isfinite(sigmas)
  if not measured.any():
    raise ValueError(
      f"none of the {len(sigmas)} maps of shape {shape} that were looked at has"
      " a peak whose width can be measured: a maximum above 0, off the map's"
      " border, that falls on all sides; heatmaps are [..., H, W, K]"
    )
  peaks, sigmas = peaks.select(measured), sigmas[measured]
  least = CONFIDENT * np.percentile(peaks.heights, 95)
  confident = peaks.heights >= least
  peaks, sigma = peaks.select(confident), float(np.median(sigmas[confident]))
  wide = _refined(peaks, sigma)
  less = _without_background(peaks, wide)
  if less is None:  # wide peaks, or a background as high as they are
    peaks = _less(peaks, _median(peaks.maps))
    narrow = _refined(peaks, sigma)
    less = _without_background(peaks, narrow)
    if less is None:
      return wide
    wide = narrow
  return _refined(less, wide)


def _peaks(heatmaps):
  """The maps whose maximum is finite, above 0 and off the border."""
  *leading, height, width, count = np.shape(heatmaps)
  shape = math.prod(leading), height, width, count
  maps = np.reshape(np.asarray(heatmaps), shape)
  rows = np.arange(len(maps) * count)
  if len(rows) > MOST_MAPS:
    rows = np.linspace(0, len(rows) - 1, MOST_MAPS).astype(int)
  maps = maps[rows // count, :, :, rows % count].astype(np.float64)
  places = maps.reshape(len(maps), height * width).argmax(axis=1)
  y, x = np.divmod(places, width)
  heights = maps[np.arange(len(maps)), y, x]
  kept = np.isfinite(heights) & (heights > 0)
  kept &= (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
  return _Peaks(maps, x, y, heights).select(kept)


def _refined(peaks, sigma):
  """The median sigma of fits that reach as far as it, repeated."""
  radius = 1
  for _ in range(FITS):
    sigmas = _sigmas(peaks, radius)
    if np.isfinite(sigmas).any():
      sigma = float(np.nanmedian(sigmas))
    before, radius = radius, max(round(sigma), 1)
    if radius == before:
      break
  return sigma


def _sigmas(peaks, radius):
  """[M] sigmas of quadratics fitted to the logs around the maxima, or nan."""
  _, height, width = peaks.maps.shape
  offsets = np.arange(-radius, radius + 1)
  dy, dx = (
    part.ravel() for part in np.meshgrid(offsets, offsets, indexing="ij")
  )
  rows, columns = peaks.y[:, None] + dy, peaks.x[:, None] + dx
  inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
  values = peaks.maps[
    np.arange(len(peaks.maps))[:, None],
    rows.clip(0, height - 1),
    columns.clip(0, width - 1),
  ]
  relative = values / peaks.heights[:, None]
  positive = inside & np.isfinite(relative) & (relative > 0)
  relative = np.where(positive, relative, 1.0)
  weights = np.where(positive, np.square(relative), 0.0)

  ones = np.ones_like(dx)
  terms = np.stack([ones, dx, dy, dx * dx / 2, dy * dy / 2, dx * dy], -1)
  products = terms[:, :, None] * terms[:, None, :]  # [P, 6, 6]
  normal = np.tensordot(weights, products, 1)
  right = (weights * np.log(relative)) @ terms
  fit = np.linalg.pinv(normal, hermitian=True) @ right[..., None]
  *_, xx, yy, xy = fit[..., 0].T
  determinant = xx * yy - xy * xy
  is_peak = (xx < 0) & (yy < 0) & (determinant > 1e-12)
  return np.where(is_peak, determinant, np.nan) ** -0.25


def _without_background(peaks, sigma):
  """The maps less the median of what is far from their maxima, or None."""
  _, height, width = peaks.maps.shape
  dx = np.arange(width) - peaks.x[:, None]
  dy = np.arange(height) - peaks.y[:, None]
  squares = np.square(dy)[:, :, None] + np.square(dx)[:, None, :]
  is_far = squares > (FAR * sigma) ** 2
  known = is_far.mean((1, 2)) >= LEAST_FAR
  kept = peaks.select(known)
  if not known.any():
    return None
  return _less(kept, _median(np.where(is_far[known], kept.maps, np.nan)))


def _median(values):
  """[M] medians of the finite values in [M, H, W]; 0 where there is none."""
  values = np.where(np.isfinite(values), values, np.nan)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # of maps without one
    return np.nan_to_num(np.nanmedian(values, (1, 2)))


def _less(peaks, background):
  """The maps less a number [M] of each, without those of no height then."""
  maps, heights = peaks.maps - background[:, None, None], peaks.heights
  peaks = peaks._replace(maps=maps, heights=heights - background)
  return peaks.select(peaks.heights > 0)

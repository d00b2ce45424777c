"""Gaussian blur kernels as OpenCV defines them, and as banded matrices.

The authors modulate heatmaps with `cv2.GaussianBlur(map, (k, k), 0)`, so the
kernel's size alone fixes its width: k = 3 is [1/4, 1/2, 1/4], k = 11 has a
standard deviation of 2.0 px, k = 17 of 2.9 px.
"""

import jax
import jax.numpy as jnp
import numpy as np

# OpenCV 5.0's fixed tables; 9 was computed by the formula in older versions.
_TABLES = {
  1: (1.0,),
  3: (0.25, 0.5, 0.25),
  5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
  7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
  9: tuple(tap / 256 for tap in (4, 13, 30, 51, 60, 51, 30, 13, 4)),
}


def gaussian_taps(blur_kernel: int) -> np.ndarray:
  """Returns OpenCV's Gaussian kernel of an odd size: float64 with sum 1.

  Example:
    >>> gaussian_taps(3)
    array([0.25, 0.5 , 0.25])
  """
  if blur_kernel in _TABLES:
    return np.array(_TABLES[blur_kernel])
  radius = (blur_kernel - 1) // 2
  sigma = 0.3 * (radius - 1) + 0.8
  taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
  return taps / taps.sum()


def blur_variance(blur_kernel: int) -> float:
  """Returns the variance in px^2 that a blur of this size adds to a peak.

  Example:
    >>> blur_variance(3)
    0.5
  """
  taps = gaussian_taps(blur_kernel)
  offsets = np.arange(blur_kernel) - (blur_kernel - 1) // 2
  return float((taps * offsets**2).sum())


def blur_kernel_for_sigma(sigma: float) -> int:
  """Returns the kernel size for peaks of a sigma, px; 3 or more.

  The kernel's own sigma, 0.3 ((k - 1) / 2 - 1) + 0.8, is near a third of the
  peak's. The paper modulates with the whole training sigma (Eq. 10), so the
  authors' k = 11 for 2, which is better under white noise and worse on the maps
  of networks (docs/decoder.md).

  Example:
    >>> [blur_kernel_for_sigma(sigma) for sigma in (1.0, 2.0, 3.0, 5.0)]
    [3, 3, 5, 9]
  """
  return 2 * max(round((sigma / 3 - 0.8) / 0.3 + 1.0), 1) + 1


def blur_window(window: jax.Array, blur_kernel: int) -> jax.Array:
  """Blurs [P, P] along both axes, without padding: [P - k + 1, P - k + 1].

  One product with a small matrix (169 x 9 for a kernel of 11 and a result of
  3 x 3) is quicker than two with a transpose.
  """
  band = _band_matrix(blur_kernel, window.shape[0])
  both = jnp.asarray(np.kron(band, band))
  blurred = jnp.matmul(both, window.reshape(-1), precision="highest")
  return blurred.reshape(len(band), len(band))


def square_band_matrix(blur_kernel: int, length: int) -> np.ndarray:
  """Returns the blur of a line with zeros around it, [length, length] float32.

  Example:
    >>> square_band_matrix(3, 2)
    array([[0.5 , 0.25],
           [0.25, 0.5 ]], dtype=float32)
  """
  radius = (blur_kernel - 1) // 2
  band = _band_matrix(blur_kernel, length + 2 * radius)
  return band[:, radius : radius + length]


def _band_matrix(blur_kernel: int, length: int) -> np.ndarray:
  """[length - k + 1, length] float32: row i holds the taps from column i on."""
  taps = np.pad(gaussian_taps(blur_kernel), (0, length - blur_kernel))
  rows = range(length - blur_kernel + 1)
  return np.array([np.roll(taps, row) for row in rows], np.float32)

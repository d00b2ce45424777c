"""Slow NumPy transliterations of equations, one map and one point at a time.

Written from the paper (arXiv:1910.06278) and from a description of the authors'
decoder; no code is shared with darkjax. Points are (x, y), maps are [H, W].
"""

import math

import cv2
import numpy as np


def gaussian_map(point, size, sigma):
  """Eq. 14 with peak 1, pixel by pixel."""
  height, width = size
  heatmap = np.zeros(size)
  for y in range(height):
    for x in range(width):
      square = (x - point[0]) ** 2 + (y - point[1]) ** 2
      heatmap[y, x] = math.exp(-square / (2 * sigma**2))
  return heatmap


def argmax_point(heatmap):
  y, x = np.unravel_index(np.argmax(heatmap), heatmap.shape)
  return np.array([x, y], float)


def eq1_point(heatmap):
  """Eq. 1: a quarter pixel from the maximum towards the second maximum."""
  m = argmax_point(heatmap)
  rest = np.array(heatmap, float)
  rest[int(m[1]), int(m[0])] = -np.inf
  s = argmax_point(rest)
  return m + 0.25 * (s - m) / np.linalg.norm(s - m)


def sign_point(heatmap):
  """The baseline code's form of Eq. 1: per axis, by the sign of the slope."""
  height, width = heatmap.shape
  x, y = argmax_point(heatmap).astype(int)
  if not (1 < x < width - 1 and 1 < y < height - 1):
    return np.array([x, y], float)
  slope_x = heatmap[y, x + 1] - heatmap[y, x - 1]
  slope_y = heatmap[y + 1, x] - heatmap[y - 1, x]
  return np.array([x, y]) + 0.25 * np.sign([slope_x, slope_y])


def modulated_map(heatmap, blur_kernel):
  """Eq. 10 with OpenCV's kernel and zeros around the map."""
  pad = (blur_kernel - 1) // 2
  padded = np.pad(np.asarray(heatmap, np.float64), pad)
  blurred = cv2.GaussianBlur(padded, (blur_kernel, blur_kernel), 0)
  height, width = heatmap.shape
  return blurred[pad : pad + height, pad : pad + width]


def dark_point(heatmap, blur_kernel):
  """The authors' DARK decoding of one map, in float64.

  Returns the point, and the Hessian it used: None where the maximum is not
  positive, lies within two pixels of the border, or the Hessian is singular.
  """
  height, width = heatmap.shape
  x, y = argmax_point(heatmap).astype(int)
  maximum = float(heatmap[y, x])
  if maximum <= 0:
    return np.zeros(2), None
  if not (1 < x < width - 2 and 1 < y < height - 2):
    return np.array([x, y], float), None
  smooth = modulated_map(heatmap, blur_kernel)
  smooth = smooth * maximum / smooth.max()
  log = np.log(np.maximum(smooth, 1e-10))
  dx = (log[y, x + 1] - log[y, x - 1]) / 2
  dy = (log[y + 1, x] - log[y - 1, x]) / 2
  dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
  dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
  dxy = (
    log[y + 1, x + 1]
    - log[y - 1, x + 1]
    - log[y + 1, x - 1]
    + log[y - 1, x - 1]
  ) / 4
  hessian = np.array([[dxx, dxy], [dxy, dyy]])
  if np.linalg.det(hessian) == 0:
    return np.array([x, y], float), None
  return np.array([x, y]) - np.linalg.solve(hessian, [dx, dy]), hessian

"""Pictures of people and their keypoints."""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

from darkjax.skeletons import Skeleton

# Colours of the person's left, right and middle, apart for most eyes.
_LEFT, _RIGHT, _MIDDLE = (255, 140, 0), (0, 170, 255), (120, 230, 90)


def draw_skeleton(
  image: Image.Image,
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  shown: np.ndarray | None = None,
  covariances: np.ndarray | None = None,
  color: tuple[int, int, int] | None = None,
) -> Image.Image:
  """A copy of the image with one person's limbs and keypoints drawn.

  Limbs of the person's left are orange, of the right blue, others green.

  Args:
    image: RGB.
    keypoints: [K, 2] (x, y), px of the image; integers are pixel centres.
    skeleton: its limbs and names.
    shown: [K] booleans; a limb needs both its ends. All by default.
    covariances: [K, 2, 2], px² of the image, drawn as ellipses of one standard
      deviation under the limbs; none where nan.
    color: RGB of everything, in place of the sides' colours.

  Returns:
    RGB, same size.
  """
  return draw_people(
    image,
    np.asarray(keypoints)[None],
    skeleton,
    shown=None if shown is None else np.asarray(shown)[None],
    covariances=None if covariances is None else np.asarray(covariances)[None],
    color=color,
  )


def draw_people(
  image: Image.Image,
  keypoints: np.ndarray,
  skeleton: Skeleton,
  *,
  shown: np.ndarray | None = None,
  covariances: np.ndarray | None = None,
  color: tuple[int, int, int] | None = None,
) -> Image.Image:
  """A copy of the image with N people drawn, see `draw_skeleton`.

  Lines are as wide as suits the size of each person.

  Args:
    image: RGB.
    keypoints: [N, K, 2].
    skeleton: its limbs and names.
    shown: [N, K] booleans.
    covariances: [N, K, 2, 2].
    color: RGB of everything.

  Returns:
    RGB, same size.
  """
  picture = image.convert("RGB")
  keypoints = np.asarray(keypoints, np.float64)
  drawn = np.isfinite(keypoints).all(-1)
  drawn &= True if shown is None else np.asarray(shown, bool)
  for n in np.flatnonzero(drawn.any(-1)):
    ellipses = () if covariances is None else _ellipses(covariances[n])
    _draw_person(picture, keypoints[n], skeleton, drawn[n], ellipses, color)
  return picture


def _draw_person(picture, keypoints, skeleton, shown, ellipses, color) -> None:
  """Draws into the picture, on a layer as large as the person.

  The layer is drawn enlarged and reduced, for smooth edges.
  """
  extent = np.ptp(keypoints[shown], axis=0).max()
  width = np.clip(extent / 90, 1.0, max(max(picture.size) / 120, 1.0))
  outlines = {k: keypoints[k] + ellipses[k] for k in _drawable(ellipses, shown)}
  reach = np.concatenate([keypoints[shown], *outlines.values()])
  corner, size = _patch(reach, 2 * width + 2, picture.size)
  if min(size) < 1:
    return
  zoom = _zoom(size)
  layer = Image.new("RGBA", tuple(int(zoom * length) for length in size))
  points = (np.where(shown[:, None], keypoints, 0.0) + 0.5 - corner) * zoom
  outlines = {k: (o + 0.5 - corner) * zoom for k, o in outlines.items()}
  colors = functools.partial(_side_color, skeleton, color)
  _draw_limbs(layer, points, skeleton, shown, outlines, zoom * width, colors)
  layer = layer.reduce(zoom)
  picture.paste(layer, tuple(int(c) for c in corner), layer)


def _draw_limbs(
  layer, points, skeleton, shown, outlines, width, colors
) -> None:
  """Ellipses, limbs over them, keypoints on top; all in px of the layer."""
  draw = ImageDraw.Draw(layer)
  points = [tuple(point) for point in points]
  for k, outline in outlines.items():
    _ellipse(draw, outline, colors(k, k), width)
  for a, b in skeleton.limbs:
    if shown[a] and shown[b]:
      draw.line([points[a], points[b]], colors(a, b), max(1, round(width)))
  for k in np.flatnonzero(shown):
    draw_dot(draw, points[k], width, colors(k, k))


def _patch(points, margin, picture_size):
  """Top left corner and (width, height) of what is drawn on, in the picture."""
  low = np.floor(points.min(0) - margin).astype(int)
  high = np.ceil(points.max(0) + margin).astype(int) + 1
  low, high = np.maximum(low, 0), np.minimum(high, picture_size)
  return low, high - low


def _zoom(size) -> int:
  """Enlargement of the layer: 4, less where that would take over 64 MB."""
  return int(np.clip(math.sqrt(16e6 / (size[0] * size[1])), 1, 4))


def _ellipses(covariances) -> np.ndarray:
  """[K, 32, 2] points around the origin, one standard deviation away.

  nan where the covariance is, or is not positive definite.
  """
  covariances = np.asarray(covariances, np.float64)
  known = np.isfinite(covariances).all((-1, -2))
  safe = np.where(known[:, None, None], covariances, np.eye(2))
  variances, axes = np.linalg.eigh(safe)
  known &= (variances > 0).all(-1)
  angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
  circle = np.stack([np.cos(angles), np.sin(angles)], -1)
  scaled = np.sqrt(np.abs(variances))[:, None, :] * circle
  points = scaled @ axes.swapaxes(-1, -2)
  return np.where(known[:, None, None], points, np.nan)


def _drawable(ellipses, shown) -> list[int]:
  return [
    k
    for k in np.flatnonzero(shown)
    if len(ellipses) and np.isfinite(ellipses[k]).all()
  ]


def _ellipse(draw, outline, color, width) -> None:
  outline = [tuple(point) for point in outline]
  draw.polygon(outline, fill=(*color, 70))
  draw.line([*outline, outline[0]], (*color, 200), max(1, round(width / 2)))


def _side_color(skeleton: Skeleton, color, a: int, b: int):
  """RGB of a limb between keypoints a and b: `color`, or that of its side."""
  if color is not None:
    return color
  names = [skeleton.keypoint_names[i] for i in (a, b)]
  for side, color in (("left", _LEFT), ("right", _RIGHT)):
    if all(side in name for name in names):
      return color
  return _MIDDLE


def draw_dot(draw, point, radius, color) -> None:
  """A filled circle, into a Pillow drawing; px from the corner."""
  (x, y), r = point, radius
  draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

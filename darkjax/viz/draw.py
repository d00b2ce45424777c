"""Drawing of people and their keypoints."""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

from darkjax.skeletons import Skeleton

# The person's left, right and middle, distinct for most colour-blind people.
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
  """Draws one person's limbs and keypoints on a copy of an image.

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
  """Draws N people on a copy of an image, see `draw_skeleton`.

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
  colors = functools.partial(_side_color, skeleton, color)
  for n in np.flatnonzero(drawn.any(-1)):
    outlines = {}
    if covariances is not None:
      outlines = _ellipses(keypoints[n], covariances[n], drawn[n])
    limbs = [(a, b) for a, b in skeleton.limbs if drawn[n, a] and drawn[n, b]]
    _draw_person(picture, keypoints[n], drawn[n], limbs, outlines, colors)
  return picture


def _draw_person(picture, keypoints, shown, limbs, outlines, colors) -> None:
  """Draws into the picture, on a layer as large as the person.

  The layer is drawn enlarged and reduced, for smooth edges.
  """
  extent = np.ptp(keypoints[shown], axis=0).max()
  width = np.clip(extent / 90, 1.0, max(max(picture.size) / 120, 1.0))
  points = np.concatenate([keypoints[shown], *outlines.values()])
  corner, size = _layer_box(points, 2 * width + 2, picture.size)
  if min(size) < 1:
    return
  zoom = _zoom(size)
  layer = Image.new("RGBA", (int(zoom * size[0]), int(zoom * size[1])))
  draw = ImageDraw.Draw(layer)

  def to_layer(points):
    return [tuple(point) for point in (points + 0.5 - corner) * zoom]

  for k, outline in outlines.items():
    outline = to_layer(outline)
    draw.polygon(outline, fill=(*colors(k, k), 70))
    line = max(1, round(zoom * width / 2))
    draw.line([*outline, outline[0]], (*colors(k, k), 200), line)
  for a, b in limbs:
    ends = to_layer(keypoints[[a, b]])
    draw.line(ends, colors(a, b), max(1, round(zoom * width)))
  for k in np.flatnonzero(shown):
    (center,) = to_layer(keypoints[[k]])
    draw_dot(draw, center, zoom * width, colors(k, k))
  layer = layer.reduce(zoom)
  picture.paste(layer, tuple(int(c) for c in corner), layer)


def _layer_box(points, margin, picture_size):
  """Returns the layer's top left corner and (width, height), picture px."""
  low = np.floor(points.min(0) - margin).astype(int)
  high = np.ceil(points.max(0) + margin).astype(int) + 1
  low, high = np.maximum(low, 0), np.minimum(high, picture_size)
  return low, high - low


def _zoom(size) -> int:
  """Enlargement of the layer: 4, less where that would take over 64 MB."""
  return int(np.clip(math.sqrt(16e6 / (size[0] * size[1])), 1, 4))


def _ellipses(keypoints, covariances, shown) -> dict[int, np.ndarray]:
  """Returns outlines [32, 2] one standard deviation around keypoints.

  None where the covariance is nan or not positive definite.
  """
  angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
  circle = np.stack([np.cos(angles), np.sin(angles)], -1)
  outlines = {}
  for k in np.flatnonzero(shown & np.isfinite(covariances).all((-1, -2))):
    variances, axes = np.linalg.eigh(np.asarray(covariances[k], np.float64))
    if (variances > 0).all():
      outlines[int(k)] = keypoints[k] + (np.sqrt(variances) * circle) @ axes.T
  return outlines


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
  """Draws a filled circle into a Pillow drawing; px from the corner."""
  (x, y), r = point, radius
  draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

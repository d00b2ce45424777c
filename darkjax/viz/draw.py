"""Drawing of people and their keypoints."""

import colorsys
import functools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

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
  """Draws limbs and keypoints of one or more people on a copy of an image.

  Limbs of a person's left are orange, of the right blue, others green.

  Args:
    image: RGB.
    keypoints: [..., K, 2] (x, y), px of the image; integers are pixel centres.
    skeleton: its limbs and names.
    shown: [..., K] booleans; a limb needs both its ends. All by default.
    covariances: [..., K, 2, 2], px², drawn as ellipses of one standard
      deviation under the limbs; none where nan.
    color: RGB of everything, in place of the sides' colours.
  """
  picture = image.convert("RGB")
  count = np.shape(keypoints)[-2]
  keypoints = np.asarray(keypoints, np.float64).reshape(-1, count, 2)
  drawn = np.asarray(np.isfinite(keypoints).all(-1))
  if shown is not None:
    drawn &= np.asarray(shown, bool).reshape(-1, count)
  colors = functools.partial(_side_color, skeleton, color)
  for n in np.flatnonzero(drawn.any(-1)):
    outlines = {}
    if covariances is not None:
      widths = np.reshape(covariances, (-1, count, 2, 2))[n]
      outlines = ellipses(keypoints[n], widths, drawn[n])
    limbs = [(a, b) for a, b in skeleton.limbs if drawn[n, a] and drawn[n, b]]
    _draw_person(picture, keypoints[n], drawn[n], limbs, outlines, colors)
  return picture


def _draw_person(picture, keypoints, shown, limbs, outlines, colors) -> None:
  """Draws on a layer as large as the person, enlarged for smooth edges."""
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
  """Returns the layer's enlargement: 4, less where that takes over 64 MB."""
  return int(np.clip(math.sqrt(16e6 / (size[0] * size[1])), 1, 4))


def ellipses(keypoints, covariances, shown) -> dict[int, np.ndarray]:
  """Returns outlines [32, 2] of positive definite covariances by keypoint.

  Args:
    keypoints: [K, 2], px, the centres.
    covariances: [K, 2, 2], px².
    shown: [K] booleans.
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
  """Returns a limb's RGB: `color`, or that of its side."""
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


def draw_number(picture: Image.Image, bbox: np.ndarray, number: int) -> None:
  """Writes a person's number into a picture, at the top left of the box.

  Args:
    picture: RGB, drawn on.
    bbox: [4] (x, y, w, h), px of the picture.
    number: from 0; each has a colour of its own.
  """
  size = int(np.clip(bbox[3] / 10, 11, 48))
  font = ImageFont.load_default(size)
  x, y = np.clip(bbox[:2], 0, np.maximum(np.array(picture.size) - size, 0))
  ImageDraw.Draw(picture).text(
    (float(x), float(y)), str(number), number_color(number), font,
    stroke_width=max(1, size // 12), stroke_fill=(0, 0, 0),
  )  # fmt: skip


def number_color(number: int) -> tuple[int, int, int]:
  """Returns a bright RGB; those of neighbouring numbers are far apart."""
  hue = number * (math.sqrt(5) - 1) / 2 % 1  # the golden ratio
  red, green, blue = colorsys.hsv_to_rgb(hue, 0.8, 1.0)
  return round(255 * red), round(255 * green), round(255 * blue)

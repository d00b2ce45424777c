"""Antialiased solids with a depth buffer.

A synthetic picture consists of rods and ellipsoids seen in weak perspective.
Each is evaluated in its bounding window only, as a signed distance (coverage),
a front surface (depth) and a normal (light). Images are [3, H, W].
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_AMBIENT, _DIFFUSE = 0.58, 0.47  # sums above 1, so that lit sides are bright
_NOWHERE = np.float32(-1e6)  # depth of a pixel that nothing covers

Size = tuple[int, int]  # (height, width)
Color = np.ndarray  # [3] in [0, 255]
# [3] (x, y, z) in pixels: x right, y down, z towards the viewer. Integer x and
# y are the centre of a pixel.
Point = np.ndarray


class Pattern(NamedTuple):
  """What a surface shows besides its own colour."""

  kind: str  # "rings", "lines", "check", "panes" or "dots"
  period: float  # from one element to the next, px
  color: Color


class _Surface(NamedTuple):
  distance: np.ndarray  # to the outline, px, negative inside
  depth: np.ndarray  # z of the front surface
  normal: tuple[np.ndarray, np.ndarray, np.ndarray]
  along: np.ndarray  # pattern coordinates, px
  across: np.ndarray


class Rod(NamedTuple):
  """A tapered rod with an elliptic section."""

  start: Point
  end: Point
  widths: np.ndarray  # [n] half widths in the image, evenly from start to end
  color: Color
  bulge: float = 1.0  # half thickness over half width; 0 is a board
  cap: float = 1.0  # how far an end stands out over half width; 0 is cut flat
  pattern: Pattern | None = None
  # A keypoint behind it is hidden however thin it is, as by hair or a bag; one
  # in the flesh or under cloth is not.
  hides: bool = False
  on_top: bool = False  # painted after the solids it lies on

  def middle_depth(self) -> float:
    """Returns z of the middle."""
    return float(self.start[2] + self.end[2]) / 2

  def bounds(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and the highest (x, y), and a pixel more."""
    margin = max(self.widths) * max(1.0, self.cap) + 1
    ends = self.start[:2], self.end[:2]
    return np.minimum(*ends) - margin, np.maximum(*ends) + margin

  def surface(self, x: np.ndarray, y: np.ndarray) -> _Surface:
    """Evaluates the rod at the pixels of a row [1, w] and a column [h, 1]."""
    start = self.start.astype(np.float32)
    axis = (self.end - self.start).astype(np.float32)
    length = np.float32(max(np.hypot(axis[0], axis[1]), 1e-3))
    ux, uy = axis[:2] / length
    if length < 0.01:  # seen end on: any direction will do
      ux, uy = np.float32(0), np.float32(1)
    x, y = x - start[0], y - start[1]
    along, across = x * ux + y * uy, y * ux - x * uy
    t = np.clip(along / length, 0, 1)
    width = _width(self.widths, t)
    if self.cap:
      beyond = (along - t * length) / np.float32(self.cap)
      distance = np.sqrt(across**2 + beyond**2) - width
    else:
      beyond = np.zeros_like(along)
      outside = np.maximum(-along, along - length)
      distance = np.maximum(np.abs(across) - width, outside)
    side, end = across / width, beyond / width
    up = np.sqrt(np.maximum(1 - side**2 - end**2, 0))
    depth = start[2] + t * axis[2] + np.float32(self.bulge) * width * up
    normal = (end * ux - side * uy, end * uy + side * ux, up)
    if not self.bulge:
      normal = (np.zeros_like(up), np.zeros_like(up), np.ones_like(up))
    return _Surface(distance, depth, normal, along, across)


class Ellipsoid(NamedTuple):
  """An ellipsoid with radii [3] along the orthonormal columns of a frame."""

  center: Point
  frame: np.ndarray  # [3, 3]
  radii: np.ndarray
  color: Color
  pattern: Pattern | None = None
  hides: bool = False  # as for a rod
  on_top: bool = False

  def middle_depth(self) -> float:
    """Returns z of the middle."""
    return float(self.center[2])

  def bounds(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and the highest (x, y), and a pixel more."""
    margin = np.sqrt(((self.frame[:2] * self.radii) ** 2).sum(1)) + 1
    return self.center[:2] - margin, self.center[:2] + margin

  def surface(self, x: np.ndarray, y: np.ndarray) -> _Surface:
    """Solves (p - c)ᵀ A (p - c) = 1 for the z nearest to the viewer."""
    quadric = (self.frame / self.radii**2) @ self.frame.T
    tilt = quadric[2, :2] / quadric[2, 2]
    outline = quadric[:2, :2] - np.outer(tilt, quadric[2, :2])
    (a, b), (_, c) = outline.astype(np.float32)
    x, y = x - np.float32(self.center[0]), y - np.float32(self.center[1])
    px, py = a * x + b * y, b * x + c * y
    level = np.maximum(px * x + py * y, np.float32(1e-8))
    radius = np.sqrt(level)
    slope = np.sqrt(np.maximum(px**2 + py**2, np.float32(1e-12)))
    shrink = radius / slope
    up = np.sqrt(np.maximum(1 - level, 0))
    z = up / np.float32(np.sqrt(quadric[2, 2]))
    z = z - np.float32(tilt[0]) * x - np.float32(tilt[1]) * y
    z = z + np.float32(self.center[2])
    normal = (px * shrink, py * shrink, up)
    return _Surface((radius - 1) * radius / slope, z, normal, y, x)


Solid = Rod | Ellipsoid


class Layer(NamedTuple):
  """One person or thing on transparent ground."""

  color: np.ndarray  # [3, H, W] colour times alpha
  alpha: np.ndarray  # [H, W] coverage in [0, 1]
  depth: np.ndarray  # [H, W] z of the front surface, very low without one
  hides: np.ndarray  # [H, W] bool, whether the front surface is one that hides


def paint_layer(
  solids: Iterable[Solid], size: Size, light: np.ndarray
) -> Layer:
  """Paints solids in any order; light is a unit vector [3] towards it."""
  layer = Layer(
    color=np.zeros((3, *size), np.float32),
    alpha=np.zeros(size, np.float32),
    depth=np.full(size, _NOWHERE, np.float32),
    hides=np.zeros(size, bool),
  )
  for solid in sorted(solids, key=lambda s: (s.on_top, s.middle_depth())):
    _paint(layer, solid, light)
  return layer


def composite(image: np.ndarray, layer: Layer) -> np.ndarray:
  """Lays a layer over an image [3, H, W]."""
  return image * (1 - layer.alpha) + layer.color


def resample(field: np.ndarray, size: Size) -> np.ndarray:
  """Stretches [..., h, w] over [..., H, W] bilinearly, corners on corners."""
  for axis, target in ((-2, size[0]), (-1, size[1])):
    source = field.shape[axis]
    position = np.linspace(0, source - 1, target, dtype=np.float32)
    index = np.minimum(position.astype(np.int64), source - 2)
    weight = position - index.astype(np.float32)
    weight = weight[:, None] if axis == -2 else weight
    first, second = (np.take(field, index + i, axis) for i in (0, 1))
    field = first + (second - first) * weight
  return field


def cloud(
  rng: np.random.Generator, size: Size, *, cells: int, octaves: int
) -> np.ndarray:
  """Draws noise [H, W] with mean near 0 and standard deviation near 1.

  The first octave has `cells` along a side, each next twice as many and half
  the strength.
  """
  total = np.zeros(size, np.float32)
  for octave in range(octaves):
    side = cells * 2**octave + 1
    grid = rng.standard_normal((side, side), np.float32)
    total += resample(grid, size) * np.float32(0.5**octave)
  return total


def _paint(layer: Layer, solid: Solid, light: np.ndarray) -> None:
  low, high = solid.bounds()
  left, top = np.maximum(np.floor(low), 0).astype(int)
  size = layer.alpha.shape[::-1]
  right, bottom = np.minimum(np.ceil(high) + 1, size).astype(int)
  if left >= right or top >= bottom:
    return
  window = np.s_[..., top:bottom, left:right]
  y, x = np.ogrid[top:bottom, left:right]
  surface = solid.surface(x.astype(np.float32), y.astype(np.float32))
  weight = np.clip(0.5 - surface.distance, 0, 1)
  weight *= np.clip(surface.depth - layer.depth[window] + 0.5, 0, 1)
  color, alpha = layer.color[window], layer.alpha[window]
  color += weight * (_shaded(solid, surface, light) - color)
  alpha += weight * (1 - alpha)
  covered = weight > 0.5
  np.copyto(layer.depth[window], surface.depth, where=covered)
  layer.hides[window][covered] = solid.hides


def _width(widths: np.ndarray, t: np.ndarray) -> np.ndarray:
  if len(widths) == 2:
    return np.float32(widths[0]) + t * np.float32(widths[1] - widths[0])
  knots = np.linspace(0, 1, len(widths))
  return np.interp(t, knots, widths).astype(np.float32)


def _shaded(solid: Solid, surface: _Surface, light: np.ndarray) -> np.ndarray:
  color = solid.color.astype(np.float32)[:, None, None]
  if solid.pattern is not None:
    second = solid.pattern.color.astype(np.float32)[:, None, None]
    color = color + (second - color) * _second_color(solid.pattern, surface)
  x, y, z = np.asarray(light, np.float32)
  shade = surface.normal[0] * x + surface.normal[1] * y + surface.normal[2] * z
  return color * (_AMBIENT + _DIFFUSE * np.maximum(shade, 0))


def _second_color(pattern: Pattern, surface: _Surface) -> np.ndarray:
  """How much of the second colour shows, in [0, 1]."""
  turn = np.float32(2 * np.pi / pattern.period)
  steep = np.float32(pattern.period / 6)  # an edge about one pixel wide
  rings, lines = np.sin(surface.along * turn), np.sin(surface.across * turn)
  wave = {
    "rings": lambda: rings,
    "lines": lambda: lines,
    "check": lambda: rings * lines,
    "panes": lambda: np.minimum(rings, lines),
    "dots": lambda: rings + lines - 1,
  }[pattern.kind]()
  return np.clip(0.5 + steep * wave, 0, 1)

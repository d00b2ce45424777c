"""Antialiased solids with a depth buffer, for the embedded data set.

Everything in a synthetic picture is one of two solids seen in weak
perspective: a tapered rod with an elliptic section, or an ellipsoid. Each is
evaluated in its bounding window only, as a signed distance (coverage), a front
surface (depth) and a normal (light).

Points are (x, y, z) in pixels: x right, y down, z towards the viewer; integer
x, y are pixel centres. Colours are float32 in [0, 255], planes first.
"""

from typing import NamedTuple

import numpy as np

_AMBIENT, _DIFFUSE = 0.58, 0.47  # sums above 1, so that lit sides are bright
_NOWHERE = np.float32(-1e6)  # depth of a pixel that nothing covers


class Pattern(NamedTuple):
  """What a surface shows besides its own colour.

  Attributes:
    kind: "rings", "lines", "check", "panes" or "dots".
    period: distance from one element to the next, pixels.
    color: [3] the second colour.
  """

  kind: str
  period: float
  color: np.ndarray


class Rod(NamedTuple):
  """A tapered rod.

  Attributes:
    start: [3] one end of the axis.
    end: [3] the other end.
    widths: [n] half widths in the image at equal steps from start to end.
    color: [3].
    bulge: half thickness towards the viewer over half width; 0 is a board.
    cap: how far an end stands out over the half width; 0 is cut flat.
    pattern: a second colour, or None.
    hides: a keypoint behind it is hidden however thin it is, as by hair or a
      bag; one in the flesh or under cloth is not.
    on_top: painted after the solids it lies on.
  """

  start: np.ndarray
  end: np.ndarray
  widths: np.ndarray
  color: np.ndarray
  bulge: float = 1.0
  cap: float = 1.0
  pattern: Pattern | None = None
  hides: bool = False
  on_top: bool = False


class Ellipsoid(NamedTuple):
  """An ellipsoid.

  Attributes:
    center: [3].
    frame: [3, 3] orthonormal columns, the directions of the axes.
    radii: [3] half axes.
    color: [3].
    pattern: as for a rod.
    hides: as for a rod.
    on_top: as for a rod.
  """

  center: np.ndarray
  frame: np.ndarray
  radii: np.ndarray
  color: np.ndarray
  pattern: Pattern | None = None
  hides: bool = False
  on_top: bool = False


class Layer(NamedTuple):
  """One person or thing on transparent ground.

  Attributes:
    color: [3, H, W] colour times alpha.
    alpha: [H, W] coverage in [0, 1].
    depth: [H, W] z of the front surface, very low where there is none.
    hides: [H, W] bool, whether the front surface is of a solid that hides.
  """

  color: np.ndarray
  alpha: np.ndarray
  depth: np.ndarray
  hides: np.ndarray


class _Surface(NamedTuple):
  distance: np.ndarray  # to the outline, pixels, negative inside
  depth: np.ndarray  # z of the front surface
  normal: tuple[np.ndarray, np.ndarray, np.ndarray]
  along: np.ndarray  # pattern coordinates, pixels
  across: np.ndarray


def paint_layer(solids, size: tuple[int, int], light: np.ndarray) -> Layer:
  """Paints solids from back to front with a depth test at every pixel.

  Args:
    solids: rods and ellipsoids, in any order.
    size: (height, width).
    light: [3] unit vector towards the light.

  Returns:
    The layer, clipped to the image.
  """
  layer = Layer(
    color=np.zeros((3, *size), np.float32),
    alpha=np.zeros(size, np.float32),
    depth=np.full(size, _NOWHERE, np.float32),
    hides=np.zeros(size, bool),
  )
  for solid in sorted(solids, key=lambda s: (s.on_top, _middle_depth(s))):
    _paint(layer, solid, light)
  return layer


def composite(image: np.ndarray, layer: Layer) -> np.ndarray:
  """Lays a layer over an image [3, H, W]."""
  return image * (1 - layer.alpha) + layer.color


def resample(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Stretches [..., h, w] over [..., H, W] bilinearly, corners on corners."""
  rows, row_weights = _steps(field.shape[-2], size[0])
  columns, column_weights = _steps(field.shape[-1], size[1])
  upper, lower = field[..., rows, :], field[..., rows + 1, :]
  field = upper + (lower - upper) * row_weights[:, None]
  left, right = field[..., columns], field[..., columns + 1]
  return left + (right - left) * column_weights


def cloud(rng: np.random.Generator, size, *, cells: int, octaves: int):
  """Low-frequency noise [H, W]; each octave is half as coarse and as strong.

  Args:
    rng: where the randomness comes from.
    size: (height, width).
    cells: how many bumps fit along a side in the first octave.
    octaves: how many are summed.

  Returns:
    float32, mean near 0, standard deviation near 1.
  """
  total = np.zeros(size, np.float32)
  for octave in range(octaves):
    side = cells * 2**octave + 1
    grid = rng.standard_normal((side, side), np.float32)
    total += resample(grid, size) * np.float32(0.5**octave)
  return total


def _steps(source: int, target: int):
  position = np.linspace(0, source - 1, target, dtype=np.float32)
  index = np.minimum(position.astype(np.int64), source - 2)
  return index, position - index.astype(np.float32)


def _middle_depth(solid) -> float:
  if isinstance(solid, Rod):
    return float(solid.start[2] + solid.end[2]) / 2
  return float(solid.center[2])


def _window(solid, size) -> tuple[slice, slice]:
  """The pixels that the solid can touch: one more than its extent."""
  if isinstance(solid, Rod):
    reach = max(solid.widths) * max(1.0, solid.cap) + 1
    low = np.minimum(solid.start, solid.end)[:2] - reach
    high = np.maximum(solid.start, solid.end)[:2] + reach
  else:
    reach = np.sqrt(((solid.frame[:2] * solid.radii) ** 2).sum(1)) + 1
    low, high = solid.center[:2] - reach, solid.center[:2] + reach
  left, top = np.maximum(np.floor(low), 0).astype(int)
  right, bottom = np.minimum(np.ceil(high) + 1, size[::-1]).astype(int)
  return slice(top, max(top, bottom)), slice(left, max(left, right))


def _paint(layer: Layer, solid, light: np.ndarray) -> None:
  window = rows, columns = _window(solid, layer.alpha.shape)
  if rows.start >= rows.stop or columns.start >= columns.stop:
    return
  x = np.arange(columns.start, columns.stop, dtype=np.float32)
  y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
  evaluate = _rod_surface if isinstance(solid, Rod) else _ellipsoid_surface
  surface = evaluate(solid, x, y)
  weight = np.clip(0.5 - surface.distance, 0, 1)
  weight *= np.clip(surface.depth - layer.depth[window] + 0.5, 0, 1)
  paint = _shaded(solid, surface, light)
  color, alpha = layer.color[:, rows, columns], layer.alpha[window]
  color += weight * (paint - color)
  alpha += weight * (1 - alpha)
  covered = weight > 0.5
  np.copyto(layer.depth[window], surface.depth, where=covered)
  layer.hides[window][covered] = solid.hides


def _rod_surface(rod: Rod, x, y) -> _Surface:
  start = rod.start.astype(np.float32)
  axis = (rod.end - rod.start).astype(np.float32)
  length = np.float32(max(np.hypot(axis[0], axis[1]), 1e-3))
  ux, uy = axis[0] / length, axis[1] / length
  if length < 0.01:  # seen end on: any direction will do
    ux, uy = np.float32(0), np.float32(1)
  along = (x - start[0]) * ux + (y - start[1]) * uy
  across = (y - start[1]) * ux - (x - start[0]) * uy
  t = np.clip(along / length, 0, 1)
  width = _width(rod.widths, t)
  beyond = along - t * length
  side = across / width
  if rod.cap:
    beyond = beyond / np.float32(rod.cap)
    distance = np.sqrt(across**2 + beyond**2) - width
    end = beyond / width
  else:
    distance = np.maximum(
      np.abs(across) - width, np.maximum(-along, along - length)
    )
    end = np.zeros_like(beyond)
  up = np.sqrt(np.maximum(1 - side**2 - end**2, 0))
  depth = start[2] + t * axis[2] + np.float32(rod.bulge) * width * up
  if not rod.bulge:
    zero = np.zeros_like(up)
    return _Surface(distance, depth, (zero, zero, zero + 1), along, across)
  normal = (end * ux - side * uy, end * uy + side * ux, up)
  return _Surface(distance, depth, normal, along, across)


def _width(widths, t):
  if len(widths) == 2:
    return np.float32(widths[0]) + t * np.float32(widths[1] - widths[0])
  knots = np.linspace(0, 1, len(widths))
  return np.interp(t, knots, widths).astype(np.float32)


def _ellipsoid_surface(solid: Ellipsoid, x, y) -> _Surface:
  """Solves (p - c)ᵀ A (p - c) = 1 for the z nearest to the viewer."""
  quadric = (solid.frame / solid.radii**2) @ solid.frame.T
  tilt = quadric[2, :2] / quadric[2, 2]
  outline = quadric[:2, :2] - np.outer(tilt, quadric[2, :2])
  (a, b), (_, c) = outline.astype(np.float32)
  x, y = x - np.float32(solid.center[0]), y - np.float32(solid.center[1])
  px, py = a * x + b * y, b * x + c * y
  level = np.maximum(px * x + py * y, np.float32(1e-8))
  radius = np.sqrt(level)
  slope = np.sqrt(np.maximum(px**2 + py**2, np.float32(1e-12)))
  distance = (radius - 1) * radius / slope
  up = np.sqrt(np.maximum(1 - level, 0))
  z = up / np.float32(np.sqrt(quadric[2, 2]))
  z = z - np.float32(tilt[0]) * x - np.float32(tilt[1]) * y
  shrink = radius / slope
  normal = (px * shrink, py * shrink, up)
  return _Surface(distance, z + np.float32(solid.center[2]), normal, y, x)


def _shaded(solid, surface: _Surface, light) -> np.ndarray:
  color = solid.color.astype(np.float32)[:, None, None]
  if solid.pattern is not None:
    second = solid.pattern.color.astype(np.float32)[:, None, None]
    mix = _pattern(solid.pattern, surface.along, surface.across)
    color = color + (second - color) * mix
  x, y, z = np.asarray(light, np.float32)
  shade = surface.normal[0] * x + surface.normal[1] * y + surface.normal[2] * z
  return color * (_AMBIENT + _DIFFUSE * np.maximum(shade, 0))


def _pattern(pattern: Pattern, along, across) -> np.ndarray:
  """How much of the second colour shows, in [0, 1]."""
  turn = np.float32(2 * np.pi / pattern.period)
  steep = np.float32(pattern.period / 6)  # an edge about one pixel wide
  if pattern.kind == "rings":
    wave = np.sin(along * turn)
  elif pattern.kind == "lines":
    wave = np.sin(across * turn)
  elif pattern.kind == "check":
    wave = np.sin(along * turn) * np.sin(across * turn)
  elif pattern.kind == "panes":
    wave = np.minimum(np.sin(along * turn), np.sin(across * turn))
  else:
    wave = np.sin(along * turn) + np.sin(across * turn) - 1
  return np.clip(0.5 + steep * wave, 0, 1)

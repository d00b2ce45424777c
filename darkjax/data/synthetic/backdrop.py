"""Places of synthetic pictures: rooms, streets, parks, mere clutter.

Sizes are (height, width); positions and lengths are pixels of the backdrop. A
place yields its ground [3, H, W], then what is on it, from back to front.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from darkjax.data.synthetic import render
from darkjax.data.synthetic.look import cloth_color
from darkjax.data.synthetic.render import Color, Pattern, Rod, Size, Solid

_XY = tuple[float, float]


def sample_backdrop(
  rng: np.random.Generator, size: Size, light: np.ndarray
) -> np.ndarray:
  """Draws a place, more or less in focus: float32 [3, H, W], about 0 to 255."""
  blur = rng.choice([1, 2, 2, 3])  # painted smaller, then stretched
  height, width = (-(-side // blur) + 1 for side in size)
  small = height, width
  places = (_room, _street, _park, _clutter)
  place = places[rng.choice(len(places), p=(0.3, 0.25, 0.2, 0.25))]
  horizon = rng.uniform(0.4, 0.85) * height
  ground, *solids = place(rng, small, horizon)
  solids = [_lifted(solid, 3 * i) for i, solid in enumerate(solids)]
  image = render.composite(ground, render.paint_layer(solids, small, light))
  texture = render.cloud(rng, small, cells=12, octaves=4)
  image = image * (1 + texture * np.float32(rng.uniform(0.01, 0.09)))
  return render.resample(image, size)


def board(
  start: _XY, end: _XY, half_width: float, color: Color, **more: Any
) -> Rod:
  """Returns a rod in the image's plane from start to end (x, y), cut flat."""
  ends = np.array([*start, 0.0]), np.array([*end, 0.0])
  flat = Rod(*ends, np.full(2, float(half_width)), color, bulge=0.0, cap=0.0)
  return flat._replace(**more)


def disc(x: float, y: float, radii: np.ndarray, color: Color) -> Solid:
  """Returns a ball, or a flatter thing, with radii (rx, ry, rz)."""
  return render.Ellipsoid(np.array([x, y, 0.0]), np.eye(3), radii, color)


def sample_pattern(rng: np.random.Generator, unit: float) -> Pattern | None:
  """Draws a pattern of up to a fifth of a unit of pixels, or none."""
  if rng.random() < 0.5:
    return None
  kind = str(rng.choice(["rings", "lines", "check", "panes", "dots"]))
  period = max(4.0, rng.uniform(0.03, 0.2) * unit)
  return Pattern(kind, period, cloth_color(rng))


def sample_leaves(
  rng: np.random.Generator, x: float, y: float, spread: float, count: int
) -> Iterator[Solid]:
  """Draws a bush or the crown of a tree around (x, y)."""
  green = np.array([rng.uniform(30, 120), rng.uniform(75, 150), 45.0])
  for dx, dy in rng.normal(0, spread, (count, 2)):
    radii = np.array([*rng.uniform(0.25, 0.7, 2), 0.2]) * spread
    yield disc(x + dx, y + dy, radii, green * rng.uniform(0.65, 1.2))


def _room(rng, size: Size, horizon: float) -> Iterator:
  """A wall with doors, windows, pictures and shelves, and a floor."""
  height, width = size
  yield _ground(rng, size, horizon, _wall_color(rng), _wall_color(rng) * 0.7)
  paper = sample_pattern(rng, max(size) / 2)
  if paper is not None:
    paper = paper._replace(color=_wall_color(rng))
    ends = (width / 2, 0), (width / 2, horizon)
    yield board(*ends, width, _wall_color(rng), pattern=paper)
  skirting = (0, horizon), (width, horizon)
  yield board(*skirting, 0.01 * height + 0.5, _wall_color(rng))
  if rng.random() >= 0.5:  # floor boards, which meet above the horizon
    meet, color = rng.uniform(0.3, 0.7) * width, _wall_color(rng) * 0.5
    for x in np.arange(-2, 2.1, rng.uniform(0.15, 0.4)) * width:
      yield board((meet + x * 0.25, horizon), (meet + x, height), 0.5, color)
  for _ in range(rng.integers(1, 7)):
    yield from _furniture(rng, size, horizon)


def _furniture(rng, size: Size, horizon: float) -> Iterator[Solid]:
  """A framed board on the wall or on the floor, perhaps with shelves."""
  height, width = size
  x, half = rng.uniform(0, 1) * width, rng.uniform(0.04, 0.16) * width
  tall = rng.uniform(0.15, 0.6) * height
  foot = horizon + rng.uniform(0, 0.1) * height
  if rng.random() < 0.5:
    foot = rng.uniform(0.3, 0.9) * horizon
  frame, inside = cloth_color(rng), cloth_color(rng)
  edge, pattern = 0.015 * width + 0.5, sample_pattern(rng, max(size) / 2)
  yield board((x, foot - tall), (x, foot), half, frame)
  inner = (x, foot - tall + edge), (x, foot - edge)
  yield board(*inner, max(half - edge, 1), inside, pattern=pattern)
  for y in np.arange(foot - tall, foot, rng.uniform(0.1, 0.6) * height):
    yield board((x - half, y), (x + half, y), edge / 2, frame)


def _street(rng, size: Size, horizon: float) -> Iterator:
  """Sky, houses with windows, a road, poles."""
  height, width = size
  sky, road = _sky(rng), np.full(3, rng.uniform(60, 150))
  yield _ground(rng, size, horizon, sky, road)
  x = rng.uniform(-0.3, 0) * width
  while x < width:
    half = rng.uniform(0.08, 0.25) * width
    top = horizon - rng.uniform(0.2, 1.0) * height
    period = max(5.0, rng.uniform(0.25, 0.7) * half)
    panes = Pattern("panes", period, _wall_color(rng) * 0.4)
    ends = (x + half, top), (x + half, horizon)
    yield board(*ends, half, _wall_color(rng), pattern=panes)
    x += 2 * half + rng.choice([0, 0, 0.1]) * width
  for _ in range(rng.integers(0, 4)):
    x, tall = rng.uniform(0, width), rng.uniform(0.3, 0.9) * height
    foot = horizon + rng.uniform(0, 0.2) * height
    color = cloth_color(rng) * 0.6
    half = rng.uniform(0.004, 0.015) * width + 0.5
    yield board((x, foot - tall), (x, foot), half, color, bulge=1.0)


def _park(rng, size: Size, horizon: float) -> Iterator:
  """Sky, hills, trees and grass."""
  height, width = size
  grass = np.array([rng.uniform(60, 140), rng.uniform(90, 150), 60.0])
  yield _ground(rng, size, horizon, _sky(rng), grass)
  for _ in range(rng.integers(0, 4)):
    x, color = rng.uniform(0, width), grass * rng.uniform(0.5, 0.9)
    radii = np.array([rng.uniform(0.2, 0.6) * width, 0.15 * height, 1.0])
    yield disc(x, horizon, radii, color)
  for _ in range(rng.integers(1, 5)):
    x, foot = rng.uniform(0, width), horizon + rng.uniform(0, 0.15) * height
    tall = rng.uniform(0.25, 0.7) * height
    half = rng.uniform(0.01, 0.03) * width
    bark = np.array([95.0, 70.0, 50.0]) * rng.uniform(0.5, 1.2)
    yield board((x, foot - tall), (x, foot), half, bark, bulge=1.0)
    count = int(rng.integers(6, 16))
    yield from sample_leaves(rng, x, foot - tall, 0.25 * tall, count)


def _clutter(rng, size: Size, horizon: float) -> Iterator:
  """Anything anywhere: boards, limb-like rods, blobs."""
  ground = _ground(rng, size, horizon, cloth_color(rng), cloth_color(rng))
  yield ground + render.cloud(rng, size, cells=2, octaves=3) * np.float32(14)
  for _ in range(rng.integers(3, 22)):
    yield _piece(rng, size)


def _piece(rng, size: Size) -> Solid:
  height, width = size
  x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
  color, scale = cloth_color(rng), float(max(size))
  kind = rng.integers(3)
  if kind == 0:
    end = x, y + rng.uniform(0.05, 0.6) * height
    half, pattern = rng.uniform(0.02, 0.2) * width, sample_pattern(rng, scale)
    return board((x, y), end, half, color, pattern=pattern)
  if kind == 1:
    turn, length = rng.uniform(0, np.pi), rng.uniform(0.05, 0.5) * scale
    tip = x + np.cos(turn) * length, y + np.sin(turn) * length
    half = rng.uniform(0.005, 0.035) * scale
    widths = np.array([1.0, rng.uniform(0.4, 1)]) * half
    return board((x, y), tip, 1, color, widths=widths, bulge=0.6, cap=1.0)
  radii = np.array([*rng.uniform(0.02, 0.15, 2), 0.01]) * scale
  return disc(x, y, radii, color)


def _ground(rng, size: Size, horizon: float, above, below) -> np.ndarray:
  """Two fields, each a little darker at one end, and the border between."""
  height, width = size
  slope = rng.normal(0, 0.02) * np.linspace(-width, width, width)
  rows = np.arange(height)[:, None]
  share = np.clip(rows - horizon - slope + 0.5, 0, 1).astype(np.float32)
  fade = np.linspace(rng.uniform(0.7, 1.1), rng.uniform(0.7, 1.1), height)
  above, below = (c.astype(np.float32)[:, None, None] for c in (above, below))
  return (above + (below - above) * share) * fade.astype(np.float32)[:, None]


def _wall_color(rng) -> np.ndarray:
  """Draws a dull colour."""
  color = cloth_color(rng)
  return color + 0.6 * (color.mean() - color) + rng.uniform(-10, 40)


def _sky(rng) -> np.ndarray:
  """Draws a colour from grey to blue."""
  grey = np.full(3, rng.uniform(170, 235))
  return grey - rng.uniform(0, 1) * np.array([70.0, 35.0, -10.0])


def _lifted(solid: Solid, z: float) -> Solid:
  shift = np.array([0, 0, z])
  if isinstance(solid, Rod):
    return solid._replace(start=solid.start + shift, end=solid.end + shift)
  return solid._replace(center=solid.center + shift)

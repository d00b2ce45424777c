"""Looks of a synthetic person, and the solids that it is painted from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkjax.data.synthetic import render
from darkjax.data.synthetic.body import Body
from darkjax.data.synthetic.render import Color, Pattern, Point

_SKINS = np.array([
  (255, 221, 196), (241, 194, 160), (224, 172, 128), (198, 134, 92),
  (150, 98, 64), (105, 68, 46), (78, 50, 36),
], np.float32)  # fmt: skip
_HAIRS = np.array([
  (28, 22, 20), (58, 38, 26), (96, 62, 36), (150, 104, 52), (206, 168, 104),
  (150, 62, 30), (150, 150, 150), (218, 214, 208),
], np.float32)  # fmt: skip


class Look(NamedTuple):
  """What a person looks like and wears."""

  skin: Color
  hair: Color
  hair_style: str  # "bald", "short", "bob", "long", "tail" or "cap"
  shirt: Color
  pattern: Pattern | None  # of the shirt, its period in person heights
  sleeve: float  # share of the arm covered: 1 to the elbow, 2 to the wrist
  trousers: Color
  leg: float  # share of the leg covered: 1 to the knee, 2 to the ankle
  skirt: float  # how far a skirt reaches down the thigh, 0 for none
  shoes: Color
  front: str  # "plain", "buttons", "zip", "print", "tie" or "open"
  back: str  # "plain", "print", "hood" or "bag"
  accent: Color  # colour of what is on the front and the back
  beard: bool
  glasses: bool


def sample_look(rng: np.random.Generator) -> Look:
  """Draws a person's looks."""
  skin, hair = rng.integers(len(_SKINS)), rng.integers(len(_HAIRS))
  styles = ("bald", "short", "bob", "long", "tail", "cap")
  style = str(rng.choice(styles, p=(0.06, 0.38, 0.14, 0.16, 0.12, 0.14)))
  leg = float(rng.choice([2.0, 2.0, 2.0, 1.0, 0.85]))
  return Look(
    skin=_SKINS[skin] * rng.uniform(0.93, 1.0),
    hair=_HAIRS[hair] * rng.uniform(0.8, 1.1),
    hair_style=style,
    shirt=cloth_color(rng),
    pattern=_sample_pattern(rng),
    sleeve=float(rng.choice([0.0, 0.55, 0.75, 1.0, 1.6, 2.0, 2.0, 2.0])),
    trousers=cloth_color(rng) * 0.8,
    leg=leg,
    skirt=float(rng.uniform(0.5, 0.95)) if rng.random() < 0.12 else 0.0,
    shoes=cloth_color(rng) * 0.8,
    front=str(rng.choice(["plain", "buttons", "zip", "print", "tie", "open"])),
    back=str(rng.choice(["plain", "plain", "print", "hood", "bag"])),
    accent=cloth_color(rng),
    beard=bool(style in ("bald", "short", "cap") and rng.random() < 0.3),
    glasses=bool(rng.random() < 0.15),
  )


def cloth_color(rng: np.random.Generator) -> Color:
  """Draws a dye: greys, blues and browns more often than bright colours."""
  if rng.random() < 0.35:
    return np.full(3, rng.uniform(25, 240)) + rng.normal(0, 6, 3)
  value, chroma, turn = rng.uniform(0.3, 1), rng.uniform(0.2, 0.9), rng.random()
  wheel = np.abs((turn * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
  return 255 * value * (1 - chroma + chroma * np.clip(wheel, 0, 1))


def _sample_pattern(rng: np.random.Generator) -> Pattern | None:
  if rng.random() < 0.55:
    return None
  kind = str(rng.choice(["rings", "lines", "check", "dots"]))
  return Pattern(kind, float(rng.uniform(0.025, 0.07)), cloth_color(rng))


class Figure:
  """The solids of one person.

  Points are in pixels; offsets, widths and radii are in person heights.
  """

  def __init__(self, body: Body, look: Look):
    self.body, self.look, self.unit = body, look, body.unit
    self.solids: list[render.Solid] = []
    self.shirt: dict[str, Any] = {"color": look.shirt}
    # A finer pattern cannot be seen.
    if look.pattern is not None and look.pattern.period * self.unit >= 3:
      period = look.pattern.period * self.unit
      self.shirt["pattern"] = look.pattern._replace(period=period)

  def at(self, point: str, frame: str, offset: ArrayLike) -> Point:
    """Returns the place at an offset from a point in a frame, by names."""
    shift = self.body.frames[frame] @ np.asarray(offset, float)
    return self.body.points[point] + self.unit * shift

  def rod(
    self, start: Point, end: Point, widths: ArrayLike, color: Color, **more: Any
  ) -> None:
    """Adds a rod; more are its other fields."""
    scaled = np.maximum(np.asarray(widths) * self.unit, 0.35)
    self.solids.append(render.Rod(start, end, scaled, color, **more))

  def egg(
    self, center: Point, frame: str, radii: ArrayLike, color: Color, **more: Any
  ) -> None:
    """Adds an ellipsoid with radii along a frame's left, up and front."""
    scaled = np.maximum(np.asarray(radii) * self.unit, 0.4)
    axes = self.body.frames[frame]
    self.solids.append(render.Ellipsoid(center, axes, scaled, color, **more))

  def slab(
    self,
    start: Point,
    end: Point,
    frame: str,
    half_widths: ArrayLike,
    color: Color,
    **more: Any,
  ) -> None:
    """Adds a rod of elliptic section, its widths left-right and front-back."""
    wide, deep = np.asarray(half_widths)  # [2, n]
    axis = end[:2] - start[:2]
    length = np.hypot(*axis)
    axis = axis / length if length > 0.01 else np.array([0.0, 1.0])
    left, _, front = self.body.frames[frame].T
    normal = np.array([-axis[1], axis[0]])
    seen = np.hypot(wide * (left[:2] @ normal), deep * (front[:2] @ normal))
    thick = np.hypot(np.mean(wide) * left[2], np.mean(deep) * front[2])
    bulge = float(thick / np.mean(seen))
    self.rod(start, end, seen, color, bulge=bulge, **more)

"""Flesh and clothes of synthetic people.

A dressed body is a list of solids. What tells left from right can be seen:
eyes, nose and mouth, the front of a shirt, the toes of the shoes on one side;
hair and the back of a shirt or a bag on the other.
"""

import numpy as np

from darkjax.data.synthetic import head
from darkjax.data.synthetic.body import SIDES, Body, Build
from darkjax.data.synthetic.look import Figure, Look
from darkjax.data.synthetic.render import Solid

# How far a keypoint may lie behind the front surface at its pixel and still be
# seen: the flesh around it and a hand's breadth of clothing. Person heights.
FLESH = {
  "nose": 0.02, "eye": 0.025, "ear": 0.02, "shoulder": 0.085, "elbow": 0.055,
  "wrist": 0.045, "hip": 0.115, "knee": 0.07, "ankle": 0.06,
}  # fmt: skip

# Half widths of the chest from the waist to the shoulders, left-right at the
# average distance of the shoulders, and front-back.
_CHEST_WIDE = np.array([0.081, 0.086, 0.096, 0.1, 0.092])
_CHEST_DEEP = np.array([0.06, 0.064, 0.068, 0.064, 0.05])

# What a shirt shows in front and behind: rods from one place to another, given
# as (height, degrees), with half widths and a factor on the accent's colour.
_FRONTS = {
  "buttons": tuple(
    ((y, 0), (y + 0.02, 0), (0.007, 0.007), 1.0)
    for y in (0.02, 0.24, 0.46, 0.66)
  ),
  "zip": (((-0.1, 0), (0.85, 0), (0.006, 0.006), 0.6),),
  "print": (((0.55, -18), (0.55, 18), (0.03, 0.03), 1.0),),
  "tie": (((0.9, 0), (0.12, 0), (0.006, 0.013), 1.0),),
  "open": (((-0.15, 0), (0.88, 0), (0.036, 0.024), 1.0),),
}
_BACKS = {
  "print": (((0.75, 156), (0.75, 204), (0.022, 0.022), 1.0),),
  "bag": tuple(  # its straps
    ((0.4, side * 50), (1.0, side * 46), (0.011, 0.011), 0.8)
    for side in (-1, 1)
  ),
}


def dress(body: Body, look: Look) -> list[Solid]:
  """Returns the solids of a person, in image pixels."""
  figure = Figure(body, look)
  _trunk(figure)
  _neck(figure)
  _marks(figure)
  _luggage(figure)
  for side in SIDES:
    _arm(figure, side)
    _leg(figure, side)
  head.add_head(figure)
  return figure.solids


def _trunk(f: Figure) -> None:
  g, trousers = f.body.build.girth, f.look.trousers
  low, high = (f.at("pelvis", "pelvis", (0, y, 0)) for y in (-0.02, 0.04))
  widths = np.array([(0.072, 0.088, 0.083), (0.058, 0.066, 0.058)]) * g
  f.slab(low, high, "pelvis", widths, trousers, cap=0.5)
  # From a little over the trousers to the waist, from there to the shoulders.
  low, high = f.at("waist", "pelvis", (0, -0.065, 0)), f.body.points["waist"]
  widths = np.array([(0.1, 0.092, 0.084), (0.084, 0.074, 0.066)]) * g
  f.slab(low, high, "pelvis", widths, cap=0.25, **f.shirt)
  top = f.at("neck", "chest", (0, -0.03, 0))
  wide = _CHEST_WIDE * np.sqrt(g) * f.body.build.shoulder / Build().shoulder
  f.slab(high, top, "chest", (wide, _CHEST_DEEP * g), cap=0.35, **f.shirt)


def _neck(f: Figure) -> None:
  slope = f.at("neck", "chest", (0, -0.012, -0.004))
  for side in SIDES:
    f.rod(slope, f.body.points[f"{side}_shoulder"], (0.034, 0.03), **f.shirt)
  low, high = f.at("neck", "chest", (0, -0.02, 0)), f.body.points["chin"]
  f.rod(low, high, (0.036, 0.031), f.look.skin * 0.93)


def _chest_surface(f: Figure, height: float, degrees: float) -> np.ndarray:
  """A place on the shirt: share of the chest's height, angle from the front.

  It is lifted towards the viewer, lest the shirt cover what lies on it.
  """
  turn, at = np.radians(degrees), np.linspace(0, 1, len(_CHEST_WIDE))
  girth = np.sqrt(f.body.build.girth)
  wide = np.interp(height, at, _CHEST_WIDE) * girth
  # A slab has the same section from end to end.
  deep = wide * girth * _CHEST_DEEP.mean() / _CHEST_WIDE.mean()
  rise = f.body.build.chest * 0.85 * height
  place = (wide * np.sin(turn), rise, deep * np.cos(turn))
  return f.at("waist", "chest", place) + np.array([0, 0, 0.012 * f.unit])


def _marks(f: Figure) -> None:
  marks = _FRONTS.get(f.look.front, ()) + _BACKS.get(f.look.back, ())
  throat = (f.look.skin, (0.97, 0), (0.74, 0), (0.022, 0.003), 0.93)
  colored = [throat, *((f.look.accent, *mark) for mark in marks)]
  for color, start, end, widths, factor in colored:
    ends = _chest_surface(f, *start), _chest_surface(f, *end)
    f.rod(*ends, widths, color * factor, bulge=0.15, on_top=True)


def _luggage(f: Figure) -> None:
  if f.look.back == "hood":
    center = f.at("neck", "chest", (0, -0.03, -0.05))
    f.egg(center, "chest", (0.07, 0.045, 0.032), f.look.shirt * 0.85)
  elif f.look.back == "bag":
    low, high = (f.at("waist", "chest", (0, y, -0.09)) for y in (0.03, 0.16))
    widths, color = ((0.085, 0.08), (0.05, 0.045)), f.look.accent
    f.slab(low, high, "chest", widths, color, cap=0.4, hides=True)


def _limb(f: Figure, side, ends, widths, covered: float, cloth) -> None:
  """Adds half a limb: cloth as far as it is covered, skin from there."""
  start, end = (f.body.points[f"{side}_{name}"] for name in ends)
  widths = np.array(widths) * f.body.build.girth
  share, knots = float(np.clip(covered, 0, 1)), np.linspace(0, 1, len(widths))
  hem = start + (end - start) * share
  if share < 1:
    f.rod(hem, end, (np.interp(share, knots, widths), widths[-1]), f.look.skin)
  if share > 0:
    widths = np.interp(np.linspace(0, share, 4), knots, widths) * 1.12 + 0.003
    f.rod(start, hem, widths, cap=1.0 if share == 1 else 0.35, **cloth)


def _arm(f: Figure, side: str) -> None:
  look, frame, wrist = f.look, f"{side}_forearm", f"{side}_wrist"
  upper, lower = (0.031, 0.03, 0.023), (0.023, 0.025, 0.016)
  _limb(f, side, ("shoulder", "elbow"), upper, look.sleeve, f.shirt)
  _limb(f, side, ("elbow", "wrist"), lower, look.sleeve - 1, f.shirt)
  color = look.shirt if look.sleeve else look.skin
  radii = np.full(3, 0.034 * f.body.build.girth)
  f.egg(f.body.points[f"{side}_shoulder"], "chest", radii, color)
  palm = f.at(wrist, frame, (0, -0.03, 0))
  tips = f.at(wrist, frame, (0, -0.075, 0.012))
  thumb = f.at(wrist, frame, (0, -0.05, 0.032))
  f.slab(palm, tips, frame, ((0.012, 0.008), (0.022, 0.014)), look.skin)
  f.rod(f.body.points[wrist], palm, (0.014, 0.017), look.skin)
  f.rod(palm, thumb, (0.009, 0.007), look.skin)


def _leg(f: Figure, side: str) -> None:
  look, frame, ankle = f.look, f"{side}_foot", f"{side}_ankle"
  upper, lower = (0.05, 0.049, 0.035), (0.036, 0.037, 0.028, 0.02)
  cloth = {"color": look.trousers}
  _limb(f, side, ("hip", "knee"), upper, look.leg, cloth)
  _limb(f, side, ("knee", "ankle"), lower, look.leg - 1.05, cloth)
  if look.skirt:
    hip, knee = (f.body.points[f"{side}_{name}"] for name in ("hip", "knee"))
    hem, g = hip + (knee - hip) * look.skirt, f.body.build.girth
    f.rod(hip, hem, (0.064 * g, 0.08 * g), look.trousers * 0.94, cap=0.3)
  heel = f.at(ankle, frame, (0, -0.022, -0.018))
  ball = f.at(ankle, frame, (0, -0.026, 0.06))
  toes = f.at(ankle, frame, (0, -0.029, 0.095))
  f.rod(f.body.points[ankle], heel, (0.021, 0.021), look.shoes)
  f.rod(heel, ball, (0.022, 0.02), look.shoes)
  f.rod(ball, toes, (0.02, 0.014), look.shoes * 1.08)

"""Flesh and clothes for the bodies of the embedded data set.

A dressed body is a list of solids. What tells left from right is there to be
seen: eyes, nose and mouth, the front of a shirt, the toes of the shoes on one
side; hair and the back of a shirt or a bag on the other.
"""

import numpy as np

from darkjax.data.synthetic import body as pose
from darkjax.data.synthetic import head
from darkjax.data.synthetic.look import Look, Tailor

# How far a keypoint may lie behind the front surface at its pixel and still be
# seen: the flesh around it and a hand's breadth of clothing. Person heights.
FLESH = {
  "nose": 0.02, "eye": 0.025, "ear": 0.02, "shoulder": 0.085, "elbow": 0.055,
  "wrist": 0.045, "hip": 0.115, "knee": 0.07, "ankle": 0.06,
}  # fmt: skip


# Half widths of the chest from the waist to the shoulders, left-right at the
# average distance of the shoulders, and front-back.
_SHOULDER = pose.Build().shoulder
_CHEST_WIDE = np.array([0.081, 0.086, 0.096, 0.1, 0.092])
_CHEST_DEEP = np.array([0.06, 0.064, 0.068, 0.064, 0.05])


def dress(body: pose.Body, look: Look) -> list:
  """The solids of a person, in image pixels."""
  tailor = Tailor(body, look)
  _trunk(tailor)
  _marks(tailor)
  _luggage(tailor)
  for side in pose.SIDES:
    _arm(tailor, side)
    _leg(tailor, side)
  head.add_head(tailor)
  return tailor.solids


def _trunk(t: Tailor) -> None:
  look, g = t.look, t.girth
  low, high = (t.at("pelvis", "pelvis", (0, y, 0)) for y in (-0.02, 0.04))
  wide, deep = np.array([0.072, 0.088, 0.083]), np.array([0.058, 0.066, 0.058])
  t.slab(low, high, "pelvis", wide * g, deep * g, look.trousers, cap=0.5)
  cloth = {"color": look.shirt, "pattern": t.shirt}
  # From a little over the trousers to the waist, from there to the shoulders.
  low, high = t.at("waist", "pelvis", (0, -0.065, 0)), t.body.points["waist"]
  wide, deep = np.array([0.1, 0.092, 0.084]), np.array([0.084, 0.074, 0.066])
  t.slab(low, high, "pelvis", wide * g, deep * g, cap=0.25, **cloth)
  top = t.at("neck", "chest", (0, -0.03, 0))
  wide = _CHEST_WIDE * np.sqrt(g) * t.body.build.shoulder / _SHOULDER
  t.slab(high, top, "chest", wide, _CHEST_DEEP * g, cap=0.35, **cloth)
  _neck(t)


def _neck(t: Tailor) -> None:
  slope = t.at("neck", "chest", (0, -0.012, -0.004))
  for side in pose.SIDES:
    shoulder = t.body.points[f"{side}_shoulder"]
    t.rod(slope, shoulder, (0.034, 0.03), t.look.shirt, pattern=t.shirt)
  low, high = t.at("neck", "chest", (0, -0.02, 0)), t.body.points["chin"]
  t.rod(low, high, (0.036, 0.031), t.look.skin * 0.93)


def _chest_surface(t: Tailor, height: float, degrees: float) -> np.ndarray:
  """A place on the shirt: share of the chest's height, angle from the front.

  It is lifted towards the viewer, lest the shirt cover what lies on it.
  """
  turn, at = np.radians(degrees), np.linspace(0, 1, len(_CHEST_WIDE))
  wide = np.interp(height, at, _CHEST_WIDE) * np.sqrt(t.girth)
  # A slab has the same section from end to end.
  deep = wide * np.sqrt(t.girth) * _CHEST_DEEP.mean() / _CHEST_WIDE.mean()
  rise = t.body.build.chest * 0.85 * height
  place = (wide * np.sin(turn), rise, deep * np.cos(turn))
  return t.at("waist", "chest", place) + np.array([0, 0, 0.012 * t.unit])


# What a shirt shows in front and behind: rods from one place to another, given
# as (height, degrees), with half widths and a factor on the accent's colour.
_FRONTS = {
  "plain": (),
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
  "plain": (),
  "print": (((0.75, 156), (0.75, 204), (0.022, 0.022), 1.0),),
  "hood": (),
  "bag": tuple(  # its straps
    ((0.4, side * 50), (1.0, side * 46), (0.011, 0.011), 0.8)
    for side in (-1, 1)
  ),
}


def _marks(t: Tailor) -> None:
  look = t.look
  throat = ((0.97, 0), (0.74, 0), (0.022, 0.003), look.skin * 0.93)
  drawn = _FRONTS[look.front] + _BACKS[look.back]
  drawn = [(*mark[:3], look.accent * mark[3]) for mark in drawn]
  for start, end, widths, color in [throat, *drawn]:
    ends = _chest_surface(t, *start), _chest_surface(t, *end)
    t.rod(*ends, widths, color, bulge=0.15, on_top=True)


def _luggage(t: Tailor) -> None:
  look = t.look
  if look.back == "hood":
    radii = (0.07, 0.045, 0.032)
    t.egg("neck", "chest", (0, -0.03, -0.05), radii, look.shirt * 0.85)
  elif look.back == "bag":
    low, high = (t.at("waist", "chest", (0, y, -0.09)) for y in (0.03, 0.16))
    wide, deep = np.array([0.085, 0.08]), np.array([0.05, 0.045])
    t.slab(low, high, "chest", wide, deep, look.accent, cap=0.4, hides=True)


def _limb(t: Tailor, ends, widths, covered: float, cloth, pattern) -> None:
  """An upper or lower limb: cloth as far as it is covered, skin from there."""
  start, end = ends
  share = float(np.clip(covered, 0, 1))
  hem = start + (end - start) * share
  at_hem = np.interp(share, np.linspace(0, 1, len(widths)), widths)
  if share < 1:
    t.rod(hem, end, (at_hem, widths[-1]), t.look.skin)
  if share > 0:
    cap = 1.0 if share == 1 else 0.35
    widths = np.interp(
      np.linspace(0, share, 4), np.linspace(0, 1, len(widths)), widths
    )
    t.rod(start, hem, widths * 1.12 + 0.003, cloth, cap=cap, pattern=pattern)


def _arm(t: Tailor, side: str) -> None:
  look, g = t.look, t.girth
  shoulder, elbow, wrist = (
    t.body.points[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist")
  )
  upper, lower = (
    np.array([0.031, 0.03, 0.023]) * g,
    np.array([0.023, 0.025, 0.016]) * g,
  )
  _limb(t, (shoulder, elbow), upper, look.sleeve, look.shirt, t.shirt)
  _limb(t, (elbow, wrist), lower, look.sleeve - 1, look.shirt, t.shirt)
  ball, radii = f"{side}_shoulder", np.full(3, 0.034 * g)
  color = look.shirt if look.sleeve else look.skin
  t.egg(ball, "chest", (0, 0, 0), radii, color)
  _hand(t, side)


def _hand(t: Tailor, side: str) -> None:
  frame, skin = f"{side}_forearm", t.look.skin
  palm = t.at(f"{side}_wrist", frame, (0, -0.03, 0))
  tips = t.at(f"{side}_wrist", frame, (0, -0.075, 0.012))
  t.slab(
    palm, tips, frame, np.array([0.012, 0.008]), np.array([0.022, 0.014]), skin
  )
  t.rod(t.body.points[f"{side}_wrist"], palm, (0.014, 0.017), skin)
  thumb = t.at(f"{side}_wrist", frame, (0, -0.05, 0.032))
  t.rod(palm, thumb, (0.009, 0.007), skin)


def _leg(t: Tailor, side: str) -> None:
  look, g = t.look, t.girth
  hip, knee, ankle = (
    t.body.points[f"{side}_{part}"] for part in ("hip", "knee", "ankle")
  )
  thigh, shank = (
    np.array([0.05, 0.049, 0.035]) * g,
    np.array([0.036, 0.037, 0.028, 0.02]) * g,
  )
  _limb(t, (hip, knee), thigh, look.leg, look.trousers, None)
  _limb(t, (knee, ankle), shank, look.leg - 1.05, look.trousers, None)
  if look.skirt:
    hem = hip + (knee - hip) * look.skirt
    t.rod(hip, hem, (0.064 * g, 0.08 * g), look.trousers * 0.94, cap=0.3)
  _foot(t, side)


def _foot(t: Tailor, side: str) -> None:
  frame, ankle, shoes = f"{side}_foot", f"{side}_ankle", t.look.shoes
  heel = t.at(ankle, frame, (0, -0.022, -0.018))
  ball = t.at(ankle, frame, (0, -0.026, 0.06))
  toes = t.at(ankle, frame, (0, -0.029, 0.095))
  t.rod(t.body.points[ankle], heel, (0.021, 0.021), shoes)
  t.rod(heel, ball, (0.022, 0.02), shoes)
  t.rod(ball, toes, (0.02, 0.014), shoes * 1.08)

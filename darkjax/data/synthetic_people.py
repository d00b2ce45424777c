"""Flesh, clothes, faces and hair for the bodies of the embedded data set.

A dressed body is a list of solids. What tells left from right is there to be
seen: eyes, nose and mouth, the front of a shirt, the toes of the shoes on one
side; hair and the back of a shirt or a bag on the other.
"""

from typing import NamedTuple

import numpy as np

from darkjax.data import synthetic_paint as paint
from darkjax.data import synthetic_pose as pose

_SKINS = np.array([
  (255, 221, 196), (241, 194, 160), (224, 172, 128), (198, 134, 92),
  (150, 98, 64), (105, 68, 46), (78, 50, 36),
], np.float32)  # fmt: skip
_HAIRS = np.array([
  (28, 22, 20), (58, 38, 26), (96, 62, 36), (150, 104, 52), (206, 168, 104),
  (150, 62, 30), (150, 150, 150), (218, 214, 208),
], np.float32)  # fmt: skip
_WHITE, _LIP = np.full(3, 245.0), np.array([150.0, 60.0, 58.0])

# How far a keypoint may lie behind the front surface at its pixel and still be
# seen: the flesh around it and a hand's breadth of clothing. Person heights.
FLESH = {
  "nose": 0.02, "eye": 0.015, "ear": 0.02, "shoulder": 0.085, "elbow": 0.055,
  "wrist": 0.045, "hip": 0.115, "knee": 0.07, "ankle": 0.06,
}  # fmt: skip


class Look(NamedTuple):
  """What a person looks like and wears; lengths as in `synthetic_pose`.

  Attributes:
    skin: [3] colour.
    hair: [3] colour.
    hair_style: "bald", "short", "bob", "long", "tail" or "cap".
    shirt: [3] colour.
    pattern: (kind, period in person heights, second colour) or None.
    sleeve: how much of the arm is covered: 0, 1 to the elbow, 2 to the wrist.
    trousers: [3] colour.
    leg: how much of the leg is covered: 1 to the knee, 2 to the ankle.
    skirt: how far a skirt reaches down the thigh, 0 for none.
    shoes: [3] colour.
    front: "plain", "buttons", "zip", "print", "tie" or "open".
    back: "plain", "print", "hood" or "bag".
    accent: [3] colour of what is on the front and the back.
    beard: whether the jaw is covered.
    glasses: whether there are rims around the eyes.
  """

  skin: np.ndarray
  hair: np.ndarray
  hair_style: str
  shirt: np.ndarray
  pattern: tuple[str, float, np.ndarray] | None
  sleeve: float
  trousers: np.ndarray
  leg: float
  skirt: float
  shoes: np.ndarray
  front: str
  back: str
  accent: np.ndarray
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


def cloth_color(rng: np.random.Generator) -> np.ndarray:
  """Draws a dye: greys, blues and browns more often than bright colours."""
  if rng.random() < 0.35:
    return np.full(3, rng.uniform(25, 240)) + rng.normal(0, 6, 3)
  value, chroma, turn = rng.uniform(0.3, 1), rng.uniform(0.2, 0.9), rng.random()
  wheel = np.abs((turn * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
  return 255 * value * (1 - chroma + chroma * np.clip(wheel, 0, 1))


def _sample_pattern(rng: np.random.Generator):
  if rng.random() < 0.55:
    return None
  kind = str(rng.choice(["rings", "lines", "check", "dots"]))
  return kind, float(rng.uniform(0.025, 0.07)), cloth_color(rng)


def dress(body: pose.Body, look: Look) -> list:
  """The solids of a person, in image pixels."""
  tailor = _Tailor(body, look)
  _trunk(tailor)
  _front(tailor)
  _back(tailor)
  for side, sign in pose.SIDES.items():
    _arm(tailor, side)
    _leg(tailor, side)
    _face_side(tailor, side, sign)
  _head(tailor)
  _hair(tailor)
  return tailor.solids


class _Tailor:
  """Collects solids given in body lengths."""

  def __init__(self, body: pose.Body, look: Look):
    self.body, self.look, self.solids = body, look, []
    self.unit, self.girth = body.unit, body.build.girth
    self.shirt = self._pixel_pattern(look.pattern)

  def at(self, point: str, frame: str, offset) -> np.ndarray:
    """A place given by its offset from a named point in a named frame."""
    shift = self.body.frames[frame] @ np.asarray(offset, float)
    return self.body.points[point] + self.unit * shift

  def rod(self, start, end, widths, color, **options):
    """Adds a rod; ends in pixels, half widths in person heights."""
    widths = np.maximum(np.asarray(widths) * self.unit, 0.35)
    self.solids.append(paint.Rod(start, end, widths, color, **options))

  def egg(self, point, frame, offset, radii, color, **options):
    """Adds an ellipsoid; radii along left, up, front, in person heights."""
    center = self.at(point, frame, offset)
    radii = np.maximum(np.asarray(radii) * self.unit, 0.4)
    frame = self.body.frames[frame]
    self.solids.append(paint.Ellipsoid(center, frame, radii, color, **options))

  def slab(self, start, end, frame, wide, deep, color, **options):
    """Adds a rod of elliptic section, `wide` left-right, `deep` front-back."""
    axis = end[:2] - start[:2]
    length = np.hypot(*axis)
    axis = axis / length if length > 0.01 else np.array([0.0, 1.0])
    left, _, front = self.body.frames[frame].T
    normal = np.array([-axis[1], axis[0]])
    seen = np.hypot(wide * (left[:2] @ normal), deep * (front[:2] @ normal))
    thick = np.hypot(np.mean(wide) * left[2], np.mean(deep) * front[2])
    bulge = float(thick / np.mean(seen))
    self.rod(start, end, seen, color, bulge=bulge, **options)

  def _pixel_pattern(self, pattern):
    if pattern is None or pattern[1] * self.unit < 3:  # too fine to be seen
      return None
    kind, period, color = pattern
    return paint.Pattern(kind, period * self.unit, color)


def _trunk(t: _Tailor) -> None:
  look, g, points = t.look, t.girth, t.body.points
  wide, deep = np.array([0.072, 0.088, 0.083]), np.array([0.058, 0.066, 0.058])
  low, high = (t.at("pelvis", "pelvis", (0, y, 0)) for y in (-0.02, 0.04))
  t.slab(low, high, "pelvis", wide * g, deep * g, look.trousers, cap=0.5)
  # The shirt: from a little over the trousers to under the shoulders.
  low, high = t.at("waist", "pelvis", (0, -0.065, 0)), points["waist"]
  wide, deep = np.array([0.1, 0.092, 0.084]), np.array([0.084, 0.074, 0.066])
  cloth = {"pattern": t.shirt, "cap": 0.25}
  t.slab(low, high, "pelvis", wide * g, deep * g, look.shirt, **cloth)
  breadth = t.body.build.shoulder / 0.104
  wide = np.array([0.081, 0.086, 0.096, 0.1, 0.092]) * breadth * np.sqrt(g)
  deep = np.array([0.06, 0.064, 0.068, 0.064, 0.05]) * g
  top = t.at("neck", "chest", (0, -0.03, 0))
  cloth = {"pattern": t.shirt, "cap": 0.35}
  t.slab(high, top, "chest", wide, deep, look.shirt, **cloth)
  for side in pose.SIDES:  # the slope from the neck to the shoulder
    ends = (
      t.at("neck", "chest", (0, -0.012, -0.004)),
      points[f"{side}_shoulder"],
    )
    t.rod(*ends, (0.034, 0.03), look.shirt, pattern=t.shirt)
  neck = t.at("neck", "chest", (0, -0.02, 0)), points["chin"]
  t.rod(*neck, np.array([0.036, 0.03]) * np.sqrt(g), look.skin * 0.93)


def _chest_surface(t: _Tailor, height: float, turn: float) -> np.ndarray:
  """A place on the shirt: height over the waist, angle from the front."""
  rise = t.body.build.chest * height
  deep, wide = 0.073 * t.girth, 0.1 * np.sqrt(t.girth)
  return t.at(
    "waist", "chest", (wide * np.sin(turn), rise, deep * np.cos(turn))
  )


def _front(t: _Tailor) -> None:
  look = t.look
  mark = {"bulge": 0.15, "on_top": True}
  neck, point = _chest_surface(t, 0.93, 0), _chest_surface(t, 0.72, 0)
  t.rod(neck, point, (0.024, 0.003), look.skin * 0.93, **mark)
  if look.front == "buttons":
    for height in (0.02, 0.2, 0.38, 0.56):
      place = _chest_surface(t, height, 0)
      t.rod(place, place + 0.01, (0.007, 0.007), look.accent, **mark)
  elif look.front == "zip":
    ends = _chest_surface(t, -0.1, 0), _chest_surface(t, 0.78, 0)
    t.rod(*ends, (0.006, 0.006), look.accent * 0.6, **mark)
  elif look.front == "print":
    ends = _chest_surface(t, 0.5, 0.3), _chest_surface(t, 0.5, -0.3)
    t.rod(*ends, (0.035, 0.035), look.accent, cap=0.6, **mark)
  elif look.front == "tie":
    ends = _chest_surface(t, 0.8, 0), _chest_surface(t, 0.1, 0)
    t.rod(*ends, (0.006, 0.013), look.accent, **mark)
  elif look.front == "open":
    ends = _chest_surface(t, -0.15, 0), _chest_surface(t, 0.8, 0)
    t.rod(*ends, (0.036, 0.028), look.accent, **mark)


def _back(t: _Tailor) -> None:
  look = t.look
  mark = {"bulge": 0.15, "on_top": True}
  if look.back == "print":
    ends = (
      _chest_surface(t, 0.7, np.pi + 0.4),
      _chest_surface(t, 0.7, np.pi - 0.4),
    )
    t.rod(*ends, (0.022, 0.022), look.accent, **mark)
  elif look.back == "hood":
    t.egg(
      "neck", "chest", (0, -0.03, -0.06), (0.07, 0.05, 0.035), look.shirt * 0.85
    )
  elif look.back == "bag":
    low, high = (0, 0.03, -0.09), (0, 0.16, -0.09)
    low, high = t.at("waist", "chest", low), t.at("waist", "chest", high)
    wide, deep = np.array([0.085, 0.08]), np.array([0.05, 0.045])
    t.slab(low, high, "chest", wide, deep, look.accent, cap=0.4)
    for turn in (-0.75, 0.75):  # its straps
      ends = (
        _chest_surface(t, 0.35, turn * 1.2),
        _chest_surface(t, 0.93, turn * 0.8),
      )
      t.rod(*ends, (0.012, 0.012), look.accent * 0.8, **mark)


def _limb(t: _Tailor, ends, widths, covered: float, cloth, pattern) -> None:
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


def _arm(t: _Tailor, side: str) -> None:
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


def _hand(t: _Tailor, side: str) -> None:
  frame, skin = f"{side}_forearm", t.look.skin
  palm = t.at(f"{side}_wrist", frame, (0, -0.03, 0))
  tips = t.at(f"{side}_wrist", frame, (0, -0.075, 0.012))
  t.slab(
    palm, tips, frame, np.array([0.012, 0.008]), np.array([0.022, 0.014]), skin
  )
  t.rod(t.body.points[f"{side}_wrist"], palm, (0.014, 0.017), skin)
  thumb = t.at(f"{side}_wrist", frame, (0, -0.05, 0.032))
  t.rod(palm, thumb, (0.009, 0.007), skin)


def _leg(t: _Tailor, side: str) -> None:
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


def _foot(t: _Tailor, side: str) -> None:
  frame, ankle, shoes = f"{side}_foot", f"{side}_ankle", t.look.shoes
  heel = t.at(ankle, frame, (0, -0.022, -0.018))
  ball = t.at(ankle, frame, (0, -0.026, 0.06))
  toes = t.at(ankle, frame, (0, -0.029, 0.095))
  t.rod(t.body.points[ankle], heel, (0.021, 0.021), shoes)
  t.rod(heel, ball, (0.022, 0.02), shoes)
  t.rod(ball, toes, (0.02, 0.014), shoes * 1.08)


def _head(t: _Tailor) -> None:
  look, h = t.look, t.body.build.head
  t.egg(
    "head",
    "head",
    (0, 0.006 * h, 0),
    np.array([0.046, 0.06, 0.054]) * h,
    look.skin,
  )
  jaw = look.hair if look.beard else look.skin * 0.98
  t.egg(
    "head",
    "head",
    (0, -0.03 * h, 0.012 * h),
    np.array([0.036, 0.036, 0.036]) * h,
    jaw,
  )
  bridge, tip = (
    t.at("head", "head", (0, 0.002 * h, 0.052 * h)),
    t.body.points["nose"],
  )
  t.rod(
    bridge, tip, np.array([0.006, 0.0095]) * h, look.skin * 0.9, on_top=True
  )
  mouth = [
    t.at("head", "head", (x * h, -0.04 * h, 0.047 * h)) for x in (-0.013, 0.013)
  ]
  t.rod(*mouth, np.array([0.0045, 0.0045]) * h, _LIP, on_top=True)


def _face_side(t: _Tailor, side: str, sign: float) -> None:
  look, h = t.look, t.body.build.head
  ear, eye = f"{side}_ear", f"{side}_eye"
  t.egg(
    ear,
    "head",
    (0, 0, 0),
    np.array([0.007, 0.017, 0.011]) * h,
    look.skin * 0.92,
  )
  t.egg(
    eye,
    "head",
    (0, 0, -0.004 * h),
    np.array([0.0095, 0.005, 0.005]) * h,
    _WHITE,
    on_top=True,
  )
  t.egg(
    eye,
    "head",
    (0, 0, 0),
    np.array([0.005, 0.005, 0.003]) * h,
    np.full(3, 25.0),
    on_top=True,
  )
  brow = [
    t.at(eye, "head", (sign * x * h, 0.014 * h, 0.001 * h))
    for x in (-0.01, 0.013)
  ]
  t.rod(*brow, np.array([0.004, 0.003]) * h, look.hair * 0.8, on_top=True)
  if look.glasses:
    rim = [
      t.at(eye, "head", (sign * x * h, -0.012 * h, 0.004 * h))
      for x in (-0.014, 0.014)
    ]
    t.rod(*rim, np.array([0.003, 0.003]) * h, np.full(3, 30.0), on_top=True)


def _hair(t: _Tailor) -> None:
  look, h = t.look, t.body.build.head
  hair = {"is_hair": True}
  if look.hair_style == "bald":
    return
  color = look.hair
  t.egg(
    "head",
    "head",
    (0, 0.02 * h, -0.014 * h),
    np.array([0.051, 0.06, 0.056]) * h,
    color,
    **hair,
  )
  if look.hair_style == "cap":
    color = look.accent
    t.egg(
      "head",
      "head",
      (0, 0.038 * h, -0.004 * h),
      np.array([0.054, 0.045, 0.06]) * h,
      color,
      **hair,
    )
    back, tip = (0, 0.034 * h, 0.03 * h), (0, 0.03 * h, 0.088 * h)
    back, tip = t.at("head", "head", back), t.at("head", "head", tip)
    wide, deep = np.array([0.038, 0.03]) * h, np.array([0.008, 0.006]) * h
    t.slab(back, tip, "head", wide, deep, color * 0.8, cap=0.5, **hair)
  elif look.hair_style in ("bob", "long"):
    fall = -0.055 if look.hair_style == "bob" else -0.14
    for x in (-0.03, 0, 0.03):
      top = t.at("head", "head", (x * h, 0.02 * h, -0.026 * h))
      low = t.at("head", "chest", (x * 1.25 * h, fall * h, -0.04 * h))
      t.rod(top, low, np.array([0.027, 0.024]) * h, color * 0.93, **hair)
  elif look.hair_style == "tail":
    top = t.at("head", "head", (0, 0.03 * h, -0.066 * h))
    low = t.at("head", "chest", (0, -0.09 * h, -0.085 * h))
    t.rod(top, low, np.array([0.016, 0.022, 0.006]) * h, color * 0.9, **hair)

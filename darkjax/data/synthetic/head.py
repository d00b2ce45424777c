"""Faces and hair for the people of the embedded data set.

Offsets are (left, up, front) from the middle of the head, in person heights.
"""

import numpy as np

from darkjax.data.synthetic import body as pose
from darkjax.data.synthetic.look import Tailor

_WHITE, _BLACK = np.full(3, 240.0), np.full(3, 26.0)
_LIP = np.array([150.0, 60.0, 58.0])


def add_head(t: Tailor) -> None:
  """Adds skull, face and hair to what a tailor has collected."""
  _skull(t)
  for sign in pose.SIDES.values():
    _eye(t, sign)
  _hair(t)
  if t.look.hair_style == "cap":
    _cap(t)
  elif t.look.hair_style in ("bob", "long", "tail"):
    _locks(t)


def _egg(t: Tailor, offset, radii, color, **options) -> None:
  h = t.body.build.head
  offset, radii = np.array(offset) * h, np.array(radii) * h
  t.egg("head", "head", offset, radii, color, **options)


def _rod(t: Tailor, start, end, widths, color, **options) -> None:
  h = t.body.build.head
  start, end = (t.at("head", "head", np.array(p) * h) for p in (start, end))
  t.rod(start, end, np.array(widths) * h, color, **options)


def _skull(t: Tailor) -> None:
  skin, places = t.look.skin, pose.head_places(pose.Build())
  _egg(t, (0, 0.001, 0), (0.0455, 0.065, 0.054), skin)
  _egg(t, (0, -0.045, 0.026), (0.02, 0.02, 0.018), skin)
  if t.look.beard:
    _egg(t, (0, -0.034, 0.008), (0.042, 0.04, 0.049), t.look.hair)
  for sign, side in ((1, "left"), (-1, "right")):
    _egg(t, places[f"{side}_ear"], (0.007, 0.017, 0.011), skin * 0.92)
    lip = (sign * 0.013, -0.041, 0.047)
    _rod(t, (0, -0.042, 0.05), lip, (0.0045, 0.003), _LIP, on_top=True)
  bridge = (0, 0.002, 0.052)
  _rod(t, bridge, places["nose"], (0.006, 0.0095), skin * 0.9, on_top=True)


def _eye(t: Tailor, sign: float) -> None:
  x, y, z = pose.head_places(pose.Build())["left_eye"]
  x, top = sign * x, {"on_top": True}
  _egg(t, (x, y, z), (0.0095, 0.0055, 0.004), _WHITE, lift=0.005, **top)
  _egg(t, (x, y, z), (0.005, 0.005, 0.004), _BLACK, lift=0.008, **top)
  brow = (
    (x - sign * 0.01, y + 0.014, z + 0.001),
    (x + sign * 0.013, y + 0.012, z),
  )
  _rod(t, *brow, (0.004, 0.003), t.look.hair * 0.8, **top)
  if t.look.glasses:
    rim = (
      (x - sign * 0.014, y - 0.011, z + 0.004),
      (x + sign * 0.014, y - 0.011, z),
    )
    _rod(t, *rim, (0.003, 0.003), _BLACK, **top)
    bow = (x + sign * 0.014, y, z), (sign * 0.049, y, 0.004)
    _rod(t, *bow, (0.003, 0.003), _BLACK)


def _hair(t: Tailor) -> None:
  if t.look.hair_style != "bald":
    radii = (0.051, 0.06, 0.056)
    _egg(t, (0, 0.02, -0.014), radii, t.look.hair, hides=True)


def _cap(t: Tailor) -> None:
  color, h = t.look.accent, t.body.build.head
  _egg(t, (0, 0.038, -0.004), (0.054, 0.045, 0.06), color, hides=True)
  back = t.at("head", "head", np.array((0, 0.034, 0.03)) * h)
  tip = t.at("head", "head", np.array((0, 0.03, 0.088)) * h)
  wide, deep = np.array([0.038, 0.03]) * h, np.array([0.008, 0.006]) * h
  color = color * 0.8
  t.slab(back, tip, "head", wide, deep, color, cap=0.5, hides=True)


def _locks(t: Tailor) -> None:
  """What falls from the head; it hangs along the chest's up direction."""
  color, h = t.look.hair * 0.93, t.body.build.head
  if t.look.hair_style == "tail":
    locks, widths, low_z = ((0, 0.03, -0.066),), (0.016, 0.022, 0.006), -0.085
  else:
    locks = tuple((x, 0.02, -0.026) for x in (-0.03, 0, 0.03))
    widths, low_z = (0.027, 0.024), -0.04
  fall = {"bob": -0.055, "long": -0.14, "tail": -0.09}[t.look.hair_style]
  for x, y, z in locks:
    top = t.at("head", "head", np.array((x, y, z)) * h)
    low = t.at("head", "chest", np.array((x * 1.25, fall, low_z)) * h)
    t.rod(top, low, np.array(widths) * h, color, hides=True)

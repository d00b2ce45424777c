"""Faces and hair of synthetic people.

Offsets are (left, up, front) from the middle of the head, in person heights.
"""

import numpy as np

from darkjax.data.synthetic.body import SIDES, Build, head_places
from darkjax.data.synthetic.look import Figure

_WHITE, _BLACK = np.full(3, 240.0), np.full(3, 26.0)
_LIP = np.array([150.0, 60.0, 58.0])


def add_head(f: Figure) -> None:
  """Adds skull, face and hair."""
  _skull(f)
  for sign in SIDES.values():
    _eye(f, sign)
  if f.look.hair_style != "bald":
    _egg(f, (0, 0.02, -0.014), (0.051, 0.06, 0.056), f.look.hair, hides=True)
  if f.look.hair_style == "cap":
    _cap(f)
  elif f.look.hair_style in ("bob", "long", "tail"):
    _locks(f)


def _egg(f: Figure, offset, radii, color, **options) -> None:
  h = f.body.build.head
  offset, radii = np.array(offset) * h, np.array(radii) * h
  f.egg("head", "head", offset, radii, color, **options)


def _at(f: Figure, offset, frame: str = "head") -> np.ndarray:
  return f.at("head", frame, np.array(offset) * f.body.build.head)


def _rod(f: Figure, start, end, widths, color, **options) -> None:
  widths = np.array(widths) * f.body.build.head
  f.rod(_at(f, start), _at(f, end), widths, color, **options)


def _skull(f: Figure) -> None:
  skin, places = f.look.skin, head_places(Build())
  _egg(f, (0, 0.001, 0), (0.0455, 0.065, 0.054), skin)
  _egg(f, (0, -0.045, 0.026), (0.02, 0.02, 0.018), skin)
  if f.look.beard:
    _egg(f, (0, -0.034, 0.008), (0.042, 0.04, 0.049), f.look.hair)
  for side, sign in SIDES.items():
    _egg(f, places[f"{side}_ear"], (0.007, 0.017, 0.011), skin * 0.92)
    lip = (sign * 0.013, -0.041, 0.047)
    _rod(f, (0, -0.042, 0.05), lip, (0.0045, 0.003), _LIP, on_top=True)
  bridge = (0, 0.002, 0.052)
  _rod(f, bridge, places["nose"], (0.006, 0.0095), skin * 0.9, on_top=True)


def _eye(f: Figure, sign: float) -> None:
  x, y, z = head_places(Build())["left_eye"]
  x, top = sign * x, {"on_top": True}
  inner, outer = sign * 0.014, sign * 0.013
  _egg(f, (x, y, z), (0.0095, 0.0055, 0.004), _WHITE, lift=0.005, **top)
  _egg(f, (x, y, z), (0.005, 0.005, 0.004), _BLACK, lift=0.008, **top)
  start, end = (
    (x - sign * 0.01, y + 0.014, z + 0.001),
    (x + outer, y + 0.012, z),
  )
  _rod(f, start, end, (0.004, 0.003), f.look.hair * 0.8, **top)
  if f.look.glasses:
    start, end = (x - inner, y - 0.011, z + 0.004), (x + inner, y - 0.011, z)
    _rod(f, start, end, (0.003, 0.003), _BLACK, **top)
    ear = (sign * 0.049, y, 0.004)
    _rod(f, (x + inner, y, z), ear, (0.003, 0.003), _BLACK)


def _cap(f: Figure) -> None:
  color = f.look.accent
  _egg(f, (0, 0.038, -0.004), (0.054, 0.045, 0.06), color, hides=True)
  back, tip = _at(f, (0, 0.034, 0.03)), _at(f, (0, 0.03, 0.088))
  widths = np.array([(0.038, 0.03), (0.008, 0.006)]) * f.body.build.head
  f.slab(back, tip, "head", widths, color * 0.8, cap=0.5, hides=True)


def _locks(f: Figure) -> None:
  """Adds what falls from the head; it hangs along the chest's up direction."""
  color, style = f.look.hair * 0.93, f.look.hair_style
  fall = {"bob": -0.055, "long": -0.14, "tail": -0.09}[style]
  tops = [(x, 0.02, -0.026) for x in (-0.03, 0, 0.03)]
  widths, low_z = [0.027, 0.024], -0.04
  if style == "tail":
    tops, widths, low_z = [(0, 0.03, -0.066)], [0.016, 0.022, 0.006], -0.085
  for top in tops:
    low = _at(f, (top[0] * 1.25, fall, low_z), "chest")
    scaled = np.array(widths) * f.body.build.head
    f.rod(_at(f, top), low, scaled, color, hides=True)

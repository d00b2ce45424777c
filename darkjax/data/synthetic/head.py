"""Faces and hair of synthetic people.

Offsets are (left, up, front) from the middle of the head, in person heights.
"""

import numpy as np

from darkjax.data.synthetic.body import FACE, SIDES
from darkjax.data.synthetic.look import Figure
from darkjax.data.synthetic.render import Point

_WHITE, _BLACK = np.full(3, 240.0), np.full(3, 26.0)
_LIP = np.array([150.0, 60.0, 58.0])


def add_head(f: Figure) -> None:
  """Adds skull, face and hair."""
  _skull(f)
  for side, sign in SIDES.items():
    _half_face(f, side, sign)
  if f.look.hair_style != "bald":
    _egg(f, (0, 0.02, -0.014), (0.051, 0.06, 0.056), f.look.hair, hides=True)
  if f.look.hair_style == "cap":
    _cap(f)
  elif f.look.hair_style in ("bob", "long", "tail"):
    _locks(f)


def _at(f: Figure, offset, frame: str = "head") -> Point:
  return f.at("head", frame, np.array(offset) * f.body.build.head)


def _egg(f: Figure, offset, radii, color, lift: float = 0.0, **more) -> None:
  """Adds an ellipsoid; a lift to the viewer keeps it clear of the skull."""
  center = _at(f, offset) + np.array([0, 0, lift * f.unit])
  f.egg(center, "head", np.array(radii) * f.body.build.head, color, **more)


def _rod(f: Figure, start, end, widths, color, **more) -> None:
  widths = np.array(widths) * f.body.build.head
  f.rod(_at(f, start), _at(f, end), widths, color, **more)


def _skull(f: Figure) -> None:
  skin = f.look.skin
  _egg(f, (0, 0.001, 0), (0.0455, 0.065, 0.054), skin)
  _egg(f, (0, -0.045, 0.026), (0.02, 0.02, 0.018), skin)
  if f.look.beard:
    _egg(f, (0, -0.034, 0.008), (0.042, 0.04, 0.049), f.look.hair)
  ridge = (0, 0.002, 0.052), FACE["nose"]
  _rod(f, *ridge, (0.006, 0.0095), skin * 0.9, on_top=True)


def _half_face(f: Figure, side: str, sign: float) -> None:
  """Adds ear, half the lips, eye, brow and half the glasses."""
  ear, eye = FACE[f"{side}_ear"], FACE[f"{side}_eye"]
  _egg(f, ear, (0.007, 0.017, 0.011), f.look.skin * 0.92)
  lips = (0, -0.042, 0.05), (sign * 0.013, -0.041, 0.047)
  _rod(f, *lips, (0.0045, 0.003), _LIP, on_top=True)
  _egg(f, eye, (0.0095, 0.0055, 0.004), _WHITE, lift=0.005, on_top=True)
  _egg(f, eye, (0.005, 0.005, 0.004), _BLACK, lift=0.008, on_top=True)
  x, y, z = eye
  inner, outer = x - sign * 0.01, x + sign * 0.013
  brow = (inner, y + 0.014, z + 0.001), (outer, y + 0.012, z)
  _rod(f, *brow, (0.004, 0.003), f.look.hair * 0.8, on_top=True)
  if f.look.glasses:
    inner, outer = x - sign * 0.014, x + sign * 0.014
    rim = (inner, y - 0.011, z + 0.004), (outer, y - 0.011, z)
    _rod(f, *rim, (0.003, 0.003), _BLACK, on_top=True)
    _rod(f, (outer, y, z), (sign * 0.049, y, 0.004), (0.003, 0.003), _BLACK)


def _cap(f: Figure) -> None:
  color = f.look.accent
  _egg(f, (0, 0.038, -0.004), (0.054, 0.045, 0.06), color, hides=True)
  back, tip = _at(f, (0, 0.034, 0.03)), _at(f, (0, 0.03, 0.088))
  widths = np.array([(0.038, 0.03), (0.008, 0.006)]) * f.body.build.head
  f.slab(back, tip, "head", widths, color * 0.8, cap=0.5, hides=True)


def _locks(f: Figure) -> None:
  """Adds what falls from the head; it hangs along the chest's up direction."""
  style = f.look.hair_style
  fall = {"bob": -0.055, "long": -0.14, "tail": -0.09}[style]
  tops = [(x, 0.02, -0.026) for x in (-0.03, 0, 0.03)]
  widths, low_z = [0.027, 0.024], -0.04
  if style == "tail":
    tops, widths, low_z = [(0, 0.03, -0.066)], [0.016, 0.022, 0.006], -0.085
  scaled = np.array(widths) * f.body.build.head
  for top in tops:
    low = _at(f, (top[0] * 1.25, fall, low_z), "chest")
    f.rod(_at(f, top), low, scaled, f.look.hair * 0.93, hides=True)

"""darkjax: heatmap keypoints with sub-pixel accuracy in JAX.

Coordinates are (x, y) with integers at the centres of pixels; arrays are NHWC.
geometry.py has the rest of the convention.

The names below are imported when first used: the metrics work without JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; the same as below
  from darkjax.heatmaps.decode import Decoded, decode_heatmaps
  from darkjax.heatmaps.encode import render_heatmaps
  from darkjax.inference.detectors.load import load_detector
  from darkjax.inference.people import People, Person
  from darkjax.inference.pose import Pose
  from darkjax.models import create_model
  from darkjax.models.weights import load_torch_weights

_MODULES = {
  "render_heatmaps": "darkjax.heatmaps.encode",
  "decode_heatmaps": "darkjax.heatmaps.decode",
  "Decoded": "darkjax.heatmaps.decode",
  "create_model": "darkjax.models",
  "load_torch_weights": "darkjax.models.weights",
  "load_detector": "darkjax.inference.detectors.load",
  "Pose": "darkjax.inference.pose",
  "People": "darkjax.inference.people",
  "Person": "darkjax.inference.people",
}

__all__ = [
  "Decoded",
  "People",
  "Person",
  "Pose",
  "create_model",
  "decode_heatmaps",
  "load_detector",
  "load_torch_weights",
  "render_heatmaps",
]


def __getattr__(name: str) -> object:
  if name not in _MODULES:
    raise AttributeError(f"module 'darkjax' has no attribute {name!r}")
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_MODULES])

"""darkjax: heatmap keypoints with sub-pixel accuracy in JAX.

Coordinates are (x, y) with integers at the centres of pixels; arrays are NHWC.
geometry.py has the rest of the convention.
"""

import importlib

# Heatmaps: keypoints in, heatmaps out, and back.
from darkjax.heatmaps import Decoded, decode_heatmaps, render_heatmaps

# Models.
from darkjax.models import create_model

__all__ = [
  "Decoded",
  "People",
  "Person",
  "Pose",
  "create_model",
  "decode_heatmaps",
  "load_torch_weights",
  "render_heatmaps",
]

# Loaded when first asked for: people in photographs, and the weights others
# trained, whose modules are commands too.
_ON_DEMAND = {
  "People": "darkjax.people",
  "Person": "darkjax.people",
  "Pose": "darkjax.pose",
  "load_torch_weights": "darkjax.models.weights",
}


def __getattr__(name: str):
  if name not in _ON_DEMAND:
    raise AttributeError(f"module 'darkjax' has no attribute {name!r}")
  return getattr(importlib.import_module(_ON_DEMAND[name]), name)

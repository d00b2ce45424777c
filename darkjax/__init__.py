"""darkjax: heatmap keypoints with sub-pixel accuracy in JAX.

Coordinates are (x, y) with integers at the centres of pixels; arrays are NHWC.
geometry.py has the rest of the convention.

The names below are loaded when first asked for, so that the metrics work
without JAX, and nothing here without need of TensorFlow.
"""

import importlib

_HOMES = {
  # Heatmaps: keypoints in, heatmaps out, and back.
  "Decoded": "darkjax.heatmaps",
  "decode_heatmaps": "darkjax.heatmaps",
  "render_heatmaps": "darkjax.heatmaps",
  # Models, and the weights others trained.
  "create_model": "darkjax.models",
  "load_torch_weights": "darkjax.models.weights",
  # People in photographs.
  "People": "darkjax.inference.people",
  "Person": "darkjax.inference.people",
  "Pose": "darkjax.inference.pose",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
  if name not in _HOMES:
    raise AttributeError(f"module 'darkjax' has no attribute {name!r}")
  return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_HOMES])

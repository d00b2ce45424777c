"""darkjax: heatmap keypoints with sub-pixel accuracy in JAX.

Coordinates are (x, y) with integers at the centres of pixels; arrays are NHWC.
geometry.py has the rest of the convention.
"""

# Heatmaps: keypoints in, heatmaps out, and back.
from darkjax.heatmaps import Decoded, decode_heatmaps, render_heatmaps

# Models, and the weights others trained.
from darkjax.models import create_model
from darkjax.models.weights import load_torch_weights

__all__ = [
  "Decoded",
  "create_model",
  "decode_heatmaps",
  "load_torch_weights",
  "render_heatmaps",
]

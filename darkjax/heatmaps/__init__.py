"""Keypoints to heatmaps and back: encode, decode."""

from darkjax.heatmaps.decode import Decoded, decode_heatmaps
from darkjax.heatmaps.encode import keypoint_weights, render_heatmaps

__all__ = [
  "Decoded",
  "decode_heatmaps",
  "keypoint_weights",
  "render_heatmaps",
]

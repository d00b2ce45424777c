"""Inference: crops or photographs in, keypoints in image pixels out."""

from darkjax.inference.keypoints import (
  Keypoints,
  check_method,
  last_stage,
  locate,
  normalize,
  predict_heatmaps,
  unflip_heatmaps,
)

__all__ = [
  "Keypoints",
  "check_method",
  "last_stage",
  "locate",
  "normalize",
  "predict_heatmaps",
  "unflip_heatmaps",
]

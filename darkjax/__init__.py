"""darkjax: heatmap keypoints with sub-pixel accuracy in JAX."""

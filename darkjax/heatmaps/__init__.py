"""Keypoints to heatmaps and back: encode, decode."""

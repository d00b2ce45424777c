"""Drawn people with exact keypoints."""

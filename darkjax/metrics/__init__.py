"""Scores of predicted keypoints: COCO's AP, PCK and PCKh. NumPy only."""

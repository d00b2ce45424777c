"""MPII Human Pose as COCO-format files."""

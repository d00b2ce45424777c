"""Devices, processes, files and commands, without knowledge of keypoints."""

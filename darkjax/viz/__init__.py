"""Drawing of people and keypoints."""

"""Pictures of people and keypoints."""

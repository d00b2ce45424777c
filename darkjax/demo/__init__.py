"""A page in the browser: photographs in, people with keypoints out."""

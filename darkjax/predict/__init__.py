"""People in photographs, videos and camera streams."""

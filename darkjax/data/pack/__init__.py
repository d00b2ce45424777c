"""Data sets cut into canvases, small enough for the memory of devices."""

"""Data sets as canvases, small enough for the memory of devices."""

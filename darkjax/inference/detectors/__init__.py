"""Detectors of people: photographs in, boxes and scores out."""

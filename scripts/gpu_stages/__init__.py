"""Stages of gpu_hour.py, one module each."""

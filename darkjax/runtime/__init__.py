"""Devices, processes, files and commands: nothing of the field."""

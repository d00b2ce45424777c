"""Checkpoints of runs, files of weights and releases."""

from darkjax.checkpoint.metadata import Metadata
from darkjax.checkpoint.reader import load
from darkjax.checkpoint.release_folder import write as save_release
from darkjax.checkpoint.runs import (
  manager,
  restore,
  save,
  save_variables,
)
from darkjax.checkpoint.weight_file import write as save_file

__all__ = [
  "Metadata",
  "load",
  "manager",
  "restore",
  "save",
  "save_file",
  "save_release",
  "save_variables",
]

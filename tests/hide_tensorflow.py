"""Runs a module where TensorFlow is not installed: it is not found."""

import runpy
import sys

HIDDEN = {"tensorflow", "tensorflow_datasets", "array_record"}


class _Hiding:
  def __init__(self, finder):
    self._finder = finder

  def __getattr__(self, name):  # whatever else finders can do
    return getattr(self._finder, name)

  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in HIDDEN:
      return None
    return self._finder.find_spec(name, path, target)


if __name__ == "__main__":
  sys.meta_path[:] = [_Hiding(finder) for finder in sys.meta_path]
  del sys.argv[0]
  runpy.run_module(sys.argv[0], run_name="__main__")

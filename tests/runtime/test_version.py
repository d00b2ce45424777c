import importlib.metadata
import re

from darkjax.runtime.version import version


def test_version_of_what_is_installed(monkeypatch):
  assert re.fullmatch(r"\d+\.\d+.*", version())

  def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)

  # A checkout on the path, as on a machine without a network.
  monkeypatch.setattr(importlib.metadata, "version", missing)
  assert version() == "unknown"

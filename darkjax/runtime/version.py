"""The version of darkjax that runs."""

import importlib.metadata


def version() -> str:
  """Returns the installed version; "unknown" in a checkout without one."""
  try:
    return importlib.metadata.version("darkjax")
  except importlib.metadata.PackageNotFoundError:
    return "unknown"

"""Packages that only some features need, in extras of the installation."""

import importlib
from typing import Any


def load(module: str, *, extra: str, purpose: str) -> Any:
  """Imports a module of an extra.

  Args:
    module: its dotted name.
    extra: of `pip install 'darkjax[EXTRA]'`.
    purpose: what needs it, the subject of the message.

  Returns:
    The module.

  Raises:
    ImportError: it is not installed, or fails to be imported; the message says
      what needs it and which extra brings it.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    missing = error.name == module.partition(".")[0]
    reason = "" if missing else f", which cannot be imported ({error})"
    raise ImportError(
      f"{purpose} needs {module}{reason}: pip install 'darkjax[{extra}]'"
    ) from error

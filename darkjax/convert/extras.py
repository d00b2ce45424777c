"""Packages that only some formats need: the extra `convert`."""

import importlib
from typing import Any


def load(module: str, purpose: str) -> Any:
  """Imports a package of the extra.

  Raises:
    ImportError: it is not installed; says what needs it and how to get it.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise ImportError(
      f"{purpose} needs {module}: pip install 'darkjax[convert]'"
    ) from error


def read_yaml(path) -> Any:
  """Returns the content of a yaml file, None where it is empty.

  Raises:
    ImportError: PyYAML is missing.
    ValueError: not valid yaml.
  """
  yaml = load("yaml", f"{path}: yaml")
  try:
    return yaml.safe_load(path.read_bytes())
  except (UnicodeDecodeError, yaml.YAMLError) as error:
    raise ValueError(f"{path}: not valid yaml ({error})") from error

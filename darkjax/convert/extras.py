"""Packages that only some formats need: the extra `convert`."""

from typing import Any

from darkjax.runtime import extras


def load(module: str, purpose: str) -> Any:
  """`darkjax.runtime.extras.load` of the extra."""
  return extras.load(module, extra="convert", purpose=purpose)


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

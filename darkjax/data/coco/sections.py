"""The sections of a COCO-format json, each a list of dictionaries."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

SECTIONS = ("images", "annotations", "categories")


def read(
  path: str | pathlib.Path, sections: Sequence[str] = SECTIONS
) -> dict[str, Any]:
  """The content of a json; only the outline of the sections is checked.

  Args:
    path: of the json.
    sections: that must be there, lists of dictionaries.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json, or a section that is none.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f"no annotation file {path}; give the path of a COCO-format keypoint json"
    )
  content = parse(path)
  if not isinstance(content, dict):
    raise ValueError(
      f"{path} must hold a dictionary with 'images', 'annotations' and "
      f"'categories', got a {type(content).__name__}"
    )
  for key in sections:
    _check_list(content.get(key), key, path)
  return content


def parse(path: pathlib.Path) -> Any:
  """The content of a json file.

  Raises:
    OSError: it cannot be read.
    ValueError: malformed json; says what may have happened.
  """
  try:
    return json.loads(path.read_bytes())
  except ValueError as error:  # JSONDecodeError, UnicodeDecodeError
    raise ValueError(
      f"{path} is not valid json ({error}); it may be cut short: write or "
      "download it again"
    ) from error


def has_labels(path: str | pathlib.Path) -> bool:
  """Whether a json has annotations, of whatever kind.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed json.
  """
  content = read(path, ("images", "categories"))
  return bool(content.get("annotations"))


def _check_list(value, key: str, path: pathlib.Path) -> None:
  if key == "annotations" and value is None:
    raise ValueError(
      f"{path} has no 'annotations', so no labels to train on or to score; "
      "`python -m darkjax.evaluate` with the --boxes of a detector and "
      "--results writes what is found in the images of such a file"
    )
  if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
    raise ValueError(
      f"{path}: {key!r} must be a list of dictionaries, got "
      f"{type(value).__name__}; a COCO keypoint file has 'images', "
      "'annotations' and 'categories'"
    )

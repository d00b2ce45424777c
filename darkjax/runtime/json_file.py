"""Reading of json files."""

import json
import os
import pathlib
from typing import Any


def read_json(path: str | os.PathLike[str]) -> Any:
  """Returns the content of a json file in UTF-8, UTF-16 or UTF-32.

  A byte order mark or, without one, the place of zero bytes tells which. NaN
  and Infinity, which json does not have but Python writes, are read as numbers.

  Raises:
    OSError: the file cannot be read; FileNotFoundError where there is none.
    ValueError: not json; names the file, the line and the column.
  """
  data = pathlib.Path(path).read_bytes()
  try:
    return json.loads(data)
  except UnicodeDecodeError as error:
    before = data[: error.start].decode(error.encoding, "replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    problem = f"byte 0x{data[error.start]:02x} is not {error.encoding}"
    fix = "save it as UTF-8; Windows code pages are not read"
  except json.JSONDecodeError as error:
    line, column, problem = error.lineno, error.colno, error.msg
    fix = "it may be cut short: write or download it again"
  except (RecursionError, ValueError) as error:  # too deep, too many digits
    raise ValueError(f"{path}: not valid json ({error})") from error
  raise ValueError(
    f"{path}: not valid json in line {line}, column {column} ({problem}); {fix}"
  )

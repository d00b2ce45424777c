"""Reading of json files."""

import json
import json.scanner
import os
import pathlib
from typing import Any

# What files are that start so, in lower case, and the fix.
_OTHER_KINDS = {
  b"\x1f\x8b": "a gzip archive: unpack it",
  b"pk\x03\x04": "a zip archive: unpack it",
  b"<": "a web page or xml file: fetch or export the json itself",
  b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull`",
}


def read_json(path: str | os.PathLike[str]) -> Any:
  """Returns the content of a json file in UTF-8, UTF-16 or UTF-32.

  A byte order mark or, without one, the place of zero bytes tells which. NaN
  and Infinity, which json does not have but Python writes, are read as numbers.

  Raises:
    OSError: the file cannot be read; FileNotFoundError where there is none.
    ValueError: not json, or an object that has a key twice; names the file, the
      line and the column.
  """
  data = pathlib.Path(path).read_bytes()
  if what := _other_kind(data):
    raise ValueError(f"{path}: not valid json ({what})")
  try:
    return json.loads(data, object_pairs_hook=_unique)
  except UnicodeDecodeError as error:
    before = data[: error.start].decode(error.encoding, "replace")
    line, column = _position(before, len(before))
    byte = data[error.start : error.start + 1]
    problem = f"byte 0x{byte.hex()} is not {error.encoding}"
    fix = "it may be cut short: write or download it again"
    if error.encoding == "utf-8":
      fix = (
        "it looks like a Windows code page, as Windows-1252, where that byte "
        f"is {byte.decode('cp1252', 'replace')!r}; save it as UTF-8"
      )
  except json.JSONDecodeError as error:
    line, column, problem = error.lineno, error.colno, error.msg
    fix = _fix(error)
  except _RepeatedKeyError as error:
    text = data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    line, column = _position(text, _object_with_repeated_key(text))
    problem = f"the object there has the key {error.args[0]!r} twice"
    fix = "drop one of the two"
  except (RecursionError, ValueError) as error:  # too deep, too many digits
    raise ValueError(f"{path}: not valid json ({error})") from error
  raise ValueError(
    f"{path}: not valid json in line {line}, column {column} ({problem}); {fix}"
  )


def _other_kind(data: bytes) -> str | None:
  """Returns what a file is that is not json, and the fix."""
  start = data[:1024].lstrip()[:40].lower()
  if not data.strip():
    return "the file is empty: write or download it again"
  return next((w for s, w in _OTHER_KINDS.items() if start.startswith(s)), None)


def _fix(error: json.JSONDecodeError) -> str:
  there = error.doc[error.pos : error.pos + 1]
  if error.msg == "Extra data":
    return "it holds several json values; write one, such as one list"
  # From Python 3.13 on the position of a trailing comma is the comma's.
  if there in ("]", "}", ","):
    return "a comma before a closing bracket is not json: take it out"
  if there in ("'", "/", "#"):
    return "json has double quotes and no comments"
  if not there or "Unterminated" in error.msg:
    return "it is cut short: write or download it again"
  return "correct it there, or write it again"


class _RepeatedKeyError(Exception):
  """The key that an object has twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  unique = dict(pairs)
  if len(unique) < len(pairs):
    keys = [key for key, _ in pairs]
    raise _RepeatedKeyError(max(keys, key=keys.count))
  return unique


def _position(text: str, index: int) -> tuple[int, int]:
  """Returns the line and column, from 1, of an index."""
  return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _object_with_repeated_key(text: str) -> int:
  """Returns where the first such object starts, by Python's slow scanner."""
  decoder: Any = json.JSONDecoder(object_pairs_hook=_unique)
  parse, found = decoder.parse_object, [0]

  def parse_object(text_and_end, *arguments):
    try:
      return parse(text_and_end, *arguments)
    except _RepeatedKeyError:
      found.append(text_and_end[1] - 1)
      raise

  decoder.parse_object = parse_object
  scanner: Any = json.scanner
  decoder.scan_once = scanner.py_make_scanner(decoder)
  try:
    decoder.decode(text)
  except _RepeatedKeyError:
    pass
  return found[1] if len(found) > 1 else 0

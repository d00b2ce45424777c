"""Photographs in shards: each is predicted at once and becomes one file.

A shard's file is written whole or not at all, and its content depends on the
shard alone, so that whoever predicts it, and however often, every photograph is
in the results once.
"""

import glob
import hashlib
import json
import logging
import os
import pathlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from darkjax.data.images.spelling import PHOTO_SUFFIXES
from darkjax.predict import folders
from darkjax.runtime import files, json_file

_LOG = logging.getLogger(__name__)


class Shard(NamedTuple):
  """Some photographs: paths, or rows of a Parquet file that holds images."""

  paths: Sequence[str] = ()
  file: str = ""  # of images
  row_group: int = 0
  column: str = ""


def find(
  patterns: Sequence[str], size: int, *, out: pathlib.Path | None = None
) -> list[Shard]:
  """Returns the shards of files, folders with subfolders, and patterns.

  Args:
    patterns: photographs, folders, or what `glob` takes with **. Of Parquet
      files the column `path` is read, text from the working folder, else
      `image`, which holds encoded images as bytes or as {bytes, path}.
    size: photographs of a shard; images in Parquet are a shard a row group.
    out: folder of results, which are not read.

  Raises:
    FileNotFoundError: nothing matches.
    ValueError: a damaged Parquet file, or one without such a column.
  """
  paths: dict[str, None] = {}  # in order, each once
  shards = []
  for pattern in patterns:
    for path in _match(pattern, out):
      if path.suffix.lower() != ".parquet":
        paths[str(path)] = None
        continue
      table, column = _open(path)
      if column == "path":
        names = table.read([column])[column].to_pylist()
        if empty := sum(not name for name in names):
          _LOG.warning("%s: %d rows without a path left out", path, empty)
        paths.update(dict.fromkeys(filter(None, names)))
      else:
        shards += [
          Shard((), str(path), n, column)
          for n in range(table.num_row_groups)
          if table.metadata.row_group(n).num_rows
        ]
  listed = list(paths)
  if not listed and not shards:
    raise ValueError(f"{', '.join(patterns)}: no row names a photograph")
  starts = range(0, len(listed), size)
  return [Shard(listed[i : i + size]) for i in starts] + shards


def absolute(shard: Shard) -> Shard:
  """Returns a shard that is the same in every working folder."""
  file = os.path.abspath(shard.file) if shard.file else ""
  return shard._replace(
    paths=list(map(os.path.abspath, shard.paths)), file=file
  )


def _match(pattern: str, out: pathlib.Path | None) -> list[pathlib.Path]:
  path = pathlib.Path(pattern)
  if path.is_dir():
    found = list(folders.walk(path, out))
  else:
    names = [pattern] if path.is_file() else glob.glob(pattern, recursive=True)
    own = out.resolve() if out else None
    found = [
      file
      for file in map(pathlib.Path, sorted(names))
      if file.is_file() and own not in file.resolve().parents
    ]
  known = (*PHOTO_SUFFIXES, ".parquet")
  matched = [file for file in found if file.suffix.lower() in known]
  if not matched:
    raise FileNotFoundError(
      f"no photograph and no Parquet file matches {pattern}"
    )
  if others := len(found) - len(matched):
    _LOG.info("%s: %d files of other kinds left out", pattern, others)
  return matched


def _open(path: pathlib.Path) -> tuple[pq.ParquetFile, str]:
  """Opens a Parquet file; returns it and its column of photographs."""
  try:
    table = pq.ParquetFile(path)
  except pa.ArrowException as error:
    raise ValueError(
      f"{path} is not a Parquet file, or is damaged ({error})"
    ) from error
  schema = table.schema_arrow
  for column, is_right in _COLUMNS.items():
    if column in schema.names and is_right(schema.field(column).type):
      return table, column
  columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
  raise ValueError(
    f"{path} has the columns {columns}; expected path (text) or image "
    "(encoded images: bytes, or a struct of bytes and path)"
  )


def _is_text(kind: pa.DataType) -> bool:
  if pa.types.is_dictionary(kind):
    kind = kind.value_type
  return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_image(kind: pa.DataType) -> bool:
  if pa.types.is_struct(kind):
    names = [field.name for field in kind]
    return "bytes" in names and _is_image(kind.field("bytes").type)
  return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


# Of Parquet inputs the first that there is.
_COLUMNS = {"path": _is_text, "image": _is_image}


def read(shard: Shard) -> Iterator[tuple[str, str | bytes]]:
  """Yields the name and the path or the encoded image of each photograph."""
  if not shard.file:
    yield from zip(shard.paths, shard.paths, strict=True)
    return
  table = pq.ParquetFile(shard.file).read_row_group(
    shard.row_group, columns=[shard.column]
  )
  for n, image in enumerate(table[shard.column].to_pylist()):
    name = f"{shard.file}:{shard.row_group}:{n}"
    if isinstance(image, dict):
      path, image = image.get("path"), image["bytes"]
      name = path or name
      image = path if image is None else image  # of a file beside the table
    yield name, image or b""


def start(
  folder: pathlib.Path, settings: dict[str, Any], shards: Sequence[Shard]
) -> list[int]:
  """Begins or continues a run in the folder of its results.

  Args:
    folder: made where it is missing.
    settings: all that results depend on beside the photographs, as json has it.
    shards: of the run.

  Returns:
    The positions of the shards that have no results yet.

  Raises:
    ValueError: the folder's run had other settings or photographs.
  """
  digest = hashlib.sha256(json.dumps(shards).encode()).hexdigest()
  asked = settings | {"shards": len(shards), "photographs_digest": digest}
  # With the _ that readers of a folder of Parquet files pass over.
  file = folder / "_run.json"
  if file.exists():
    before = json_file.read_json(file)
    if not isinstance(before, dict):
      raise ValueError(f"{file} is not of a run; name another --out")
    fields = [n for n in asked if before.get(n) != asked[n]]
    if fields:
      raise ValueError(
        f"{folder} holds a run with other {', '.join(fields)}; name another "
        "--out, or repeat that run's flags to continue it"
      )
  else:
    files.write_whole(file, json.dumps(asked, indent=2).encode() + b"\n")
  return [n for n in range(len(shards)) if not _result(folder, n).exists()]


def write(folder: pathlib.Path, number: int, table: pa.Table) -> None:
  """Writes a shard's results, whole or not at all."""
  path = _result(folder, number)
  # Of its own name: two processes may have the same shard after a lost one.
  part = folder / f".{path.name}.{uuid.uuid4().hex}"
  try:
    pq.write_table(table, part)
    part.replace(path)
  finally:
    part.unlink(missing_ok=True)


def count_errors(folder: pathlib.Path) -> int:
  """Returns how many photographs of a run could not be read, so far."""
  errors = (
    pq.read_table(path, columns=["error"])["error"]
    for path in folder.glob("part-*.parquet")
  )
  return sum(len(column) - column.null_count for column in errors)


def _result(folder: pathlib.Path, number: int) -> pathlib.Path:
  return folder / f"part-{number:06d}.parquet"

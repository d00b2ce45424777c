"""Photographs in shards: each is predicted at once and becomes one file.

A shard's file is written whole or not at all, and its content depends on the
shard alone, so that whoever predicts it, and however often, every photograph is
in the results once.
"""

import glob
import hashlib
import json
import pathlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from darkjax.data.images.spelling import PHOTO_SUFFIXES
from darkjax.predict.folders import find_photographs
from darkjax.runtime import files

_COLUMNS = ("path", "image")  # of Parquet inputs, the first that there is


class Shard(NamedTuple):
  """Some photographs: paths, or rows of a Parquet file that holds images."""

  paths: Sequence[str] = ()
  file: str = ""  # of images
  row_group: int = 0
  column: str = ""


def find(patterns: Sequence[str], size: int) -> list[Shard]:
  """Returns the shards of files, folders with subfolders, and patterns.

  Args:
    patterns: photographs, folders, or what `glob` takes with **. Of Parquet
      files the column `path` is read, text from the working folder, else
      `image`, which holds encoded images as bytes or as {bytes, path}.
    size: photographs of a shard; images in Parquet are a shard a row group.

  Raises:
    FileNotFoundError: nothing matches.
    ValueError: a Parquet file without such a column.
  """
  paths: dict[str, None] = {}  # in order, each once
  shards = []
  for pattern in patterns:
    for path in _match(pattern):
      if path.suffix.lower() != ".parquet":
        paths[str(path)] = None
        continue
      column = _column(path)
      if column == "path":
        names = pq.read_table(path, columns=[column])[column]
        paths.update(dict.fromkeys(filter(None, names.to_pylist())))
      else:
        groups = pq.ParquetFile(path).num_row_groups
        shards += [Shard((), str(path), n, column) for n in range(groups)]
  listed = list(paths)
  starts = range(0, len(listed), size)
  return [Shard(listed[i : i + size]) for i in starts] + shards


def _match(pattern: str) -> list[pathlib.Path]:
  path = pathlib.Path(pattern)
  if path.is_dir():
    tables = sorted(path.rglob("*.parquet"))
    found = find_photographs([pattern], recursive=True) if not tables else []
    return tables or [photograph.path for photograph in found]
  names = [pattern] if path.is_file() else glob.glob(pattern, recursive=True)
  known = (*PHOTO_SUFFIXES, ".parquet")
  files_found = map(pathlib.Path, sorted(names))
  matched = [file for file in files_found if file.suffix.lower() in known]
  if not matched:
    raise FileNotFoundError(
      f"no photograph and no Parquet file matches {pattern}"
    )
  return matched


def _column(path: pathlib.Path) -> str:
  schema = pq.read_schema(path)
  for column in _COLUMNS:
    if column in schema.names:
      return column
  raise ValueError(
    f"{path} has the columns {schema.names}; expected path (text) or image "
    "(encoded images: bytes, or a struct of bytes and path)"
  )


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
      name, image = image.get("path") or name, image["bytes"]
    yield name, b"" if image is None else image


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
    before = json.loads(file.read_text())
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


def _result(folder: pathlib.Path, number: int) -> pathlib.Path:
  return folder / f"part-{number:06d}.parquet"

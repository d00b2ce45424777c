"""Photographs of a command's arguments: files, and what folders hold."""

import collections
import logging
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from darkjax.data.images.spelling import PHOTO_SUFFIXES
from darkjax.viz import picture_file

_LOG = logging.getLogger(__name__)


class Photograph(NamedTuple):
  """A file, and its name in results: below the folder that was given."""

  path: pathlib.Path
  name: str


def find_photographs(
  inputs: Sequence[str],
  *,
  recursive: bool = False,
  out: pathlib.Path | None = None,
) -> list[Photograph]:
  """Returns the files given, and folders' photographs, sorted, but no .NAME.

  With `recursive` those of subfolders too, but for `out` and below. What a
  folder holds besides is logged.
  """
  found = [
    photograph
    for name in inputs
    for photograph in _list(pathlib.Path(name), recursive, out)
  ]
  counts = collections.Counter(photograph.name for photograph in found)
  twice = sorted(name for name, count in counts.items() if count > 1)
  if twice:
    raise ValueError(
      "results and overlays identify photographs by their file names, got "
      f"twice: {', '.join(twice[:3])}; predict each folder in a run of its "
      "own, or the folder above with --recursive"
    )
  return found


def _list(
  path: pathlib.Path, recursive: bool, out: pathlib.Path | None
) -> list[Photograph]:
  if path.is_file():
    return [Photograph(path, path.name)]
  if not path.is_dir():
    raise FileNotFoundError(f"no photograph, folder or video {path}")
  photographs: list[pathlib.Path] = []
  deeper: list[pathlib.Path] = []  # photographs of subfolders
  others: list[pathlib.Path] = []
  for file in walk(path, out):
    is_photograph = file.suffix.lower() in PHOTO_SUFFIXES
    if recursive or file.parent == path:
      (photographs if is_photograph else others).append(file)
    elif is_photograph:
      deeper.append(file)
  left_out = _describe(others, deeper)
  if not photographs:
    raise FileNotFoundError(
      f"folder {path} holds no photographs ({', '.join(PHOTO_SUFFIXES)})"
      + (f"; {left_out}" if left_out else "")
    )
  if left_out:
    _LOG.info("%s: %s", path, left_out)
  return [Photograph(p, p.relative_to(path).as_posix()) for p in photographs]


def walk(
  folder: pathlib.Path, out: pathlib.Path | None
) -> Iterator[pathlib.Path]:
  """Yields files of a folder and its subfolders, sorted in each, but no .NAME.

  Those in `out` and below are left out.
  """
  outputs = out.resolve() if out else None
  for parent, folders, files in os.walk(folder):
    folders[:] = sorted(
      name
      for name in folders
      if not name.startswith(".")
      and pathlib.Path(parent, name).resolve() != outputs
    )
    visible = sorted(name for name in files if not name.startswith("."))
    yield from (pathlib.Path(parent, name) for name in visible)


def overlay_path(out: pathlib.Path, name: str) -> pathlib.Path:
  """Returns the file of an overlay: NAME, or NAME.png unless JPEG or PNG."""
  keep = pathlib.Path(name).suffix.lower() in picture_file.SUFFIXES
  return out / (name if keep else f"{name}.png")


def _describe(
  others: Sequence[pathlib.Path], deeper: Sequence[pathlib.Path]
) -> str:
  """What is left out, by suffix and count; "" for nothing."""
  parts = []
  if others:
    counts = collections.Counter(p.suffix.lower() or "none" for p in others)
    suffixes = ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common())
    parts.append(f"{len(others)} files that are no photographs ({suffixes})")
  if deeper:
    parts.append(f"{len(deeper)} photographs in subfolders (--recursive)")
  return f"left out: {'; '.join(parts)}" if parts else ""

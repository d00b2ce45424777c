"""DeepLabCut's projects, and single CollectedData*.csv and .h5 files.

Of a project the labels of every video below labeled-data/ are read:
CollectedData_<scorer>.h5, from which DeepLabCut trains, or, where there is
none, the .csv; where the two differ, that is warned of. The config.yaml's
`skeleton` gives the limbs; DeepLabCut knows no flip pairs, and its splits
(shuffles of a training set) are not read. See keypoint_table.py for the files.

Reference: deeplabcut.github.io/DeepLabCut, "standard" and "maDLC" guides;
labels of both kinds in tests/data/dlc of github.com/talmolab/sleap-io.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from darkjax.convert import extras
from darkjax.convert.formats import keypoint_table, pandas_h5
from darkjax.convert.labels import Image
from darkjax.convert.project import Project

CONFIG = "config.yaml"
_LEVELS = 3  # of folders between the labels and the config


def is_config(content: Any) -> bool:
  """Returns whether the content of a yaml is of a DeepLabCut project."""
  keys = {"video_sets", "bodyparts", "scorer", "Task"}
  return isinstance(content, Mapping) and len(keys & {*content}) >= 2


def find_config(path: pathlib.Path) -> pathlib.Path | None:
  """Returns the config.yaml of the project that a file of labels is in."""
  for folder in list(path.resolve().parents)[:_LEVELS]:
    if (folder / CONFIG).is_file() and (folder / "labeled-data").is_dir():
      return folder / CONFIG
  return None


def read(project: Project) -> list[Image]:
  """Reads a project's folder or config.yaml, a part of it, a csv or an h5."""
  source = project.source
  config: pathlib.Path | None
  if source.suffix in (".yaml", ".yml"):
    config, paths = source, list_files(source.parent)
  else:
    paths = list_files(source) if source.is_dir() else [source]
    config = find_config(paths[0]) if paths else None
  if not paths:
    raise ValueError(
      f"{source}: no labeled-data/*/CollectedData*.csv or .h5; label frames "
      "first"
    )
  tables = [read_table(path) for path in paths]
  content = None if config is None else extras.read_yaml(config)
  limbs = _limbs(content if isinstance(content, Mapping) else {})
  for table in tables:
    if source != table.path and not _is_copied(table):
      project.left_out.warnings.append(
        f"{table.path} is read, whose .csv has other labels; DeepLabCut trains "
        "from the .h5 too, which its convertcsv2h5 makes of the .csv"
      )
  roots = map(_root, paths)
  return keypoint_table.read_images(project, tables, roots, limbs)


def _root(path: pathlib.Path) -> pathlib.Path:
  """The folder that the paths in a file of labels are relative to."""
  video = pathlib.Path(os.path.abspath(path)).parent
  in_project = video.parent.name == "labeled-data"
  return video.parent.parent if in_project else path.parent


def read_table(path: pathlib.Path) -> keypoint_table.Table:
  """Reads a csv or an h5 of labels."""
  if path.suffix in (".h5", ".hdf5"):
    return pandas_h5.read(path)
  return keypoint_table.read_csv(path)


def _is_copied(table: keypoint_table.Table) -> bool:
  """Whether the csv beside an h5, if there is one, has the same labels."""
  path = table.path.with_suffix(".csv")
  if path == table.path or not path.is_file():
    return True
  try:
    other = keypoint_table.read_csv(path)
  except ValueError:
    return False
  return (
    list(other.images) == list(table.images)
    and list(other.columns) == list(table.columns)
    and np.allclose(other.values, table.values, atol=1e-6, equal_nan=True)
  )


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the labels of a project, of its labeled-data, or of one video.

  One file for each video: an h5 before a csv and, where there are several
  scorers, that of the config.
  """
  scorer = ""
  if (folder / CONFIG).is_file():
    content = extras.read_yaml(folder / CONFIG)
    scorer = content.get("scorer", "") if is_config(content) else ""
  videos = sorted([*folder.glob("labeled-data/*/"), *folder.glob("*/"), folder])
  paths = []
  for video in videos:
    listed = [
      path
      for suffix in ("h5", "csv")
      for path in sorted(video.glob(f"CollectedData*.{suffix}"))
    ]
    listed.sort(key=lambda path: path.stem != f"CollectedData_{scorer}")
    paths += listed[:1]
  return paths


def _limbs(content: Mapping[str, Any]) -> list[tuple[str, str]]:
  edges = content.get("skeleton") or []
  return [
    (str(edge[0]), str(edge[1]))
    for edge in edges
    if isinstance(edge, list) and len(edge) == 2
  ]

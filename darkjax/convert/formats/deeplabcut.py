"""DeepLabCut's projects, and single CollectedData*.csv and .h5 files.

Of a project, which a config.yaml marks, the labels of every video below
labeled-data/ are read: CollectedData_<scorer>.csv or, where there is none, the
.h5. The config's `skeleton` gives the limbs; DeepLabCut knows no flip pairs,
and its splits (shuffles of a training set) are not read. See keypoint_table.py
for the files.

Reference: deeplabcut.github.io/DeepLabCut, "standard" and "maDLC" guides;
labels of both kinds in tests/data/dlc of github.com/talmolab/sleap-io.
"""

import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from darkjax.convert import extras
from darkjax.convert.formats import keypoint_table, pandas_h5
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import Labels

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


def read(
  source: pathlib.Path,
  images: Sequence[pathlib.Path] = (),
  keypoints: Sequence[str] = (),
) -> Labels:
  """Reads a project (its config.yaml), or one file of labels.

  Args:
    source: the config.yaml, a csv or an h5.
    images: further folders to look for images in.
    keypoints: not used: the files have an order.

  Raises:
    ValueError: damaged, or none of its images is there.
  """
  del keypoints
  config = source if source.suffix in (".yaml", ".yml") else find_config(source)
  paths = [source]
  if config == source:
    paths = _label_files(source)
  tables = [read_table(path) for path in paths]
  limbs: list[tuple[str, str]] = []
  if config is not None:
    content = extras.read_yaml(config)
    limbs = _limbs(content if isinstance(content, Mapping) else {})
  left_out: Counter[str] = Counter()
  labels = Labels([], left_out)
  individuals = keypoint_table.categories(tables, limbs)
  missing: list[str] = []
  for table in tables:
    # The folder of the video, of the project, and of a csv on its own.
    near = [table.path.parent]
    if table.path.parent.parent.name == "labeled-data":
      near.insert(0, table.path.parent.parent.parent)
    found = ImageFiles([*images, *near], left_out)
    labels.images += keypoint_table.find_images(
      table, individuals, found, left_out
    )
    missing += found.missing
    found.missing = missing
    if table is tables[-1]:
      found.check_found(source, len(labels.images))
  return labels


def read_table(path: pathlib.Path) -> keypoint_table.Table:
  """Reads a csv or an h5 of labels."""
  if path.suffix in (".h5", ".hdf5"):
    return pandas_h5.read(path)
  return keypoint_table.read_csv(path)


def _label_files(config: pathlib.Path) -> list[pathlib.Path]:
  content = extras.read_yaml(config)
  scorer = content.get("scorer") if isinstance(content, Mapping) else None
  paths = []
  for folder in sorted((config.parent / "labeled-data").glob("*/")):
    for name in (
      f"CollectedData_{scorer}.csv",
      f"CollectedData_{scorer}.h5",
      "CollectedData*.csv",
      "CollectedData*.h5",
    ):
      if listed := sorted(folder.glob(name)):
        paths.append(listed[0])
        break
  if not paths:
    raise ValueError(
      f"{config}: no labeled-data/*/CollectedData*.csv or .h5 beside it; label "
      "frames first"
    )
  return paths


def _limbs(content: Mapping[str, Any]) -> list[tuple[str, str]]:
  edges = content.get("skeleton") or []
  return [
    (str(edge[0]), str(edge[1]))
    for edge in edges
    if isinstance(edge, list) and len(edge) == 2
  ]

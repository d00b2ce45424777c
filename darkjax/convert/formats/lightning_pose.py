"""lightning-pose's CollectedData*.csv, or all of a folder.

The files have DeepLabCut's form, see keypoint_table.py; their paths are
relative to the folder of the csv. Of several files those that end in _new,
lightning-pose's labels from other sessions, are the split "new"; all others
(one for each camera) are the split "train". lightning-pose keeps no skeleton.

Reference: data/mirror-mouse-example/CollectedData.csv of
github.com/paninski-lab/lightning-pose.
"""

import pathlib

from darkjax.convert.formats import keypoint_table
from darkjax.convert.labels import Image
from darkjax.convert.project import Project


def read(project: Project) -> list[Image]:
  """Reads one csv or all of a folder."""
  source = project.source
  paths = list_files(source) if source.is_dir() else [source]
  tables = [keypoint_table.read_csv(path) for path in paths]
  if len(tables) > 1:
    splits = ["new" if p.stem.endswith("_new") else "train" for p in paths]
    named = zip(tables, splits, strict=True)
    tables = [table._replace(split=split) for table, split in named]
  return keypoint_table.read_images(project, tables, [project.folder])


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files of labels in a folder."""
  return sorted(
    path
    for path in folder.glob("*.csv")
    if path.name.startswith("CollectedData")
    and (keypoint_table.head(path) or keypoint_table.describe(path))
  )

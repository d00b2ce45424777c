"""lightning-pose's CollectedData*.csv, or all of a folder.

The files have DeepLabCut's form, see keypoint_table.py; their paths are
relative to the folder of the csv. Of several files those that end in _new,
lightning-pose's labels from other sessions, are the split "new"; all others
(one for each camera) are the split "train". lightning-pose keeps no skeleton.

Reference: data/mirror-mouse-example/CollectedData.csv of
github.com/paninski-lab/lightning-pose.
"""

import pathlib
from collections.abc import Sequence

from darkjax.convert.formats import keypoint_table
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import Labels, LeftOut


def read(
  source: pathlib.Path,
  images: Sequence[pathlib.Path] = (),
  keypoints: Sequence[str] = (),
) -> Labels:
  """Reads one csv or all of a folder.

  Args:
    source: the csv or the folder.
    images: further folders to look for images in.
    keypoints: not used: the files have an order.

  Raises:
    ValueError: damaged, or none of its images is there.
  """
  del keypoints
  paths = list_files(source) if source.is_dir() else [source]
  tables = [keypoint_table.read_csv(path) for path in paths]
  left_out = LeftOut()
  folder = source if source.is_dir() else source.parent
  found = ImageFiles([*images, folder], left_out)
  individuals = keypoint_table.categories(tables)
  labels = Labels([], left_out)
  for table in tables:
    listed = keypoint_table.find_images(table, individuals, found, left_out)
    for image in listed if len(tables) > 1 else ():
      image.split = "new" if table.path.stem.endswith("_new") else "train"
    labels.images += listed
  found.check_found(source, len(labels.images))
  return labels


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files of labels in a folder."""
  return sorted(
    path
    for path in folder.glob("*.csv")
    if path.name.startswith("CollectedData") and keypoint_table.head(path)
  )

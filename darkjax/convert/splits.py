"""Splits of a data set: read from names of files, and named in the results."""

import pathlib
import re
from collections.abc import Iterable


def split_of(path: pathlib.Path) -> str:
  """Returns the split that a file's name says, else that of its folder.

  Without either it is the whole name.

  >>> split_of(pathlib.Path("annotations/person_keypoints_val2017.json"))
  'val'
  >>> split_of(pathlib.Path("valid/_annotations.coco.json"))
  'val'
  """
  for name in (path.stem.lower(), path.parent.name.lower()):
    found = re.search(r"train|valid|val|test", name)
    if found:
      return {"valid": "val"}.get(found[0], found[0])
  return path.stem


def split_paths(
  out: pathlib.Path, splits: Iterable[str]
) -> dict[str, pathlib.Path]:
  """Returns the json of each split.

  The split "train", or the only one, is written to `out`. The names of the
  others have theirs in place of "train" in the name of `out`, or at its end.

  >>> paths = split_paths(pathlib.Path("a/train.json"), ["train", "val"])
  >>> paths["val"].as_posix()
  'a/val.json'
  >>> paths = split_paths(pathlib.Path("dogs.json"), ["val", "train"])
  >>> [path.name for path in paths.values()]
  ['dogs_val.json', 'dogs.json']
  """
  splits = list(splits)
  if len(splits) == 1:
    return {splits[0]: out}
  paths = {}
  for split in splits:
    name = re.sub(r"[^\w.-]+", "_", split) or "rest"
    stem = f"{out.stem}_{name}"
    if "train" in out.stem:
      stem = out.stem.replace("train", name)
    paths[split] = out if split == "train" else out.with_stem(stem)
  if len({*paths.values()}) < len(paths):
    raise ValueError(f"splits {splits} cannot all have files named as {out}")
  return paths

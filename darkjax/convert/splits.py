"""Splits of a data set: read from names of files, and named in the results."""

import pathlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence

from darkjax.convert.labels import Image, Labels, number_labelled

USUAL = ("train", "val", "test")
# Not inside a word, such as latest or constrained.
_SPLIT = re.compile(
  r"(?<![a-z])(train|val|test)(ing|id|idation|set)?(?![a-z])", re.IGNORECASE
)


def split_of(path: pathlib.Path) -> str:
  """Returns the split that a file's name says, else that of its folder.

  Without either it is the whole name.

  >>> split_of(pathlib.Path("annotations/person_keypoints_val2017.json"))
  'val'
  >>> split_of(pathlib.Path("valid/_annotations.coco.json"))
  'val'
  """
  return of_folders([path.parent.name, path.stem]) or path.stem


def of_files(
  paths: Sequence[pathlib.Path],
) -> Iterator[tuple[pathlib.Path, str, str]]:
  """Yields files of labels, what `split_of` each, and the name of its split.

  That is the file's where several say the same, after its folder's where
  several files have the same, and "" for a single file.
  """
  usual, stems = [split_of(path) for path in paths], [p.stem for p in paths]
  for path, name in zip(paths, usual, strict=True):
    own = path.stem
    if usual.count(name) == 1:
      own = name
    elif stems.count(own) > 1:
      own = f"{path.parent.name}_{own}"
    yield path, name, own if len(paths) > 1 else ""


def of_folders(parts: Iterable[str]) -> str:
  """Returns the split that the last of some folders says, or "".

  >>> of_folders(["images", "Validation", "latest"])
  'val'
  """
  for part in reversed([*parts]):
    if found := _SPLIT.search(part):
      return found[1].lower()
  return ""


def hold_out(labels: Labels, share: float, seed: int = 0) -> None:
  """Moves a share of the images, at least one, to the split "val".

  Whole folders (videos) of images where there are several, so that validation
  sees none of training's. The same images give the same splits.

  Raises:
    ValueError: the labels have a split val, or only one image.
  """
  names = labels.splits()
  rest = "train" if "train" in names else names[0]
  images = [image for image in labels.images if image.split == rest]
  folders: dict[str, list[Image]] = {}
  for image in images:
    folders.setdefault(str(image.parent), []).append(image)
  # Where nobody is labelled there is nothing to score.
  groups = [
    folders[name] for name in sorted(folders) if _count_labelled(folders[name])
  ]
  if len(groups) < 2:
    groups = [[image] for image in images if _count_labelled([image])]
  if "val" in names or len(groups) < 2 or (len(names) > 1 and rest != "train"):
    raise ValueError(
      "--val is for labels of two images or more without splits, or with train "
      f"and without val; got {len(groups)} images with people, splits {names}"
    )
  random.Random(seed).shuffle(groups)
  number = max(1, round(share * len(images)))
  held: list[Image] = []
  for group in groups[:-1]:
    if len(held) + len(group) <= number:
      held += group
  held = held or min(groups, key=len)
  for image in images:
    image.split = "train"
  for image in held:
    image.split = "val"


def _count_labelled(images: Iterable[Image]) -> int:
  """How many keypoints are labelled on images."""
  return sum(number_labelled(p) for image in images for p in image.people)


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
    stem = _replace_train(out.stem, name)
    if stem == out.stem:
      stem = f"{out.stem}_{name}"
    paths[split] = out if split == "train" else out.with_stem(stem)
  if len({*paths.values()}) < len(paths):
    raise ValueError(f"splits {splits} cannot all have files named as {out}")
  return paths


def _replace_train(stem: str, name: str) -> str:
  return _SPLIT.sub(
    lambda found: name if found[1].lower() == "train" else found[0], stem
  )

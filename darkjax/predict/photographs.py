"""Which files are photographs, and their image ids in results."""

import collections
import itertools
import pathlib
from collections.abc import Sequence

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def find(inputs: Sequence[str]) -> list[pathlib.Path]:
  """The files that are named, and the photographs of folders, sorted.

  Files whose names begin with a dot are not taken from folders.

  Raises:
    FileNotFoundError: a path that is not there, or a folder without any.
    ValueError: two files of the same name, which results could not tell apart.
  """
  paths = [path for given in inputs for path in _expand(pathlib.Path(given))]
  counts = collections.Counter(path.name for path in paths)
  twice = sorted(name for name, count in counts.items() if count > 1)
  if twice:
    raise ValueError(
      f"results and overlays know photographs by their file names, got twice: "
      f"{', '.join(twice[:3])}; predict each folder in a run of its own"
    )
  return paths


def _expand(path: pathlib.Path) -> list[pathlib.Path]:
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise FileNotFoundError(f"no photograph, folder or video {path}")
  found = sorted(
    p
    for p in path.iterdir()
    if p.suffix.lower() in SUFFIXES
    and p.is_file()
    and not p.name.startswith(".")
  )
  if not found:
    raise FileNotFoundError(
      f"folder {path} holds no photographs ({', '.join(SUFFIXES)})"
    )
  return found


def image_ids(
  paths: Sequence[pathlib.Path], told: Sequence[int | None]
) -> list[int]:
  """COCO's image id of each photograph, no two the same.

  Those a json file told; of the others, if all their names are different
  numbers as in 000000000139.jpg, these numbers; else the first free ones from
  0 on.

  Args:
    paths: the photographs.
    told: what the json tells of each, if anything.

  Raises:
    ValueError: the json tells two photographs the same id.
  """
  counts = collections.Counter(n for n in told if n is not None)
  pairs = list(zip(paths, told, strict=True))
  twice = [path.name for path, n in pairs if counts[n] > 1]
  if twice:
    raise ValueError(
      f"{', '.join(twice[:3])} are one image in the json of boxes, "
      f"{counts.most_common(1)[0][0]}; leave one of them out"
    )
  taken = set(counts)
  others = [path for path, n in pairs if n is None]
  numbers = {int(p.stem) for p in others if p.stem.isdecimal()} - taken
  if len(numbers) == len(others):
    own = (int(path.stem) for path in others)
  else:
    own = itertools.filterfalse(taken.__contains__, itertools.count())
  return [next(own) if n is None else n for n in told]

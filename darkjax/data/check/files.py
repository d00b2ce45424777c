"""Findings about the images: on disk, their sizes, their names."""

import itertools
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent import futures

from darkjax.data.check.findings import Finding, finding
from darkjax.data.check.labels import Size, is_possible_size
from darkjax.data.check.rules import ERROR, NOTE
from darkjax.data.coco import reader
from darkjax.data.images import encoded

# (height, width) px of each image file or the error of reading it, by image id.
Headers = Mapping[int, Size | Exception]


def read_headers(
  images: Mapping[int, Mapping], folder: pathlib.Path
) -> Headers:
  """Reads the header of every image of a json; nothing is decoded."""
  if not folder.is_dir():
    raise FileNotFoundError(
      f"no folder of images {folder}; give the folder that the json's "
      "file_name entries are relative to"
    )

  def read(image: Mapping) -> Size | Exception:
    path = folder / str(image["file_name"])
    try:
      return encoded.read_header(path)[1]
    except (FileNotFoundError, ValueError) as error:
      return error

  with futures.ThreadPoolExecutor() as pool:
    return dict(zip(images, pool.map(read, images.values()), strict=True))


def findings(
  content: reader.Content, folder: pathlib.Path | None, headers: Headers
) -> Iterator[Finding]:
  """Yields all of them; without a folder only what the json says is checked."""
  names = {i: str(m["file_name"]) for i, m in content.images.items()}
  sizes = {i: reader.image_size(m) for i, m in content.images.items()}
  counts = Counter(names.values())
  repeated = [name for name, count in counts.items() if count > 1]
  if repeated:
    yield finding("file-name-repeated", repeated)
  unknown = [i for i, size in sizes.items() if not size]
  if unknown and folder is None:
    yield finding("image-size-unknown", unknown)
  impossible = {
    i: f"{size[1]}x{size[0]} px"
    for i, size in sizes.items()
    if size and not is_possible_size(size)
  }
  unreadable = {i: e for i, e in headers.items() if isinstance(e, ValueError)}
  other = {
    i: f"{names[i]} {problem}"
    for i, size in headers.items()
    if isinstance(size, tuple) and i not in impossible
    if (problem := encoded.size_problem(sizes[i], size))
  }
  for rule, wrong in (
    ("image-size-refused", impossible),
    ("image-unreadable", unreadable),
    ("image-size", other),
  ):
    if wrong:
      yield finding(rule, wrong, first=next(iter(wrong.values())))
  missing = [i for i, e in headers.items() if isinstance(e, FileNotFoundError)]
  if missing and folder:
    ids = [annotation.get("image_id") for annotation in content.annotations]
    labelled = {i for i in ids if isinstance(i, int | float)}
    used = [i for i in missing if i in labelled]
    yield finding(
      "image-missing",
      [names[i] for i in used or missing],
      severity=ERROR if used else NOTE,
      part=(len(missing), len(names)),
      folder=folder,
      used=len(used),
      fix=_why_missing(folder, pathlib.PurePosixPath(names[missing[0]])),
    )


def _why_missing(folder: pathlib.Path, name: pathlib.PurePosixPath) -> str:
  """Guesses: the names have a folder too many, or the files lie deeper."""
  if (folder / name.name).is_file():
    return (
      f"the json's names start with {name.parent}/, but the files lie in "
      "--images itself: give the folder above, or take it off the names"
    )
  for below in itertools.islice(folder.glob("*/"), 50):
    if (below / name).is_file():
      return f"the files lie in {below}: give that as --images"
  return "fetch them, or drop the images and their annotations from the json"

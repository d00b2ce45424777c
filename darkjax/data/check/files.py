"""Findings about the images: on disk, their sizes, their names."""

import itertools
import pathlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from concurrent import futures
from typing import NamedTuple

from darkjax.data.check.findings import (
  ERROR,
  NOTE,
  WARNING,
  Finding,
  is_possible_size,
)
from darkjax.data.coco import reader
from darkjax.data.images import headers


class Files(NamedTuple):
  """What the headers of the image files say.

  Attributes:
    sizes: (height, width), px, by image id.
    missing: file names by image id.
    unreadable: what is wrong, by image id.
  """

  sizes: Mapping[int, tuple[int, int]]
  missing: Mapping[int, str]
  unreadable: Mapping[int, str]


def read_files(images: Mapping[int, Mapping], folder: pathlib.Path) -> Files:
  """Reads the header of every image; nothing is decoded.

  Args:
    images: of the json, by id.
    folder: that their file names are relative to.

  Raises:
    FileNotFoundError: no such folder.
  """
  if not folder.is_dir():
    raise FileNotFoundError(
      f"no folder of images {folder}; give the folder that the json's "
      "file_name entries are relative to"
    )
  files = Files({}, {}, {})
  paths = [folder / str(image["file_name"]) for image in images.values()]
  with futures.ThreadPoolExecutor() as pool:
    for image, path, read in zip(
      images.values(), paths, pool.map(_read, paths), strict=True
    ):
      if isinstance(read, tuple):
        files.sizes[image["id"]] = read
      elif isinstance(read, FileNotFoundError):
        files.missing[image["id"]] = str(image["file_name"])
      else:
        files.unreadable[image["id"]] = f"{path.name}: {read}"
  return files


def _read(path: pathlib.Path) -> tuple[int, int] | Exception:
  try:
    return headers.read_header(path, path)[1]
  except (FileNotFoundError, ValueError) as error:
    return error


def findings(
  content: reader.Content,
  folder: pathlib.Path | None,
  files: Files | None,
) -> Iterator[Finding]:
  """Of the images that somebody is annotated in, and of all their names.

  Args:
    content: the json.
    folder: of the images, None where only the json is checked.
    files: what is in it.
  """
  yield from _repeated_names(content)
  yield from _without_size(content, files)
  yield from _impossible_size(content)
  if files is not None:
    yield from _missing(content, folder, files)
    yield from _unreadable(files)
    yield from _other_size(content, files)


def _repeated_names(content) -> Iterator[Finding]:
  counts = Counter(str(i["file_name"]) for i in content.images.values())
  repeated = [name for name, count in counts.items() if count > 1]
  if repeated:
    yield Finding(
      WARNING,
      "file-name-repeated",
      f"{len(repeated)} file names belong to more than one image id (image "
      "file names below): people found in one are compared with the labels of "
      "one only, and the others count as false positives",
      "merge the images into one and point the annotations at its id",
      tuple(repeated),
    )


def _without_size(content, files) -> Iterator[Finding]:
  unknown = [
    i
    for i, image in content.images.items()
    if not reader.image_size(image)
    and not (files is not None and i in files.sizes)
  ]
  if unknown and files is None:
    yield Finding(
      NOTE,
      "image-size-unknown",
      f"{len(unknown)} images have no 'width' and 'height' in the json (image "
      "ids below): whether their labels lie inside is not checked",
      "give --images=FOLDER, and the sizes are read from the files; training "
      "does so too",
      tuple(unknown),
    )


def _impossible_size(content) -> Iterator[Finding]:
  told = {i: reader.image_size(m) for i, m in content.images.items()}
  wrong = [i for i, size in told.items() if size and not is_possible_size(size)]
  if wrong:
    height, width = told[wrong[0]]
    yield Finding(
      ERROR,
      "image-size-refused",
      f"{len(wrong)} images have a 'width' or 'height' in the json that no "
      f"image has (image ids below); the first: {width}x{height} px",
      "write the size of the file in px, or drop both fields, and it is read "
      "from the file",
      tuple(wrong),
    )


def _missing(content, folder, files) -> Iterator[Finding]:
  used = [annotation.get("image_id") for annotation in content.annotations]
  used = {i for i in used if isinstance(i, Hashable)}
  needed = {i: name for i, name in files.missing.items() if i in used}
  if not files.missing:
    return
  yield Finding(
    ERROR if needed else NOTE,
    "image-missing",
    f"{len(files.missing)} of {len(content.images)} image files are not in "
    f"{folder}, {len(needed)} of them with annotations (image file names "
    "below)",
    _why_missing(folder, files.missing)
    or "fetch them, or drop the images and their annotations from the json",
    tuple((needed or files.missing).values()),
  )


def _why_missing(folder, missing) -> str:
  """A guess: the names carry a folder too many, or the folder is above."""
  name = pathlib.PurePosixPath(next(iter(missing.values())))
  if (folder / name.name).is_file():
    return (
      f"the json's names start with {name.parent}/, but the files lie in "
      "--images itself: give the folder above, or take it off the names"
    )
  for below in itertools.islice(folder.glob("*/"), 50):
    if (below / name).is_file():
      return f"the files lie in {below}: give that as --images"
  return ""


def _unreadable(files) -> Iterator[Finding]:
  if files.unreadable:
    first = next(iter(files.unreadable.values()))
    yield Finding(
      ERROR,
      "image-unreadable",
      f"{len(files.unreadable)} files are no images that can be read (image "
      f"ids below); the first: {first}",
      "convert them to JPEG or PNG, or fetch them again",
      tuple(files.unreadable),
    )


def _other_size(content, files) -> Iterator[Finding]:
  problems = {}
  for image_id, size in files.sizes.items():
    expected = reader.image_size(content.images[image_id])
    possible = expected is None or is_possible_size(expected)
    problem = possible and headers.size_problem(expected, size)
    if problem:
      problems[image_id] = problem
  if problems:
    image_id, problem = next(iter(problems.items()))
    yield Finding(
      ERROR,
      "image-size",
      f"{len(problems)} image files have another size than the json says "
      f"(image ids below); {content.images[image_id]['file_name']} {problem}",
      "the labels were made on other files: use those, or scale boxes, "
      "keypoints and areas with the images",
      tuple(problems),
    )

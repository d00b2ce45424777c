"""Findings about the images: on disk, their sizes, their names."""

import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent import futures

from darkjax.data.check.findings import Finding, finding
from darkjax.data.check.labels import is_possible_size
from darkjax.data.check.rules import ERROR, NOTE
from darkjax.data.coco import reader
from darkjax.data.images import encoded
from darkjax.data.images.encoded import Header
from darkjax.data.images.names import FolderNames

# Of each image file, or the error of reading it, by image id.
Headers = Mapping[int, Header | Exception]


def open_folder(
  images: Mapping[int, Mapping], path: pathlib.Path
) -> FolderNames:
  """Returns the `FolderNames` of the images of a json."""
  if not path.is_dir():
    raise FileNotFoundError(
      f"no folder of images {path}; give the folder that the json's "
      "file_name entries are relative to"
    )
  names = [str(image["file_name"]) for image in images.values()]
  return FolderNames(path, names)


def read_headers(images: Mapping[int, Mapping], folder: FolderNames) -> Headers:
  """Reads the header of every image of a json; nothing is decoded."""

  def read(image: Mapping) -> Header | Exception:
    name = str(image["file_name"])
    try:
      found = folder.find(name)
      return encoded.read_header(folder.folder / (found or name))
    except (FileNotFoundError, ValueError) as error:
      return error

  with futures.ThreadPoolExecutor() as pool:
    return dict(zip(images, pool.map(read, images.values()), strict=True))


def findings(
  content: reader.Content,
  folder: FolderNames | None,
  headers: Headers,
  upright: bool | None = None,
) -> Iterator[Finding]:
  """Yields all of them; without a folder only what the json says is checked.

  `upright` says which frame the labels are of; None means as stored, with a
  warning where EXIF turns an image.
  """
  own_ids = content.image_ids_in_file
  names = {i: str(m["file_name"]) for i, m in content.images.items()}
  sizes = {i: reader.image_size(m) for i, m in content.images.items()}
  counts = Counter(names.values())
  repeated = [name for name, count in counts.items() if count > 1]
  if repeated:
    yield finding("file-name-repeated", repeated)
  unknown = [own_ids[i] for i, size in sizes.items() if not size]
  if unknown and folder is None:
    yield finding("image-size-unknown", unknown)
  impossible = {
    i: f"{size[1]}x{size[0]} px"
    for i, size in sizes.items()
    if size and not is_possible_size(size)
  }
  unreadable = {i: e for i, e in headers.items() if isinstance(e, ValueError)}
  readable = {i: h for i, h in headers.items() if isinstance(h, Header)}
  other = {
    i: f"{names[i]} {problem}"
    for i, header in readable.items()
    if i not in impossible
    if (
      problem := encoded.size_problem(sizes[i], header, upright=bool(upright))
    )
  }
  for rule, wrong in (
    ("image-size-refused", impossible),
    ("image-unreadable", unreadable),
    ("image-size", other),
  ):
    if wrong:
      first = next(iter(wrong.values()))
      yield finding(rule, [own_ids[i] for i in wrong], first=first)
  fitting = {i: header for i, header in readable.items() if i not in other}
  yield from _frames(names, sizes, fitting, upright)
  missing = [i for i, e in headers.items() if isinstance(e, FileNotFoundError)]
  if folder and folder.guessed:
    guessed = [name for name in counts if name in folder.guessed]
    first = guessed[0]
    yield finding(
      "file-name-guessed", guessed, name=first, found=folder.guessed[first]
    )
  if missing and folder:
    ids = [annotation.get("image_id") for annotation in content.annotations]
    labelled = {i for i in ids if isinstance(i, int | float)}
    used = [i for i in missing if i in labelled]
    yield finding(
      "image-missing",
      [names[i] for i in used or missing],
      severity=ERROR if used else NOTE,
      part=(len(missing), len(names)),
      folder=folder.folder,
      used=len(used),
      first=names[(used or missing)[0]],
      hint=folder.hint(names[(used or missing)[0]]),
    )


def _frames(
  names: Mapping[int, str],
  sizes: Mapping[int, tuple[int, int] | None],
  headers: Mapping[int, Header],
  upright: bool | None,
) -> Iterator[Finding]:
  """Which way is up, and which of several frames is used."""
  turned = [i for i in headers if headers[i].orientation != 1]
  if turned and upright is None:
    counts = Counter(headers[i].orientation for i in turned)
    unknown = [i for i in turned if encoded.frame_unknown(sizes[i], headers[i])]
    yield finding(
      "image-turned",
      [names[i] for i in turned],
      kinds=", ".join(f"{n} of {kind}" for kind, n in sorted(counts.items())),
      unknown=f"and of {len(unknown)} no size in the json says if yours do"
      if unknown
      else "as the sizes in the json do",
    )
  animated = [i for i in headers if headers[i].num_frames > 1]
  if animated:
    yield finding(
      "image-animated", [names[i] for i in animated], first=names[animated[0]]
    )

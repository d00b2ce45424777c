"""Image files by the names that labels give them.

Tools write names relative to a project that has moved since, with the
separators of another system, or with a prefix of their own. A file is looked
for by its whole name below each folder, then anywhere below them by its last
part, where the candidate wins whose path agrees with the name furthest from the
end; if several do, none is taken. Two names that lead to one file are an error.
"""

import os
import pathlib
from collections import Counter
from collections.abc import Iterable

import PIL.Image

from darkjax.convert.labels import Image, Size
from darkjax.data.images import photo

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
_ORIENTATION = 0x0112  # EXIF's tag


class ImageFiles:
  """Finds images below some folders, and counts those that cannot be used."""

  def __init__(
    self, folders: Iterable[str | os.PathLike[str]], left_out: Counter[str]
  ):
    self.folders = list(dict.fromkeys(map(pathlib.Path, folders)))
    self.missing: list[str] = []  # names
    self.left_out = left_out
    self._names: dict[pathlib.Path, str] = {}  # that led to a file
    self._by_name: dict[str, list[pathlib.Path]] | None = None

  def open(
    self,
    *names: str,
    size: Size | None = None,
    turned: bool = True,
    split: str = "",
    parts: int = 1,
  ) -> Image | None:
    """Returns the image of the first name that a file has, None for none.

    Args:
      names: relative paths or mere names, the most certain first.
      size: (height, width) that the labels give; the file's own counts if None.
      turned: whether the tool turns images by their EXIF orientation. Training
        does not, so that such images are left out.
      split: of the image.
      parts: see `find`.

    Raises:
      ValueError: another name led to the same file.
    """
    path = next(filter(None, (self.find(n, parts) for n in names)), None)
    if path is None:
      self.missing.append(names[0])
      self.left_out["images not found"] += 1
      return None
    earlier = self._names.setdefault(path.resolve(), names[0])
    if earlier != names[0]:
      raise ValueError(
        f"{earlier} and {names[0]} both lead to {path}: give the folder that "
        "both are below, --images"
      )
    header = _read_header(path)
    if header is None and size is None:
      self.left_out["images that cannot be read"] += 1
      return None
    if turned and header is not None and header[1]:
      self.left_out["images turned by EXIF (save them upright)"] += 1
      return None
    if size is None and header is not None:
      size = header[0]
    return Image(path, size, split=split)

  def find(self, name: str, parts: int = 1) -> pathlib.Path | None:
    """Returns the file of a name, None where there is none or several are.

    Where the whole name is not there, so many of its last parts count.
    """
    name = name.replace("\\", "/").strip()
    if not name:
      return None
    for folder in self.folders:
      if (folder / name).is_file():
        return folder / name
    own = pathlib.PurePosixPath(name).parts
    candidates = self._index().get(own[-1].lower(), [])
    agreeing = [_agreeing_parts(path.parts, own) for path in candidates]
    best = max(agreeing, default=0)
    if agreeing.count(best) != 1 or best < min(parts, len(own)):
      return None
    return candidates[agreeing.index(best)]

  def check_found(self, source: str | os.PathLike[str], number: int) -> None:
    """Raises ValueError if images are missing and `number`, of found, is 0."""
    if self.missing and not number:
      folders = ", ".join(map(str, self.folders))
      raise ValueError(
        f"{source}: none of its {len(self.missing)} images is there, such as "
        f"{self.missing[0]}; looked in {folders}: give their folder, --images"
      )

  def _index(self) -> dict[str, list[pathlib.Path]]:
    if self._by_name is None:
      paths = {
        path.resolve(): path
        for folder in self.folders
        for path in list_images(folder)
      }
      self._by_name = {}
      for path in paths.values():
        self._by_name.setdefault(path.name.lower(), []).append(path)
    return self._by_name


def list_images(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the image files below a folder, sorted by their paths."""
  return sorted(
    pathlib.Path(root, name)
    for root, _, names in os.walk(folder)
    for name in names
    if pathlib.PurePath(name).suffix.lower() in SUFFIXES
  )


def _agreeing_parts(path: tuple[str, ...], name: tuple[str, ...]) -> int:
  """How many parts two paths share, counted from their ends."""
  number = 0
  for a, b in zip(reversed(path), reversed(name), strict=False):
    if a.lower() != b.lower():
      break
    number += 1
  return number


def _read_header(path: pathlib.Path) -> tuple[Size, bool] | None:
  """Size, and whether EXIF turns the image; None if it cannot be read."""
  try:
    with photo.decoding(path), PIL.Image.open(path) as image:
      turned = image.getexif().get(_ORIENTATION, 1) not in (0, 1)
      return image.size[::-1], turned
  except (OSError, ValueError):
    return None

"""Image files by the names that labels give them.

Tools write names relative to a project that has moved since, with the
separators of another system, or with a prefix of their own. A file is looked
for by its whole name below each folder, then anywhere below them, where one of
the two paths ends as the other: what is before it is another machine's, and a
name without a suffix is a file with any (CVAT's frames of videos). Other
files of the same last part are guesses, which are warned of: those that agree
in the folder too, or in the last part alone where the images of all folders lie
in one. A guess that fits several files is none, nor is a file in the folder of
another split. Two names that lead to one file are an error.
"""

import contextlib
import itertools
import os
import pathlib
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from darkjax.convert import splits
from darkjax.convert.labels import Frame, Image, LeftOut, Size
from darkjax.data.images import encoded, spelling

# Folders that say nothing about their images.
_PLAIN = ("images", "imgs", "photos", "frames")


class _File(NamedTuple):
  path: pathlib.Path
  below: tuple[str, ...]  # parts of the path below the folder, in lower case
  folder: pathlib.Path  # the first that it is below


class ImageFiles:
  """Finds images below some folders, and counts those that cannot be used."""

  def __init__(
    self,
    folders: Iterable[str | os.PathLike[str]],
    left_out: LeftOut,
    split: str = "",
  ):
    """Takes the folders, the counts so far, and the split of all images."""
    self.folders = list(dict.fromkeys(map(pathlib.Path, folders)))
    self.missing: list[str] = []  # names
    self.left_out = left_out
    self.split = split
    self._names: dict[pathlib.Path, str] = {}  # that led to a file
    self._by_name: dict[str, list[_File]] | None = None
    # Folders with images below each folder, by their parts.
    self._inner: dict[pathlib.Path, set[tuple[str, ...]]] = {}

  def open(
    self,
    *names: str,
    size: Size | None = None,
    turned: bool = True,
    split: str = "",
    embedded: Frame | None = None,
  ) -> Image | None:
    """Returns the image of the first name that a file has, None for none.

    Args:
      names: relative paths or mere names, the most certain first.
      size: (height, width) that the labels give; the file's own counts if None.
      turned: whether the tool turns images by their EXIF orientation. Training
        does not, so that such images are left out.
      split: of the image.
      embedded: the image inside the labels, for where no file is.

    Raises:
      ValueError: another name led to the same file.
    """
    path = self.find(*names, split=split or self.split, guess=embedded is None)
    if path is None and embedded is not None:
      return Image(embedded, size, split=split)
    if path is None:
      self.missing.append(names[0])
      self.left_out.add("images not found", names[0])
      return None
    self.claim(path, names[0])
    header = None
    with contextlib.suppress(OSError, ValueError):
      header = encoded.read_header(path)
    if header is None and size is None:
      self.left_out["images that cannot be read"] += 1
      return None
    if turned and header is not None and header.orientation != 1:
      self.left_out["images turned by EXIF (save them upright)"] += 1
      return None
    if size is None and header is not None:
      size = header.stored_size
    return Image(path, size, split=split)

  def find(
    self, *names: str, split: str = "", guess: bool = True
  ) -> pathlib.Path | None:
    """Returns the file of the first name that has one, None for none.

    A guess, for any of the names, comes last.
    """
    names = tuple(n.replace("\\", "/").strip() for n in names)
    guesses = {}
    for name in filter(None, names):
      for folder in self.folders:
        if (folder / name).is_file():
          return folder / name
      path, is_certain = self._nearest(name, split)
      if path is not None and is_certain:
        return path
      if path is not None:
        guesses[name] = path
    if not guesses or not guess:
      return None
    name, path = next(iter(guesses.items()))
    self.left_out.guessed[name] = str(path)
    return path

  def _nearest(self, name: str, split: str) -> tuple[pathlib.Path | None, bool]:
    """The file that agrees with a name furthest from the end, if one does.

    With whether it is certain.
    """
    own = _parts(name)
    split = splits.of_folders(own[:-1]) or split
    files = [
      file
      for file in self._index().get(own[-1], ())
      if split not in splits.USUAL
      or splits.of_folders(file.below[:-1]) in ("", split)
    ]
    has_suffix = spelling.has_suffix(name)
    paths = [f.path if has_suffix else f.path.with_suffix("") for f in files]
    agreeing = [_agreeing_parts(_parts(str(path)), own) for path in paths]
    best = max(agreeing, default=0)
    if not best or agreeing.count(best) != 1:
      return None, False
    file = files[agreeing.index(best)]
    if best == len(own) or 1 < len(file.below) <= best:
      return file.path, True
    if best == 1 and not self._is_flat(file.folder):
      return None, False
    return file.path, False

  def _is_flat(self, folder: pathlib.Path) -> bool:
    """Whether the folder's images lie in it or all in one for images."""
    inner = self._inner[folder]
    return len(inner) == 1 and inner <= {(), *((name,) for name in _PLAIN)}

  def claim(self, path: pathlib.Path, name: str) -> None:
    """Notes the name of a file; raises ValueError if it has another."""
    earlier = self._names.setdefault(path.resolve(), name)
    if earlier != name:
      raise ValueError(
        f"{earlier} and {name} both lead to {path}: give the folder that both "
        "are below, --images"
      )

  def check_found(self, source: str | os.PathLike[str], number: int) -> None:
    """Raises ValueError if images are missing and `number`, of found, is 0."""
    if self.missing and not number:
      folders = ", ".join(map(str, self.folders))
      raise ValueError(
        f"{source}: none of its {len(self.missing)} images is there, such as "
        f"{self.missing[0]}; looked in {folders}: give their folder, --images"
      )

  def _index(self) -> dict[str, list[_File]]:
    if self._by_name is None:
      found: dict[pathlib.Path, _File] = {}
      for folder in self.folders:
        for path in list_images(folder):
          below = _parts(path.relative_to(folder).as_posix())
          found.setdefault(path.resolve(), _File(path, below, folder))
      self._by_name = {}
      for file in found.values():
        self._inner.setdefault(file.folder, set()).add(file.below[:-1])
        name = file.below[-1]
        for key in (name, pathlib.PurePath(name).stem):
          self._by_name.setdefault(key, []).append(file)
    return self._by_name


def list_images(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the image files below a folder, sorted by their paths."""
  return sorted(
    pathlib.Path(root, name)
    for root, _, names in os.walk(folder)
    for name in names
    if spelling.has_suffix(name)
  )


def _parts(name: str) -> tuple[str, ...]:
  """The parts of a path in lower case, without those that lead upwards."""
  parts = posixpath.normpath(name.lower().replace("\\", "/")).split("/")
  return tuple(part for part in parts if part not in ("", "..")) or ("",)


def _agreeing_parts(path: tuple[str, ...], name: tuple[str, ...]) -> int:
  """How many parts two paths share, counted from their ends."""
  pairs = zip(reversed(path), reversed(name), strict=False)
  return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])

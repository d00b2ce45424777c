r"""Image files found by the names that tools write.

A json may name `photos/im 1.jpg` as `photos\im%201.JPG`, `./im 1.jpg`, by its
URL, by its place on another machine, or as `im 1`. `FileNames` finds the file
where only one can be meant, and otherwise shows the nearest name.
"""

import bisect
import collections
import difflib
import functools
import itertools
import logging
import os
import pathlib
import threading
from collections.abc import Callable, Iterable, Sequence

from darkjax.data.images import spelling

_LOG = logging.getLogger(__name__)

_MOST_LISTED = 2_000_000  # files of a folder; of more only exact names count
_COMPARED = 500  # names that are compared to find the nearest


class FileNames:
  """Names to find other spellings of them: file names of a json, or paths."""

  def __init__(self, names: Iterable[str]):
    self._exact = dict.fromkeys(names)

  def find(self, name: str) -> str | None:
    """Returns the one of the names that another spelling means, or None.

    In this order: the name itself; with / for Windows' separators and without
    ./; percent-decoded, or the path of a URL (or of Label Studio's ?d=);
    Unicode in another normal form; the longest tail in common with one name, in
    the end the file name without folders; regardless of case; without suffix,
    where one of the two has none; as a number with other leading zeros. A step
    that fits several names ends the search.
    """
    candidates = self.find_all(name)
    return candidates[0] if len(candidates) == 1 else None

  def find_all(self, name: str) -> Sequence[str]:
    """Returns the names that the first fitting step of `find` gives."""
    spelled = self._find_spelling(name)
    return self._guess(name) if spelled is None else [spelled]

  def nearest(self, name: str) -> str | None:
    """Returns the most similar name, whichever that is; None without names."""
    base = spelling.base(spelling.casefold(name))
    alike = self._bases.get(base)
    if alike:
      return alike[0]
    bases = self._sorted_bases
    if len(bases) > _COMPARED:
      place = bisect.bisect(bases, base)
      start = max(place - _COMPARED // 2, 0)
      bases = bases[start : start + _COMPARED]
    if not bases:
      return None

    def likeness(other: str) -> tuple[float, int]:
      matcher = difflib.SequenceMatcher(None, base, other, autojunk=False)
      return matcher.ratio(), _shared_start(base, other)

    alike = self._bases[max(bases, key=likeness)][:_COMPARED]
    return max(alike, key=lambda other: _shared_start(name, other))

  def hint(self, name: str) -> str:
    """Returns what a message says about a name that is not found."""
    alike = self._bases.get(spelling.base(spelling.casefold(name)), [])
    if len(alike) > 1:
      return f"it may be any of {', '.join(alike[:3])}"
    nearest = self.nearest(name)
    return f"the nearest name is {nearest}" if nearest else "there are no files"

  def _exists(self, name: str) -> bool:
    return name in self._exact

  def _list(self) -> Sequence[str]:
    return list(self._exact)

  def _find_spelling(self, name: str) -> str | None:
    """What needs no list of the names, nor any guess."""
    if name and self._exists(name):
      return name
    decoded = spelling.decode(name)
    for form in (
      spelling.with_slashes(name),
      decoded,
      *spelling.normal_forms(decoded),
    ):
      if form and self._exists(form):
        return form
    return None

  def _guess(self, name: str) -> Sequence[str]:
    for tails in (self._tails, self._folded_tails):
      candidates = tails.find(name)
      if candidates:
        return candidates
    stem = spelling.stem(name)
    for stems, key in (
      (self._stems, stem),
      (self._numbers, spelling.number(stem)),
    ):
      candidates = [
        candidate
        for candidate in stems.get(key, ())
        if not (spelling.has_suffix(name) and spelling.has_suffix(candidate))
      ]
      if key and candidates:
        return candidates
    return []

  @functools.cached_property
  def _listed(self) -> Sequence[str]:
    return self._list()

  @functools.cached_property
  def _tails(self) -> "_Tails":
    return _Tails(self._listed, spelling.compose)

  @functools.cached_property
  def _folded_tails(self) -> "_Tails":
    return _Tails(self._listed, spelling.casefold)

  @functools.cached_property
  def _bases(self) -> dict[str, list[str]]:
    return _group(
      self._listed, lambda name: spelling.base(spelling.casefold(name))
    )

  @functools.cached_property
  def _sorted_bases(self) -> list[str]:
    return sorted(self._bases)

  @functools.cached_property
  def _stems(self) -> dict[str, list[str]]:
    return _group(self._listed, spelling.stem)

  @functools.cached_property
  def _numbers(self) -> dict[str, list[str]]:
    return _group(
      self._listed, lambda name: spelling.number(spelling.stem(name))
    )


class FolderNames(FileNames):
  """The files of a folder and its subfolders, listed when a name is guessed."""

  def __init__(
    self, folder: str | os.PathLike[str], wanted: Iterable[str] = ()
  ):
    """Takes a folder, and the names that will be asked for.

    A file is not guessed for a name where it is as like another of the
    `wanted`: with a file val/1.jpg, train/1.jpg is missing.
    """
    super().__init__(())
    self.folder = pathlib.Path(folder)
    self._wanted = FileNames(wanted)
    self.guessed: dict[str, str] = {}  # what was found, by the name asked for
    self._lock = threading.Lock()  # so that one thread lists the folder

  def find(self, name: str) -> str | None:
    """Returns the path below the folder that a name means, or None."""
    spelled = self._find_spelling(name)
    if spelled is not None:
      return spelled
    with self._lock:
      candidates = self._guess(name)
      if len(candidates) != 1:
        return None
      if self._wanted._exact and self._wanted.find(candidates[0]) != name:
        return None
      self.guessed[name] = candidates[0]
    return candidates[0]

  def path(self, name: str) -> pathlib.Path:
    """Returns the path of the file that a name means.

    Raises:
      FileNotFoundError: there is none, or several could be meant.
    """
    found = self.find(name)
    if found is not None:
      return self.folder / found
    with self._lock:
      hint = self.hint(name)
    raise FileNotFoundError(
      f"image {self.folder / name} cannot be read (no such file; {hint}); "
      "check the folder of images and the json's file_name; `python -m "
      "darkjax.data.check JSON --images=FOLDER` lists every file that is "
      "missing"
    )

  def _exists(self, name: str) -> bool:
    try:
      return (self.folder / name).is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
      return False

  def _list(self) -> Sequence[str]:
    names: list[str] = []
    for parent, folders, files in os.walk(self.folder):
      folders[:] = sorted(f for f in folders if not f.startswith("."))
      below = pathlib.Path(parent).relative_to(self.folder)
      names += [(below / f).as_posix() for f in files if not f.startswith(".")]
      if len(names) > _MOST_LISTED:
        _LOG.warning("%s has too many files to list", self.folder)
        return []
    return sorted(names)


class _Tails:
  """Names by the last 1, 2, ... parts of their paths."""

  def __init__(self, names: Sequence[str], key: Callable[[str], str]):
    self._names = names
    self._key = key
    self._levels: list[dict[str, list[str]]] = []

  def find(self, name: str) -> list[str]:
    """Returns the names with which a name has the longest tail in common."""
    parts = self._key(name).strip("/").split("/")
    best: list[str] = []
    for count in range(1, len(parts) + 1):
      candidates = self._level(count).get("/".join(parts[-count:]), [])
      if not candidates:
        return best
      best = candidates
      if len(best) == 1:
        return best
    whole = [n for n in best if self._key(n).strip("/") == "/".join(parts)]
    return whole or best

  def _level(self, count: int) -> dict[str, list[str]]:
    if len(self._levels) < count:  # levels are asked for one by one
      level = _group(self._names, lambda n: _tail(self._key(n), count))
      self._levels.append(level)
    return self._levels[count - 1]


def _group(
  names: Iterable[str], key: Callable[[str], str]
) -> dict[str, list[str]]:
  groups = collections.defaultdict(list)
  for name in names:
    groups[key(name)].append(name)
  return dict(groups)


def _tail(name: str, count: int) -> str:
  """The last parts of a path; "" where it has fewer."""
  parts = name.strip("/").split("/")
  return "/".join(parts[-count:]) if len(parts) >= count else ""


def _shared_start(one: str, other: str) -> int:
  """How many characters two names begin with alike."""
  pairs = zip(one, other, strict=False)
  return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])

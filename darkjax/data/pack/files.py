"""Packs on disk: folders with the canvases and labels of a data set.

  pack.json     format, version, description, and digests of the next two
  people.npz    the table of people (people_table.py)
  canvases.npz  the layout of their canvases (layout.py)
  pages.npy     [M, 1024, 3] uint8, all pixels; read as a memory map
  labels.json   a copy of the labels, for metrics

A pack is read without TensorFlow and without the images.
"""

import dataclasses
import itertools
import json
import pathlib
import shutil
import urllib.parse
import zlib
from collections.abc import Iterable, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.pack.layout import PAGE_BYTES, Layout
from darkjax.data.people_table import People
from darkjax.runtime import files
from darkjax.runtime.json_file import read_json

FORMAT = "darkjax canvases"
VERSION = 2
_TABLES = ("people.npz", "canvases.npz")
_FIELDS = (
  *("box_source", "labels_digest", "boxes_digest"),
  *("width", "num_bytes", "upright"),
)
_PACK_AGAIN = "pack the data set again: python -m darkjax.data.pack"


@dataclasses.dataclass(frozen=True, eq=False)
class Pack:
  """A packed data set; see also `PreparedDataset`."""

  folder: pathlib.Path
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...]
  people: People
  layout: Layout  # of their canvases
  pages: np.ndarray  # [M, PAGE, 3] uint8, a memory map
  box_source: str
  labels_digest: str
  boxes_digest: str  # of the file of detections, or ""
  width: float  # canvas px across the box of a person who was shrunk
  num_bytes: int  # of the records it was made from
  upright: bool  # images were turned as EXIF says
  first_page: int = 0  # on the devices, see `assign_pages`

  @property
  def annotations(self) -> pathlib.Path:
    """The pack's copy of the labels."""
    return self.folder / "labels.json"

  def check_labels(self) -> None:
    """Raises a ValueError if the copy of the labels was edited or is gone."""
    files.check_labels(self.annotations, self.labels_digest)

  def rows(self, index: np.ndarray) -> "Pack":
    """Returns the pack with the people at `index` alone and all pages."""
    return dataclasses.replace(
      self, people=self.people.rows(index), layout=self.layout.rows(index)
    )

  def canvas(self, i: int) -> np.ndarray:
    """Returns the canvas [h, w, 3] of the person at position i."""
    height, width = self.layout.size[i]
    first = self.layout.first_page[i]
    pages = self.pages[first : first + self.layout.pages[i]]
    return pages.reshape(-1, 3)[: height * width].reshape(height, width, 3)

  def check_pixels(self) -> None:
    """Raises a ValueError if canvases do not have their checksums."""
    with futures.ThreadPoolExecutor() as pool:
      checksums = [*pool.map(self._checksum, range(len(self.people)))]
    wrong = np.flatnonzero(checksums != self.layout.checksum)
    if len(wrong):
      raise _damaged(self.folder, f"pages.npy: {len(wrong)} canvases changed")

  def _checksum(self, i: int) -> int:
    return zlib.crc32(np.ascontiguousarray(self.canvas(i)).data)


def assign_pages(packs: Sequence[Pack]) -> list[Pack]:
  """Returns packs whose pages follow one another; of one folder, the same."""
  lengths = {pack.folder: len(pack.pages) for pack in packs}
  starts = itertools.accumulate(lengths.values(), initial=0)
  first = dict(zip(lengths, starts, strict=False))
  return [dataclasses.replace(p, first_page=first[p.folder]) for p in packs]


def folder_of(
  root: str | pathlib.Path,
  annotations: str,
  images: str,
  boxes: str = "gt",
  *,
  category: str = "",
) -> pathlib.Path:
  """Returns the folder, in `root`, of the pack of a configuration's data set.

  `boxes` is "gt", or the file of detections.

  >>> folder_of("packs", "lsp/annotations/train.json", "lsp/images").name
  'lsp+annotations+train.json@lsp+images'
  >>> folder_of("packs", "train.json", "photos", category="big cat").name
  'train.json@photos@category=big%20cat'
  """
  paths = (
    [annotations, images] if boxes == "gt" else [annotations, images, boxes]
  )
  names = [_quote(pathlib.PurePath(path).as_posix()) for path in paths]
  if category:
    names.append(f"category={_quote(category)}")
  return pathlib.Path(root) / "@".join(names)


def _quote(name: str) -> str:
  return urllib.parse.quote(name, safe="").replace("%2F", "+")


def read(folder: pathlib.Path) -> Pack:
  """Opens a pack; pixels are read when they are used.

  Raises:
    FileNotFoundError: there is none.
    ValueError: something else, another version's, or damaged.
  """
  description = _read_description(folder)
  try:
    for name in _TABLES:
      if files.digest(folder / name) != description["digests"][name]:
        raise ValueError(f"{name} changed")
    pages = np.load(folder / "pages.npy", mmap_mode="r", allow_pickle=False)
    pack = Pack(
      folder=folder,
      skeleton=skeletons.from_json(description["skeleton"]),
      category_ids=tuple(description["category_ids"]),
      people=People(**_arrays(folder / "people.npz")),
      layout=Layout(**_arrays(folder / "canvases.npz")),
      pages=pages,
      **{name: description[name] for name in _FIELDS},
    )
    if pages.dtype != np.uint8 or pages.shape != pack.layout.shape:
      raise ValueError(f"pages.npy is {pages.dtype}{list(pages.shape)}")
  except (EOFError, KeyError, OSError, TypeError, ValueError) as error:
    raise _damaged(folder, error) from error
  return pack


def _read_description(folder: pathlib.Path) -> dict[str, Any]:
  """The content of pack.json, of a format and version that can be read."""
  path = folder / "pack.json"
  if not path.is_file():
    raise FileNotFoundError(
      f"no packed data set in {folder} (no pack.json); "
      "python -m darkjax.data.pack with the same --config writes it"
    )
  try:
    content = read_json(path)
  except ValueError as error:
    raise _damaged(folder, error) from error
  content = content if isinstance(content, dict) else {}
  name, version = content.get("format"), content.get("version")
  if name != FORMAT:
    raise ValueError(
      f"{path} is of the format {name!r}, a packed data set's is {FORMAT!r}; "
      "give the folder that python -m darkjax.data.pack wrote"
    )
  if version != VERSION:
    raise ValueError(
      f"{folder} has version {version} of packs, this is version {VERSION}; "
      f"{_PACK_AGAIN}"
    )
  return content


def _damaged(folder: pathlib.Path, error) -> ValueError:
  return ValueError(
    f"the packed data set in {folder} is damaged ({error}); delete this folder "
    f"and {_PACK_AGAIN}"
  )


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
    return dict(arrays)


def write(
  folder: pathlib.Path,
  canvases: Iterable[np.ndarray],
  dataset: Any,
  layout: Layout,
  *,
  width: float,
  boxes_digest: str,
) -> None:
  """Writes a pack; replaces an old one when the new one is complete.

  One process at a time may do so (`files.locked`). Canvases are [h, w, 3] uint8
  of each person, in order; for width and boxes_digest see `Pack`.

  Raises:
    OSError: the disk is full.
    ValueError: the folder holds something else than a pack.
  """
  if folder.exists() and not (folder / "pack.json").is_file():
    raise ValueError(f"{folder} is there and is no pack; give another folder")
  part, old = (folder.with_name(f".{folder.name}.{s}") for s in ("part", "old"))
  for stale in (part, old):  # of a killed process
    shutil.rmtree(stale, ignore_errors=True)
  part.mkdir(parents=True)
  with files.explain_full_disk(part):
    checksum = _write_pages(part / "pages.npy", canvases, layout)
    layout = dataclasses.replace(layout, checksum=checksum)
    np.savez(part / "people.npz", **vars(dataset.people))
    np.savez(part / "canvases.npz", **vars(layout))
    shutil.copyfile(dataset.annotations, part / "labels.json")
    description = {
      "format": FORMAT,
      "version": VERSION,
      "annotations": dataset.annotations.name,
      "skeleton": dataset.skeleton.to_json(),
      "category_ids": dataset.category_ids,
      "box_source": dataset.box_source,
      "labels_digest": dataset.labels_digest,
      "boxes_digest": boxes_digest,
      "width": width,
      "num_bytes": dataset.num_bytes,
      "upright": dataset.upright,
      "digests": {name: files.digest(part / name) for name in _TABLES},
    }
    (part / "pack.json").write_text(json.dumps(description, indent=2))
  if folder.exists():
    folder.rename(old)
  part.rename(folder)
  shutil.rmtree(old, ignore_errors=True)


def _write_pages(path, canvases, layout: Layout) -> np.ndarray:
  """Writes the pixels one after the other; returns their checksums [N]."""
  needed = layout.shape[0] * PAGE_BYTES
  free = shutil.disk_usage(path.parent).free
  if free < needed:
    raise OSError(
      f"the pack needs {needed / 1e9:.2f} GB, {path.parent} has "
      f"{free / 1e9:.2f} GB free; make space, give another folder, or pack at "
      "a lower --resolution"
    )
  checksum = np.zeros(len(layout.size), np.uint32)
  with path.open("wb") as file:
    header = {"descr": "|u1", "fortran_order": False, "shape": layout.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for i, canvas in enumerate(canvases):
      canvas = np.ascontiguousarray(canvas)
      checksum[i] = zlib.crc32(canvas.data)
      file.write(canvas)
      file.write(bytes(-canvas.nbytes % PAGE_BYTES))
  return checksum

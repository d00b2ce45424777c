"""Packs on disk: the canvases and labels of a data set in a folder.

  pack.json     format, version, what was packed, and digests of the next two
  people.npz    the table of people (table.py)
  canvases.npz  where their canvases lie (canvases.py)
  pages.npy     [M, 1024, 3] uint8, all pixels; read as a memory map
  labels.json   a copy of the labels, for metrics

NumPy only: a pack is read where neither TensorFlow nor the images are. A folder
is written beside its place and moved there when it is whole.
"""

import dataclasses
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
from darkjax.data.pack.layout import PAGE, PAGE_BYTES, Layout
from darkjax.data.people_table import People
from darkjax.runtime import files
from darkjax.runtime import files as digests

FORMAT = "darkjax canvases"
VERSION = 1
_TABLES = ("people.npz", "canvases.npz")
_PACK_AGAIN = "pack the data set again: python -m darkjax.data.pack"


@dataclasses.dataclass(frozen=True, eq=False)
class Pack:
  """A packed data set.

  Attributes:
    folder: it lies in.
    skeleton: the keypoints.
    category_ids: of the people in the labels; None, for all with keypoints, in
      packs from before it was written.
    people: as in the data set (`source.Source`), in its order.
    layout: of their canvases.
    pages: [M, PAGE, 3] uint8, a memory map.
    box_source: where the boxes come from: "gt_boxes" | "detections".
    labels_digest: of the json that was packed.
    boxes_digest: of the file of detections that was packed, or "".
    width: canvas px across the box of a person who was shrunk.
  """

  folder: pathlib.Path
  skeleton: skeletons.Skeleton
  category_ids: tuple[Any, ...] | None
  people: People
  layout: Layout
  pages: np.ndarray
  box_source: str
  labels_digest: str
  boxes_digest: str
  width: float

  @property
  def annotations(self) -> pathlib.Path:
    """The pack's copy of the labels."""
    return self.folder / "labels.json"

  def check_labels(self) -> None:
    """Refuses to go on with other labels than were packed.

    Raises:
      ValueError: the copy was edited, or is gone.
    """
    digests.check_labels(self.annotations, self.labels_digest)

  def rows(self, index: np.ndarray) -> "Pack":
    """The pack with the people at `index` alone; the pages stay."""
    return dataclasses.replace(
      self, people=self.people.rows(index), layout=self.layout.rows(index)
    )

  def canvas(self, i: int) -> np.ndarray:
    """The canvas [h, w, 3] of the person at position i."""
    height, width = self.layout.size[i]
    first = self.layout.first_page[i]
    pages = self.pages[first : first + self.layout.pages[i]]
    return pages.reshape(-1, 3)[: height * width].reshape(height, width, 3)

  def check_pixels(self) -> None:
    """Reads all canvases and compares them with their checksums.

    Raises:
      ValueError: some are damaged; names the folder and an annotation.
    """
    with futures.ThreadPoolExecutor() as pool:
      found = pool.map(self._checksum, range(len(self.people)))
      found = np.fromiter(found, np.uint32, len(self.people))
    wrong = np.flatnonzero(found != self.layout.checksum)
    if len(wrong):
      raise _damaged(
        self.folder,
        f"pages.npy: {len(wrong)} canvases changed, the first that of "
        f"annotation {self.people.annotation_id[wrong[0]]}",
      )

  def _checksum(self, i: int) -> int:
    return zlib.crc32(np.ascontiguousarray(self.canvas(i)))


def first_pages(packs: Sequence[Pack]) -> list[int]:
  """Returns where each pack's pages begin, one pack after the other."""
  counts = [len(pack.pages) for pack in packs]
  return [sum(counts[:i]) for i in range(len(counts))]


def folder_of(
  root: str | pathlib.Path,
  annotations: str,
  boxes: str = "gt",
  *,
  category: str = "",
) -> pathlib.Path:
  """Where the pack of a data set lies.

  Args:
    root: folder of all packs of a configuration.
    annotations: json of the labels as the configuration names it.
    boxes: "gt", or the file of detections.
    category: the one that the configuration names, or "".

  >>> folder_of("packs", "lsp/annotations/train.json").name
  'lsp_annotations_train'
  >>> folder_of("packs", "train.json", category="big cat").name
  'train@big%20cat'
  """
  named = [annotations] if boxes == "gt" else [annotations, boxes]
  paths = [pathlib.PurePath(name).with_suffix("") for name in named]
  parts = [part for path in paths for part in path.parts if part != path.anchor]
  chosen = f"@{urllib.parse.quote(category, safe='')}" if category else ""
  return pathlib.Path(root) / ("_".join(parts) + chosen)


def read(folder: pathlib.Path) -> Pack:
  """Opens a pack; pixels are read when they are used.

  Raises:
    FileNotFoundError: there is none.
    ValueError: something else, another version's, or damaged.
  """
  facts = _facts(folder)
  try:
    ids = facts.get("category_ids")
    for name in _TABLES:
      if digests.digest(folder / name) != facts["digests"][name]:
        raise ValueError(f"{name} changed")
    pages = np.load(folder / "pages.npy", mmap_mode="r", allow_pickle=False)
    pack = Pack(
      folder=folder,
      skeleton=skeletons.from_json(facts["skeleton"]),
      category_ids=None if ids is None else tuple(ids),
      people=People(**_arrays(folder / "people.npz")),
      layout=Layout(**_arrays(folder / "canvases.npz")),
      pages=pages,
      box_source=facts["box_source"],
      labels_digest=facts["labels_digest"],
      boxes_digest=facts["boxes_digest"],
      width=facts["width"],
    )
    if pages.dtype != np.uint8 or pages.shape != _shape(pack.layout):
      raise ValueError(f"pages.npy is {pages.dtype}{list(pages.shape)}")
  except (EOFError, KeyError, OSError, TypeError, ValueError) as error:
    raise _damaged(folder, error) from error
  return pack


def _facts(folder: pathlib.Path) -> dict[str, Any]:
  """What pack.json says, of a format and version that is known here."""
  path = folder / "pack.json"
  if not path.is_file():
    raise FileNotFoundError(
      f"no packed data set in {folder} (no pack.json); "
      "python -m darkjax.data.pack with the same --config writes it"
    )
  try:
    facts = json.loads(path.read_bytes())
  except ValueError as error:
    raise _damaged(folder, error) from error
  found = facts.get("format") if isinstance(facts, dict) else None
  if found != FORMAT:
    raise ValueError(
      f"{path} is of the format {found!r}, a packed data set's is {FORMAT!r}; "
      "give the folder that python -m darkjax.data.pack wrote"
    )
  if facts.get("version") != VERSION:
    raise ValueError(
      f"{folder} has version {facts.get('version')} of packs, this is version "
      f"{VERSION}; {_PACK_AGAIN}"
    )
  return facts


def _damaged(folder: pathlib.Path, error) -> ValueError:
  return ValueError(
    f"the packed data set in {folder} is damaged ({error}); delete this folder "
    f"and {_PACK_AGAIN}"
  )


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
    return dict(arrays)


def _shape(layout: Layout) -> tuple[int, int, int]:
  return int(layout.pages.sum()), PAGE, 3


def write(
  folder: pathlib.Path,
  canvases: Iterable[np.ndarray],
  *,
  people: People,
  layout: Layout,
  annotations: pathlib.Path,
  facts: dict[str, Any],
) -> None:
  """Writes a pack; a pack that is there is replaced when the new one is whole.

  Args:
    folder: of the pack; one process at a time may write it (`lock.locked`).
    canvases: [h, w, 3] uint8 of each person, in order, of the layout's sizes.
    people: of the data set.
    layout: from `canvases.lay_out`.
    annotations: the labels; they are copied.
    facts: for pack.json: skeleton, category_ids, box_source, labels_digest,
      boxes_digest, width, and what else is worth knowing.

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
  with files.named_if_full(part):
    checksum = _write_pages(part / "pages.npy", canvases, layout)
    layout = dataclasses.replace(layout, checksum=checksum)
    np.savez(part / "people.npz", **vars(people))
    np.savez(part / "canvases.npz", **vars(layout))
    shutil.copyfile(annotations, part / "labels.json")
    facts |= {
      "format": FORMAT,
      "version": VERSION,
      "digests": {name: digests.digest(part / name) for name in _TABLES},
    }
    (part / "pack.json").write_text(json.dumps(facts, indent=2))
  if folder.exists():
    folder.rename(old)
  part.rename(folder)
  shutil.rmtree(old, ignore_errors=True)


def _write_pages(path, canvases, layout: Layout) -> np.ndarray:
  """Writes the pixels one after the other; gives their checksums [N]."""
  shape = _shape(layout)
  needed = shape[0] * PAGE_BYTES
  free = shutil.disk_usage(path.parent).free
  if free < needed:
    raise OSError(
      f"the pack needs {needed / 1e9:.2f} GB, {path.parent} has "
      f"{free / 1e9:.2f} GB free; make space, give another folder, or pack at "
      "a lower --resolution"
    )
  checksum = np.zeros(len(layout.size), np.uint32)
  with path.open("wb") as file:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for i, canvas in enumerate(canvases):
      canvas = np.ascontiguousarray(canvas)
      checksum[i] = zlib.crc32(canvas)
      file.write(canvas)
      file.write(bytes(-canvas.nbytes % PAGE_BYTES))
  return checksum

"""The format of a labelling project, by its content."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from darkjax.convert import extras
from darkjax.convert.formats import (
  coco,
  cvat,
  deeplabcut,
  keypoint_table,
  label_studio,
  labelme,
  lightning_pose,
  pandas_h5,
  sleap,
  yolo,
  yolo_config,
)
from darkjax.convert.labels import Image, Labels, is_converted
from darkjax.convert.project import Project
from darkjax.runtime import errors
from darkjax.runtime.json_file import read_json

# Of each format its reader, and how it is told to whoever asks for it.
FORMATS: dict[str, tuple[Callable[[Project], list[Image]], str]] = {
  "deeplabcut": (
    deeplabcut.read,
    "DeepLabCut (a project's folder, CollectedData*.csv or .h5)",
  ),
  "sleap": (sleap.read, "SLEAP (.slp)"),
  "lightning-pose": (
    lightning_pose.read,
    "lightning-pose (CollectedData*.csv)",
  ),
  "label-studio": (label_studio.read, "Label Studio (json)"),
  "yolo": (yolo.read, "YOLO-pose (data.yaml)"),
  "coco": (coco.read, "COCO (json)"),
  "cvat": (cvat.read, "CVAT (annotations.xml)"),
  "labelme": (labelme.read, "labelme (json)"),
}
_KNOWN = ", ".join(text for _, text in FORMATS.values())
_FAILURES = (
  *(ArithmeticError, AttributeError, LookupError, OSError, TypeError),
  ValueError,
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def read(
  source: pathlib.Path,
  *,
  kind: str | None = None,
  images: Sequence[pathlib.Path] = (),
  keypoints: Sequence[str] = (),
) -> tuple[str, Labels]:
  """Reads a project.

  Args:
    source: a file or a folder.
    kind: its format; None to recognise it.
    images: further folders to look for images in.
    keypoints: names of all keypoints in their order, for formats without one.

  Returns:
    The format and the labels.

  Raises:
    FileNotFoundError: no such file or folder.
    ImportError: a package of the extra `convert` is missing.
    ValueError: the format is not known, or the file is damaged.
  """
  if not source.exists():
    raise FileNotFoundError(f"no file or folder {source}; known: {_KNOWN}")
  path = source
  try:
    if kind is None:
      kind, path = recognise(source)
    else:
      path = _inside(source, kind)
    reader, _ = FORMATS[kind]
    project = Project(path, images, keypoints)
    labels = Labels(reader(project), project.left_out)
  except _FAILURES as error:
    if errors.is_user_error(error):
      raise
    # A file of another program, or one edited by hand, fails in any way.
    raise ValueError(
      f"{path}: not as {kind or 'any known tool'} writes it "
      f"({type(error).__name__}: {error})"
    ) from error
  labels.drop_empty()
  return kind, labels


def recognise(source: pathlib.Path) -> tuple[str, pathlib.Path]:
  """Returns the format of a file or folder, and the file or folder to read.

  Raises:
    ValueError: none of those that are known.
  """
  kind = _of_folder(source) if source.is_dir() else _of_file(source)
  if kind is None:
    hint = keypoint_table.describe(source) if source.is_file() else ""
    if source.is_file() and _starts_with(source, _ZIP):
      hint = " (an archive: unpack it first)"
    archive = next(source.glob("*.zip"), None)  # of a folder
    if archive is not None:
      hint = f" (it holds an archive, {archive.name}: unpack it first)"
    if source.is_dir() and (source / "labels").is_dir():
      hint = " (a YOLO folder needs its data.yaml)"
    raise ValueError(
      f"{source}: not recognised{hint}; known: {_KNOWN}; or name it: --format"
    )
  return kind, _inside(source, kind)


def _inside(source: pathlib.Path, kind: str) -> pathlib.Path:
  """The file that stands for a folder; the folder itself for some formats."""
  if not source.is_dir():
    return source
  if kind == "yolo":
    return _only(_yolo_files(source), source / "data.yaml")
  if kind == "cvat":
    return _only(_cvat_files(source), source / "annotations.xml")
  if kind == "label-studio":
    listed = [path for kind, path in _jsons(source) if kind == "label-studio"]
    return _only(listed, source / "export.json")
  return source


def _only(paths: Sequence[pathlib.Path], absent: pathlib.Path) -> pathlib.Path:
  """The one of the files that each are a project, `absent` if none is there."""
  if len(paths) > 1:
    raise ValueError(
      f"{absent.parent} holds several projects: {', '.join(map(str, paths))}; "
      "convert one after the other, each to its own --out (training takes "
      "several), or move old exports elsewhere"
    )
  return paths[0] if paths else absent


def _of_folder(folder: pathlib.Path) -> str | None:
  config = folder / deeplabcut.CONFIG
  if config.is_file() and (folder / "labeled-data").is_dir():
    if deeplabcut.is_config(extras.read_yaml(config)):
      return "deeplabcut"
  if _yolo_files(folder):
    return "yolo"
  tables = lightning_pose.list_files(folder)
  if tables:
    return _of_table(tables[0])
  if deeplabcut.list_files(folder):
    return "deeplabcut"
  if any(folder.glob("*.slp")):
    return "sleap"
  if _cvat_files(folder):
    return "cvat"
  kinds = {kind for kind, _ in _jsons(folder) if kind != "coco"}
  if kinds:
    return min(kinds)
  return "coco" if coco.list_files(folder) else None


def _jsons(folder: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
  """Yields the jsons that are known, without those of earlier conversions."""
  for path in sorted(folder.rglob("*.json")):
    try:
      content = read_json(path)
    except ValueError:
      continue
    kind = None if is_converted(content) else _of_json(content)
    if kind is not None:
      yield kind, path
    if kind == "labelme":
      return  # a file for each image: all others are alike


def _cvat_files(folder: pathlib.Path) -> list[pathlib.Path]:
  return [p for p in sorted(folder.glob("*.xml")) if _of_file(p) == "cvat"]


def _yolo_files(folder: pathlib.Path) -> list[pathlib.Path]:
  paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
  return [p for p in paths if b"kpt_shape" in p.read_bytes()]


def _of_file(path: pathlib.Path) -> str | None:
  suffix = path.suffix.lower()
  if suffix in (".yaml", ".yml"):
    content = extras.read_yaml(path)
    if yolo_config.is_yolo(content):
      return "yolo"
    return "deeplabcut" if deeplabcut.is_config(content) else None
  if _starts_with(path, _HDF5):
    return _of_hdf5(path)
  if suffix == ".slp":
    return "sleap"
  if keypoint_table.head(path):
    return _of_table(path)
  start = path.read_bytes()[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
  if start.startswith(b"<"):
    return "cvat" if b"<annotations" in path.read_bytes()[:1000] else None
  if start.startswith((b"{", b"[")) or suffix == ".json":
    return _of_json(read_json(path))
  return None


def _of_json(content: Any) -> str | None:
  if labelme.is_labelme(content):
    return "labelme"
  if coco.is_coco(content):
    return "coco"
  if label_studio.is_label_studio(content) or label_studio.is_minimal(content):
    return "label-studio"
  return None


def _of_hdf5(path: pathlib.Path) -> str:
  h5py = extras.load("h5py", f"{path}: HDF5")
  with h5py.File(path) as file:
    return "deeplabcut" if pandas_h5.is_table(file) else "sleap"


def _of_table(path: pathlib.Path) -> str:
  """Tells the two tools apart, whose files have the same form."""
  several = any(row[0] == "individuals" for row in keypoint_table.head(path))
  in_project = deeplabcut.find_config(path) is not None
  in_folder = path.resolve().parent.parent.name == "labeled-data"
  if several or in_project or in_folder:
    return "deeplabcut"
  return "lightning-pose"


def _starts_with(path: pathlib.Path, start: bytes) -> bool:
  with path.open("rb") as file:
    return file.read(len(start)) == start

"""The data.yaml of a YOLO-pose folder: classes, keypoints, and its images."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from darkjax import skeletons
from darkjax.convert.image_files import list_images
from darkjax.convert.labels import Category
from darkjax.convert.project import Project
from darkjax.data.images import spelling


class Config(NamedTuple):
  """What the lines of the text files mean."""

  path: pathlib.Path
  categories: Mapping[int, Category]
  num_keypoints: int
  dimensions: int  # numbers of a keypoint


def is_yolo(content: Any) -> bool:
  """Returns whether the content of a yaml is of a YOLO-pose data set."""
  return isinstance(content, Mapping) and "kpt_shape" in content


def read_config(project: Project, content: Mapping[str, Any]) -> Config:
  """Returns the meaning of the text files, by the content of the yaml.

  The project's names of keypoints, if any, are in place of the yaml's.

  Raises:
    ValueError: a field that contradicts another.
  """
  source, shape = project.source, content["kpt_shape"]
  if (
    not isinstance(shape, list)
    or len(shape) != 2
    or not all(isinstance(n, int) and n > 0 for n in shape)
    or shape[1] not in (2, 3)
  ):
    raise ValueError(
      f"{source}: kpt_shape is [K, 2] or [K, 3], such as [17, 3], got {shape!r}"
    )
  num_keypoints, dimensions = shape
  listed = content.get("names") or {0: "person"}
  classes = dict(enumerate(listed)) if isinstance(listed, list) else listed
  pairs = _flip_pairs(source, content.get("flip_idx"), num_keypoints)
  notes: list[str] = []
  categories = {}
  for number, name in classes.items():
    names = tuple(project.keypoints) or _names(
      content, int(number), num_keypoints, notes
    )
    if len(names) != num_keypoints or len({*names}) != num_keypoints:
      raise ValueError(
        f"{source}: expected {num_keypoints} different names of keypoints, got "
        f"{list(names)}"
      )
    limbs = _limbs(content.get("skeleton"), num_keypoints)
    categories[int(number)] = Category(str(name).strip(), names, limbs, pairs)
  project.left_out.notes += dict.fromkeys(notes)
  return Config(source, categories, num_keypoints, dimensions)


def _names(
  content: Mapping[str, Any],
  number: int,
  num_keypoints: int,
  notes: list[str],
) -> tuple[str, ...]:
  named = content.get("kpt_names") or content.get("node_names")
  if isinstance(named, Mapping):  # by class
    named = named.get(number, next(iter(named.values()), None))
  if named:
    return tuple(str(name).strip() for name in named)
  coco = skeletons.COCO
  if content.get("flip_idx") == list(coco.flip_indices):
    notes.append("keypoints have no names: with COCO's flip_idx, COCO's names")
    return coco.keypoint_names
  notes.append(
    "keypoints have no names: numbered; name them in kpt_names or --keypoints"
  )
  return tuple(f"keypoint_{k}" for k in range(num_keypoints))


def _flip_pairs(
  source: pathlib.Path, order: Any, num_keypoints: int
) -> tuple[tuple[int, int], ...] | None:
  if not order:
    return None
  if (
    not isinstance(order, list)
    or sorted(order) != list(range(num_keypoints))
    or any(order[order[k]] != k for k in order)
  ):
    raise ValueError(
      f"{source}: flip_idx names for each of {num_keypoints} keypoints the one "
      f"that it trades places with, got {order!r}"
    )
  return tuple((k, twin) for k, twin in enumerate(order) if k < twin)


def _limbs(edges: Any, num_keypoints: int) -> tuple[tuple[int, int], ...]:
  """sleap-io's edges, which count from 0; Ultralytics has none."""
  return tuple(
    (int(a), int(b))
    for a, b in edges or ()
    if {a, b} <= {*range(num_keypoints)}
  )


def list_split(
  project: Project, content: Mapping[str, Any], split: str
) -> list[pathlib.Path]:
  """Returns a split's images: of a folder, a list in a file, or several."""
  left_out = project.left_out
  listed = content.get(split)
  paths: list[pathlib.Path] = []
  for name in [listed] if isinstance(listed, str) else listed or ():
    place = _resolve(project, content.get("path"), str(name))
    if place is None:
      left_out.add(f"folders of the split {split} not found", str(name))
    elif place.is_dir():
      paths += list_images(place)
    else:
      lines = place.read_text(encoding="utf-8-sig").split("\n")
      for line in filter(None, map(str.strip, lines)):
        path = (place.parent / line).resolve()
        if path.is_file() and spelling.has_suffix(path.name):
          paths.append(path)
        else:
          left_out.add("images not found", line)
  return paths


def _resolve(project: Project, root: Any, name: str) -> pathlib.Path | None:
  """Where a path of the yaml lies: its root is often that of another machine.

  Exporters write ../train/images for what lies in train/images.
  """
  name = name.replace("\\", "/")
  shorter = name
  while shorter.startswith(("../", "./")):
    shorter = shorter.partition("/")[2]
  folders = [*project.images, project.folder]
  if root:
    root = str(root).replace("\\", "/")
    folders = [project.folder / root, *folders]
  for folder in folders:
    for candidate in (name, shorter):
      if (folder / candidate).exists():
        return folder / candidate
  return None

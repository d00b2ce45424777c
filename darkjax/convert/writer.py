"""COCO-format jsons of labels, one for each split, and images beside them."""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from darkjax.convert import boxes, splits
from darkjax.convert.labels import (
  CONVERTED,
  Category,
  Frame,
  Image,
  Labels,
  Person,
  is_converted,
  number_labelled,
)
from darkjax.runtime import files
from darkjax.runtime.json_file import read_json

_DECIMALS = 6  # of a px


def frame_folder(out: pathlib.Path) -> pathlib.Path:
  """Returns the folder for images that are inside other files."""
  return out.with_name(f"{out.stem}_images")


def check_absent(paths: Iterable[pathlib.Path]) -> None:
  """Raises ValueError for files and folders that exist."""
  existing = [path for path in paths if path.exists()]
  if existing:
    raise ValueError(
      f"{existing[0]} exists already; name another --out, or give --overwrite"
    )


def check_not_source(
  source: pathlib.Path, paths: Iterable[pathlib.Path]
) -> None:
  """Raises ValueError if a json to write is the source, or a part of it.

  What a conversion wrote into the source's folder may be replaced.
  """
  for path in filter(pathlib.Path.exists, paths):
    inside = source.resolve() in (path.resolve(), *path.resolve().parents)
    if inside and not _is_converted(path):
      raise ValueError(
        f"{path} belongs to what is to be converted; name another --out"
      )


def _is_converted(path: pathlib.Path) -> bool:
  try:
    return is_converted(read_json(path))
  except ValueError:
    return False


def find_earlier(
  out: pathlib.Path, written: Mapping[str, pathlib.Path]
) -> list[str]:
  """Returns warnings of splits beside `out` that this conversion did not write.

  Their images may be in another split now.
  """
  paths = splits.split_paths(out, splits.USUAL).values()
  return [
    f"{path} is of an earlier conversion, whose splits may share images with "
    "these: delete it if it is of the same labels"
    for path in paths
    if path not in written.values() and path.exists() and _is_converted(path)
  ]


def write_frames(images: Iterable[Image], folder: pathlib.Path) -> None:
  """Writes the images that are inside other files, and points to the new ones.

  Each is complete or not there.
  """
  with files.explain_full_disk(folder):
    for image in images:
      if isinstance(image.source, Frame):
        path = folder / image.source.name
        files.write_whole(path, image.source.read())
        image.source = path


def write(
  kind: str,
  labels: Labels,
  paths: Mapping[str, pathlib.Path],
  base: pathlib.Path,
) -> None:
  """Writes the json of each split; each is complete or not there.

  Args:
    kind: the format that they were read from.
    labels: whose frames are written and whose boxes are made already.
    paths: json by split, see splits.py.
    base: folder that the jsons' file names are relative to.
  """
  categories = labels.categories()
  for split, path in paths.items():
    images = [image for image in labels.images if image.split == split]
    info = {"info": {CONVERTED: kind}}
    content = info | to_coco(images, categories, base)
    with files.explain_full_disk(path.parent):
      files.write_whole(path, json.dumps(content).encode())


def make_boxes(labels: Labels, padding: float = boxes.PADDING) -> int:
  """Gives everyone without a box one around the keypoints; returns how many.

  For padding see boxes.py.
  """
  sides = boxes.usual_sides(labels.people(), padding)
  made = 0
  for image in labels.images:
    for person in image.people:
      if person.bbox is None and number_labelled(person):
        person.bbox = boxes.around_keypoints(
          person.keypoints,
          padding=padding,
          side=sides.get(id(person.category), boxes.SIDE),
          size=image.size,
        )
        made += 1
  return made


def to_coco(
  images: Iterable[Image], categories: list[Category], base: pathlib.Path
) -> dict[str, Any]:
  """Returns the content of a json; everyone with keypoints has a box."""
  numbers = {id(category): i for i, category in enumerate(categories, start=1)}
  listed = [
    _category(category, numbers[id(category)]) for category in categories
  ]
  if len({entry["id"] for entry in listed}) < len(listed):
    # Of files that number them differently.
    listed = [{**c, "id": i} for i, c in enumerate(listed, start=1)]
  ids = {id(c): d["id"] for c, d in zip(categories, listed, strict=True)}
  content: dict[str, Any] = {
    "images": [],
    "annotations": [],
    "categories": listed,
  }
  for image in images:
    entry = _image(image, len(content["images"]) + 1, base)
    content["images"].append(entry)
    for person in image.people:
      number = len(content["annotations"]) + 1
      annotation = _annotation(person, number, ids[id(person.category)])
      content["annotations"].append({**annotation, "image_id": entry["id"]})
  return content


def _category(category: Category, number: int) -> dict[str, Any]:
  content: dict[str, Any] = {
    "id": number,
    "name": category.name,
    "keypoints": list(category.keypoints),
    "skeleton": [[a + 1, b + 1] for a, b in category.limbs],
  }
  if category.flip_pairs is not None:
    content["flip_pairs"] = [list(pair) for pair in category.flip_pairs]
  return {**content, **category.fields}


def _image(image: Image, number: int, base: pathlib.Path) -> dict[str, Any]:
  assert isinstance(image.source, pathlib.Path)
  content = {"id": number, "file_name": _relative(image.source, base)}
  if image.size is not None:
    content |= {"height": image.size[0], "width": image.size[1]}
  return {**image.fields, **content, "id": image.fields.get("id", number)}


def _relative(path: pathlib.Path, base: pathlib.Path) -> str:
  """The path of a file from a folder, or its own where none leads there."""
  try:
    name = os.path.relpath(path, base)
    if (base / name).resolve() != path.resolve():  # .. of a link
      name = os.path.relpath(path.resolve(), base.resolve())
  except ValueError:  # on Windows, on another drive
    name = os.path.abspath(path)
  return pathlib.PurePath(name).as_posix()


def _annotation(
  person: Person, number: int, category_id: int
) -> dict[str, Any]:
  bbox = person.bbox or (0.0, 0.0, 0.0, 0.0)
  content = {
    "id": number,
    "iscrowd": 0,
    "bbox": [round(x, _DECIMALS) for x in bbox],
    "area": round(boxes.area(bbox), _DECIMALS),
    "num_keypoints": number_labelled(person),
    "keypoints": person.keypoints.round(_DECIMALS).ravel().tolist(),
  }
  return {**content, **person.fields, "category_id": category_id}

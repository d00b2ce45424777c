"""COCO-format jsons: boxes, areas and file names put right, all else kept.

A folder's jsons are its splits, see splits.py. Boxes are made where there is
none or it has no size, and areas where there is none. Left out are annotations
of categories without keypoints, and fields that are neither COCO's nor
darkjax's. Ids stay.

Coordinates stay as they are; COCO's count from 0.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.convert import splits
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  Category,
  Image,
  Person,
  is_converted,
  keypoint_row,
)
from darkjax.convert.project import Project
from darkjax.data.coco import reader
from darkjax.metrics import coco_annotations
from darkjax.metrics.coco_fields import id_in_file
from darkjax.runtime.json_file import read_json
from darkjax.skeletons import names
from darkjax.skeletons.fields import CategoryFields

_OF_CATEGORY = (*("id", "supercategory", "sigmas", "upper_body", "lower_body"),)
_OF_PERSON = ("iscrowd", "segmentation", "track_id", "score")


def is_coco(content: Any) -> bool:
  """Returns whether the content of a json is COCO's."""
  return isinstance(content, Mapping) and all(
    isinstance(content.get(key), list) for key in coco_annotations.SECTIONS
  )


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the jsons with keypoints in a folder and the folders in it.

  Without those that a conversion wrote.
  """
  paths = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
  usable = []
  for path in paths:
    try:
      content = read_json(path)
    except ValueError:
      continue
    if not is_coco(content) or is_converted(content):
      continue
    if _with_keypoints(content["categories"]):
      usable.append(path)
  return usable


def read(project: Project) -> list[Image]:
  """Reads one json, or those of a folder as splits."""
  source, left_out = project.source, project.left_out
  paths = list_files(source) if source.is_dir() else [source]
  images: list[Image] = []
  categories: dict[Any, Category] = {}
  for path, name, split in splits.of_files(paths):
    content = coco_annotations.read_sections(path)
    near = _folders(path, name, source)
    found = project.find_images(*near, split=name)
    listed = _images(path, content, categories, found, split)
    left_out["annotations without keypoints"] += _without(content)
    found.check_found(path, len(listed))
    images += listed
  return images


def _folders(
  path: pathlib.Path, split: str, source: pathlib.Path
) -> list[pathlib.Path]:
  """Where the images of a json lie: beside it or, as COCO's, its folder.

  The folder of the split comes before others with files of the same names; of
  several, train2014 and train2017, the one that the json's name has.
  """
  near = [path.parent]
  if path.parent.name == "annotations" or source in path.parent.parents:
    near.append(path.parent.parent)
  folders = [f for n in near for depth in ("*/", "*/*/") for f in n.glob(depth)]
  own = [f for f in folders if split in (f.name, splits.of_folders([f.name]))]
  own = [f for f in own if f.name in path.stem] or own
  return [*near, *own] if len(own) == 1 else near


def _with_keypoints(listed: Sequence[Any]) -> list[Mapping[str, Any]]:
  return [c for c in listed if isinstance(c, Mapping) and c.get("keypoints")]


def _without(content: Mapping[str, Any]) -> int:
  ids = {c["id"] for c in _with_keypoints(content["categories"])}
  return sum(a.get("category_id") not in ids for a in content["annotations"])


def _images(
  path: pathlib.Path,
  content: Mapping[str, Any],
  categories: dict[Any, Category],
  found: ImageFiles,
  split: str,
) -> list[Image]:
  own = {}
  for entry in _with_keypoints(content["categories"]):
    with reader.naming(path):
      names.check(entry["keypoints"])
    key = (entry["id"], entry.get("name"), *entry["keypoints"])
    own[entry["id"]] = categories.setdefault(key, _category(entry))
  if not own:
    raise ValueError(
      f"{path}: no category has 'keypoints'; a file of boxes or masks only has "
      "no keypoints to convert"
    )
  listed = coco_annotations.index_images(content["images"], path)
  images = {}
  for image_id, entry in listed.items():
    size, name = reader.image_size(entry), str(entry["file_name"])
    image = found.open(name, size=size, turned=False, split=split)
    if image is not None:
      image.fields = {"id": id_in_file(entry)}
      images[image_id] = image
  for category_id, category in own.items():
    people = [
      a for a in content["annotations"] if a.get("category_id") == category_id
    ]
    count = len(category.keypoints)
    coco_annotations.check_annotations(people, count, listed, path)
    for annotation in people:
      if annotation["image_id"] in images:
        image = images[annotation["image_id"]]
        image.people.append(_person(annotation, category))
  return list(images.values())


def _category(entry: Mapping[str, Any]) -> Category:
  names = tuple(str(name).strip() for name in entry["keypoints"])
  given = CategoryFields(entry, names)
  fields = {k: entry[k] for k in _OF_CATEGORY if entry.get(k) is not None}
  return Category(
    str(entry.get("name", "person")).strip(),
    names,
    given.limbs(),
    given.flip_pairs(),
    fields,
  )


def _person(annotation: Mapping[str, Any], category: Category) -> Person:
  """A person of a checked annotation; what is missing is made later."""
  empty = [0.0] * (3 * len(category.keypoints))
  rows = np.reshape(annotation["keypoints"] or empty, (-1, 3)).tolist()
  filled = annotation.get("filled", ())
  fields = {
    k: annotation[k] for k in _OF_PERSON if annotation.get(k) is not None
  }
  fields["id"] = id_in_file(annotation)
  if "area" not in filled and annotation["area"] > 0:
    fields["area"] = annotation["area"]
  x, y, w, h = map(float, annotation["bbox"])
  bbox = None if "bbox" in filled or min(w, h) <= 0 else (x, y, w, h)
  return Person(
    category, np.array([keypoint_row(*row) for row in rows]), bbox, fields
  )

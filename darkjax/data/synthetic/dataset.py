"""Synthetic people as a folder in COCO's format."""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tqdm
from PIL import Image

from darkjax import skeletons
from darkjax.data.synthetic.scene import Person, render_scene
from darkjax.runtime import files

_PEOPLE_SHARES = (0.5, 0.32, 0.18)  # of the images with 1, 2, 3 people
_JPEG_QUALITY = 92
_DESCRIPTION = "darkjax synthetic people"  # how the json begins
_CATEGORY = {
  "id": 1,
  "name": "person",
  "supercategory": "person",
  "keypoints": skeletons.COCO.keypoint_names,
  # COCO counts from 1.
  "skeleton": [(a + 1, b + 1) for a, b in skeletons.COCO.limbs],
}


def write_dataset(
  directory: str | os.PathLike[str],
  *,
  num_people: int,
  seed: int,
  split: str = "train",
) -> pathlib.Path:
  """Writes one split: `images/` and `annotations/person_keypoints_SPLIT.json`.

  Every image depends on (seed, split, index) only. Images that hold more people
  than are still missing are left out, so that the number of people is exact;
  the numbers in the file names then have gaps.

  Args:
    directory: made where it does not exist; other splits in it stay.
    num_people: how many people, at least 1.
    seed: at least 0.
    split: letters, digits, "_" and "-"; a part of the file names.

  Returns:
    The path of the annotation file.

  Raises:
    ValueError: an argument is out of range, directory is a file, or the
      annotations in it are of other people.
  """
  root = pathlib.Path(directory)
  _check_arguments(root, num_people, seed, split)
  path = root / "annotations" / f"person_keypoints_{split}.json"
  if path.exists():
    with path.open("rb") as old:
      start = old.read(100)
    if _DESCRIPTION.encode() not in start:
      raise ValueError(
        f"{path} holds other people and would be replaced; name another folder"
      )
  for folder in ("images", "annotations"):
    (root / folder).mkdir(parents=True, exist_ok=True)
  images: list[dict[str, Any]] = []
  annotations: list[dict[str, Any]] = []
  bar = tqdm.tqdm(total=num_people, desc=split, unit="person", disable=None)
  with bar:
    for index in _image_indices(seed, split, num_people):
      pixels, people = render_image(seed, split, index)
      name, (height, width, _) = f"{split}_{index + 1:06d}.jpg", pixels.shape
      file = root / "images" / name
      Image.fromarray(pixels).save(file, quality=_JPEG_QUALITY, subsampling=0)
      image = {"id": index + 1, "file_name": name}
      images.append(image | {"width": width, "height": height})
      for person in people:
        annotations.append(_annotation(person, len(annotations) + 1, index + 1))
      bar.update(len(people))
  content = {
    "info": {"description": f"{_DESCRIPTION}, {split}, seed {seed}"},
    "licenses": [],
    "images": images,
    "annotations": annotations,
    "categories": [_CATEGORY],
  }
  files.write_whole(path, json.dumps(content).encode())
  return path


def render_image(
  seed: int, split: str, index: int
) -> tuple[np.ndarray, list[Person]]:
  """Draws an image [H, W, 3] uint8, index from 0, and people, back to front."""
  rng, num_people = _generator(seed, split, index)
  return render_scene(rng, num_people=num_people)


def _generator(seed: int, split: str, index: int):
  """Returns the generator of an image, and the number of its people."""
  name = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
  rng = np.random.default_rng([seed, name, index])
  return rng, 1 + int(rng.choice(len(_PEOPLE_SHARES), p=_PEOPLE_SHARES))


def _image_indices(seed: int, split: str, num_people: int) -> Iterator[int]:
  """Yields indices in order, without those of too many people."""
  index = 0
  while num_people > 0:
    _, count = _generator(seed, split, index)
    if count <= num_people:
      num_people -= count
      yield index
    index += 1


def _annotation(person: Person, number: int, image_id: int) -> dict[str, Any]:
  seen = person.visibility > 0
  points = np.where(seen[:, None], np.round(person.keypoints_image, 3), 0)
  keypoints: list[float] = []
  for (x, y), v in zip(points.tolist(), person.visibility, strict=True):
    keypoints += [x, y, int(v)]
  rows, columns = (np.flatnonzero(person.silhouette.any(i)) for i in (1, 0))
  x, y = int(columns[0]), int(rows[0])
  return {
    "id": number,
    "image_id": image_id,
    "category_id": 1,
    "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
    "area": int(person.silhouette.sum()),
    "iscrowd": 0,
    "num_keypoints": int(seen.sum()),
    "keypoints": keypoints,
  }


def _check_arguments(root, num_people: int, seed: int, split: str) -> None:
  for name, value, least in (("num_people", num_people, 1), ("seed", seed, 0)):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
      raise ValueError(f"{name} must be an integer, got {value!r}")
    if value < least:
      raise ValueError(f"{name} must be at least {least}, got {value}")
  if not re.fullmatch(r"[A-Za-z0-9_-]+", split):
    raise ValueError(
      "split is a part of file names: use letters, digits, '_' and '-', "
      f"got {split!r}"
    )
  if root.is_file():
    raise ValueError(f"{root} is a file: name a folder for the data set")

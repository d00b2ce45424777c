r"""The embedded data set: people made of nothing but NumPy and a seed.

    python -m darkjax.data.synthetic --out=DIR --train=2000 --val=500 --seed=0

writes a folder in COCO's format, `images/` and
`annotations/person_keypoints_{train,val}.json`, with 17 keypoints per person
known to the third decimal of a pixel. Every image depends on (seed, split,
index) only, so that a larger set contains a smaller one, and the same call on
the same machine writes the same bytes.
"""

import hashlib
import json
import os
import pathlib
import re
from typing import Any

import numpy as np
import tqdm
from PIL import Image

from darkjax import skeletons
from darkjax.data.synthetic import scene

_PEOPLE_SHARES = (0.5, 0.32, 0.18)  # of the images with 1, 2, 3 people
_JPEG_QUALITY = 92


def write_dataset(
  directory: str | os.PathLike[str],
  *,
  num_people: int,
  seed: int,
  split: str = "train",
) -> pathlib.Path:
  """Writes one split as a folder in COCO's format.

  Images that hold more people than are still wanted are left out, so that the
  number of people is exact; the numbers in the file names then have gaps.

  Args:
    directory: made where it does not exist; other splits in it stay.
    num_people: how many people, at least 1.
    seed: at least 0.
    split: letters, digits, "_" and "-"; a part of the file names.

  Returns:
    The path of the annotation file.

  Raises:
    ValueError: an argument is out of range, or directory is a file.
  """
  root = pathlib.Path(directory)
  _check_arguments(root, num_people, seed, split)
  for folder in ("images", "annotations"):
    (root / folder).mkdir(parents=True, exist_ok=True)
  images, annotations = [], []
  with tqdm.tqdm(
    total=num_people, desc=split, unit="person", disable=None
  ) as bar:
    for index in _image_indices(seed, split, num_people):
      image, people = render_image(seed, split, index)
      images.append(_write_image(root, split, index, image))
      annotations += [
        _annotation(person, len(annotations) + i, images[-1]["id"])
        for i, person in enumerate(people, start=1)
      ]
      bar.update(len(people))
  path = root / "annotations" / f"person_keypoints_{split}.json"
  path.write_text(json.dumps(_coco_file(images, annotations, seed, split)))
  return path


def render_image(
  seed: int, split: str, index: int
) -> tuple[np.ndarray, list[scene.Person]]:
  """The image of that index.

  Args:
    seed: of the data set.
    split: of the data set.
    index: from 0.

  Returns:
    The uint8 image [H, W, 3] and its people, from back to front.
  """
  rng = _generator(seed, split, index)
  num_people = _sample_num_people(rng)
  return scene.render_scene(rng, num_people=num_people)


def _generator(seed: int, split: str, index: int) -> np.random.Generator:
  name = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
  return np.random.default_rng([seed, name, index])


def _sample_num_people(rng: np.random.Generator) -> int:
  return 1 + int(rng.choice(len(_PEOPLE_SHARES), p=_PEOPLE_SHARES))


def _image_indices(seed: int, split: str, num_people: int):
  """Indices in order, without those that would be one person too many."""
  index = 0
  while num_people > 0:
    count = _sample_num_people(_generator(seed, split, index))
    if count <= num_people:
      num_people -= count
      yield index
    index += 1


def _write_image(root, split: str, index: int, image) -> dict[str, Any]:
  name = f"{split}_{index + 1:06d}.jpg"
  file = root / "images" / name
  Image.fromarray(image).save(file, quality=_JPEG_QUALITY, subsampling=0)
  height, width = image.shape[:2]
  return {"id": index + 1, "file_name": name, "width": width, "height": height}


def _annotation(person, annotation_id: int, image_id: int) -> dict[str, Any]:
  seen = person.visibility > 0
  points = np.where(seen[:, None], np.round(person.keypoints_image, 3), 0)
  triples = [
    [float(x), float(y), int(v)]
    for (x, y), v in zip(points, person.visibility, strict=True)
  ]
  return {
    "id": annotation_id,
    "image_id": image_id,
    "category_id": 1,
    "bbox": _bbox(person.silhouette),
    "area": int(person.silhouette.sum()),
    "iscrowd": 0,
    "num_keypoints": int(seen.sum()),
    "keypoints": [value for triple in triples for value in triple],
  }


def _bbox(silhouette: np.ndarray) -> list[int]:
  """The box (x, y, w, h) of a mask [H, W], w and h in whole pixels."""
  rows = np.flatnonzero(silhouette.any(1))
  columns = np.flatnonzero(silhouette.any(0))
  x, y = int(columns[0]), int(rows[0])
  return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]


def _coco_file(images, annotations, seed: int, split: str) -> dict[str, Any]:
  category = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(skeletons.COCO.keypoint_names),
    # COCO counts from 1.
    "skeleton": [[a + 1, b + 1] for a, b in skeletons.COCO.limbs],
  }
  return {
    "info": {"description": f"darkjax synthetic people, {split}, seed {seed}"},
    "licenses": [],
    "images": images,
    "annotations": annotations,
    "categories": [category],
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
  if root.exists() and not root.is_dir():
    raise ValueError(
      f"the data set is written into a folder, but {root} is a file: "
      "name another one"
    )

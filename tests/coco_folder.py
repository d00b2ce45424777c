"""Writes small COCO-format folders for tests."""

import json
import pathlib

import numpy as np
import PIL.Image

from darkjax import skeletons

# K = 3, which no built-in skeleton has; the hands are a flip pair.
NAMES = ("head", "left_hand", "right_hand")
DOLL = skeletons.from_coco_category({"name": "doll", "keypoints": list(NAMES)})


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
  """Smooth colours [height, width, 3] uint8 that JPEG keeps nearly as is."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
  picture = PIL.Image.fromarray(coarse).resize(
    (width, height), PIL.Image.Resampling.BICUBIC
  )
  return np.asarray(picture)


def person(annotation_id: int, image_id: int, **changes) -> dict:
  """An annotation of three labelled keypoints in a 40x56 px box."""
  return {
    "id": annotation_id,
    "image_id": image_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [8.0, 4.5, 30.0, 50.0],
    "area": 700.0,
    "num_keypoints": 3,
    "keypoints": [20.25, 10.5, 2, 12.0, 30.0, 1, 31.5, 33.0, 2],
    **changes,
  }


def content(num_images: int = 3, size: tuple[int, int] = (64, 48)) -> dict:
  """A json with one person in each image; ids count from 1 and from 101."""
  return {
    "images": [
      {
        "id": i + 1,
        "file_name": f"{i + 1}.jpg",
        "height": size[0],
        "width": size[1],
      }
      for i in range(num_images)
    ],
    "annotations": [person(101 + i, i + 1) for i in range(num_images)],
    "categories": [{"id": 1, "name": "doll", "keypoints": list(NAMES)}],
  }


def with_balls(what: dict) -> dict:
  """Also balls in two images: category 7, of two keypoints."""
  ball = {"id": 7, "name": "ball", "keypoints": ["top", "bottom"]}
  labels = {"category_id": 7, "keypoints": [20, 10, 2, 20, 40, 2]}
  found = [person(300 + i, i, **labels) for i in (1, 2)]
  return what | {
    "categories": [*what["categories"], ball],
    "annotations": [*what["annotations"], *found],
  }


def write(
  folder: pathlib.Path, what: dict | None = None
) -> tuple[pathlib.Path, pathlib.Path]:
  """Writes a json and a JPEG per image; gives the json and the image folder."""
  what = content() if what is None else what
  images = folder / "images"
  images.mkdir(parents=True, exist_ok=True)
  for i, entry in enumerate(what["images"]):
    pixels = image(entry.get("height", 64), entry.get("width", 48), seed=i)
    PIL.Image.fromarray(pixels).save(images / entry["file_name"], quality=95)
  path = folder / "annotations.json"
  path.write_text(json.dumps(what))
  return path, images

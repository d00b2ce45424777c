"""A clean data set that `check` has nothing to say about, to be spoilt."""

import json
import pathlib

import numpy as np
import PIL.Image

NAMES = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
# In units of the person: x to the right, y down, facing the camera.
BODY = np.array([[0, 0], [0.25, 0.3], [-0.25, 0.3], [0.18, 0.9], [-0.18, 0.9]])
WIDTH, HEIGHT = 400, 300


def content(num_images: int = 40) -> dict:
  """Two people in each image, a medium and a large one, some seen from behind.

  Ids of images count from 1, of annotations from 101.
  """
  rng = np.random.default_rng(4)
  numbers = range(1, num_images + 1)
  people = [
    person(101 + 2 * (i - 1) + large, i, large, rng)
    for i in numbers
    for large in (0, 1)
  ]
  category = {
    "id": 1,
    "name": "doll",
    "keypoints": list(NAMES),
    "skeleton": [[1, 2], [1, 3], [2, 4], [3, 5], [4, 5]],
    "sigmas": [0.03, 0.08, 0.08, 0.1, 0.1],
  }
  return {
    "images": [image(i) for i in numbers],
    "annotations": people,
    "categories": [category],
  }


def image(number: int) -> dict:
  return {
    "id": number,
    "file_name": f"{number}.png",
    "width": WIDTH,
    "height": HEIGHT,
  }


def person(number: int, image_id: int, large: int, rng) -> dict:
  scale = 200.0 if large else 90.0
  points = BODY * [rng.choice([-1, 1]), 1] * scale
  points += rng.normal(size=(5, 2)) * 0.02 * scale
  points += [250 if large else 80, 40]
  low, high = points.min(0) - 0.1 * scale, points.max(0) + 0.1 * scale
  # A nose that is not labelled, a hip that is hidden.
  flags = np.array([2 if large else 0, 2, 2, 2, 1])
  points = np.where(flags[:, None] > 0, points, 0).round(2)
  w, h = (high - low).round(1).tolist()
  return {
    "id": number,
    "image_id": image_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [*low.round(1).tolist(), w, h],
    "area": round(0.53 * w * h, 1),
    "num_keypoints": int((flags > 0).sum()),
    "keypoints": np.c_[points, flags].ravel().tolist(),
  }


def write(folder: pathlib.Path, labels: dict) -> pathlib.Path:
  """Writes the json."""
  path = folder / "annotations.json"
  path.write_text(json.dumps(labels))
  return path


def write_images(folder: pathlib.Path, labels: dict) -> pathlib.Path:
  """Writes a grey picture for each image; gives their folder."""
  images = folder / "images"
  images.mkdir()
  for entry in labels["images"]:
    size = (entry.get("width", WIDTH), entry.get("height", HEIGHT))
    PIL.Image.new("L", size).save(images / entry["file_name"])
  return images

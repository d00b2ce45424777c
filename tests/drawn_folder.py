"""Draws small data sets of hands (21 keypoints) and whole bodies (133)."""

import json
import pathlib

import numpy as np
import PIL.Image
import PIL.ImageDraw

from darkjax import skeletons
from darkjax.data import whole_body

WIDTH, HEIGHT = 120, 160
# Not 1, which is COCO's person.
CATEGORY_ID = 3
CATEGORIES = {
  "hand": whole_body.hand_category(CATEGORY_ID),
  "whole_body": whole_body.category(CATEGORY_ID),
}


def hand() -> np.ndarray:
  """[21, 2] a fan of five fingers, the wrist at the origin, y down."""
  angles = np.deg2rad([-150, -115, -90, -70, -50])
  lengths = np.array([0.3, 0.5, 0.65, 0.8])
  fingers = lengths[:, None] * np.stack(
    [np.cos(angles), np.sin(angles)], -1
  ).reshape(5, 1, 2)
  return np.concatenate([np.zeros((1, 2)), fingers.reshape(-1, 2)])


def whole() -> np.ndarray:
  """[133, 2] a standing figure 2 high, facing the camera."""
  upper = [[0, -1], [0.05, -1.05], [0.1, -1], [0.2, -0.7], [0.35, -0.4]]
  lower = [[0.45, -0.1], [0.13, 0], [0.15, 0.45], [0.15, 0.9]]
  foot = [[0.22, 1], [0.3, 0.97], [0.12, 0.97]]
  mirror = np.array([-1, 1])
  body = [np.array(upper[:1])]
  for point in np.array(upper[1:] + lower):
    body += [point[None], point[None] * mirror]
  angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
  face = 0.12 * np.stack([-np.cos(angles), np.sin(angles)], -1) - [0, 1]
  left = np.array([0.45, -0.1]) - 0.15 * hand()
  right = left * mirror
  return np.concatenate([*body, foot, foot * mirror, face, left, right])


def write(folder: pathlib.Path, kind: str, count: int) -> pathlib.Path:
  """Writes `count` pictures of one figure each; gives the json."""
  rng = np.random.default_rng(11)
  template = {"hand": hand, "whole_body": whole}[kind]()
  category = CATEGORIES[kind]
  skeleton = skeletons.from_coco_category(category)
  (folder / "images").mkdir(parents=True)
  images, people = [], []
  for i in range(1, count + 1):
    unit = template / np.ptp(template, axis=0).max()
    points = unit * rng.uniform(70, 105) * [rng.choice([-1, 1]), 1]
    points += [WIDTH / 2, HEIGHT / 2] - (points.min(0) + points.max(0)) / 2
    _draw(points, skeleton).save(folder / "images" / f"{i}.png")
    images.append(
      {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
    )
    people.append(_person(i, points))
  path = folder / "annotations.json"
  content = {"images": images, "annotations": people, "categories": [category]}
  path.write_text(json.dumps(content))
  return path


def _draw(points, skeleton) -> PIL.Image.Image:
  picture = PIL.Image.new("RGB", (WIDTH, HEIGHT), (90, 100, 110))
  draw = PIL.ImageDraw.Draw(picture)
  for a, b in skeleton.limbs:
    draw.line([*points[a], *points[b]], (230, 180, 150), 3)
  return picture


def _person(number: int, points) -> dict:
  low, high = points.min(0) - 4, points.max(0) + 4
  w, h = (high - low).tolist()
  flags = np.full((len(points), 1), 2.0)
  flags[number % len(points)] = 0
  labels = np.where(flags > 0, points, 0)
  return {
    "id": 100 + number,
    "image_id": number,
    "category_id": CATEGORY_ID,
    "iscrowd": 0,
    "bbox": [*low.tolist(), w, h],
    "area": 0.53 * w * h,
    "keypoints": np.concatenate([labels, flags], 1).ravel().tolist(),
  }

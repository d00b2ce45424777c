"""Synthetic pictures: places, people, things in front of them.

`sample_scene` draws what there is, `draw_scene` paints it and finds out which
keypoints can be seen. An integer coordinate is the centre of a pixel.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data.synthetic import backdrop, clothes, render
from darkjax.data.synthetic import body as bodies
from darkjax.data.synthetic.body import Body
from darkjax.data.synthetic.look import cloth_color, sample_look
from darkjax.data.synthetic.render import Size, Solid

_SIDES = (176, 256)  # px, shortest and longest side of a picture
_MIN_SEEN = 4  # keypoints that every person of a picture must show
_ATTEMPTS = 50


class Thing(NamedTuple):
  """One layer of a scene: a person, or an object in front of people."""

  solids: list[Solid]
  body: Body | None = None  # None for an object


class Scene(NamedTuple):
  """All there is to paint."""

  backdrop: np.ndarray  # [3, H, W] float32 colours in [0, 255]
  things: tuple[Thing, ...]  # from back to front
  light: np.ndarray  # [3] unit vector towards the light
  grain: np.ndarray  # [H, W] float32 factor, the unevenness of surfaces
  noise: np.ndarray  # [3, H, W] float32 grey levels, the camera's


class Person(NamedTuple):
  """The labels of one person."""

  # [17, 2] float64 (x, y) px in the order of COCO, also outside the image.
  keypoints_image: np.ndarray
  # [17] int64: 2 seen, 1 hidden, be it by the own body, 0 outside the image.
  visibility: np.ndarray
  silhouette: np.ndarray  # [H, W] bool, also behind what hides it


def render_scene(
  rng: np.random.Generator, *, num_people: int
) -> tuple[np.ndarray, list[Person]]:
  """Draws scenes until each of their people shows a few keypoints.

  Returns:
    The uint8 image [H, W, 3] and its people, from back to front.

  Raises:
    ValueError: num_people is below 1.
  """
  if num_people < 1:
    raise ValueError(f"num_people must be at least 1, got {num_people}")
  for _ in range(_ATTEMPTS):
    scene = sample_scene(rng, num_people=num_people)
    image, persons = draw_scene(scene)
    if all((p.visibility == 2).sum() >= _MIN_SEEN for p in persons):
      return image, persons
  raise RuntimeError(f"no usable scene of {num_people} people in {_ATTEMPTS}")


def draw_scene(scene: Scene) -> tuple[np.ndarray, list[Person]]:
  """Paints a scene; returns what `render_scene` does."""
  image, size = scene.backdrop, scene.backdrop.shape[1:]
  persons: list[Person] = []
  for thing in scene.things:
    layer = render.paint_layer(thing.solids, size, scene.light)
    image = render.composite(image, layer)
    for person in persons:
      _hide(person, layer.alpha >= 0.5)
    if thing.body is not None:
      persons.append(_label(thing.body, layer))
  image = image * scene.grain + scene.noise
  image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
  return np.ascontiguousarray(image.transpose(1, 2, 0)), persons


def _label(body: Body, layer: render.Layer) -> Person:
  """The labels of a person with nothing in front of it."""
  keypoints = body.keypoints()
  height, width = layer.alpha.shape
  visibility = np.zeros(len(keypoints), np.int64)
  for k, name in enumerate(skeletons.COCO.keypoint_names):
    x, y, z = keypoints[k]
    if 0 <= x <= width - 1 and 0 <= y <= height - 1:
      depth = layer.depth[round(y), round(x)] - z
      flesh = clothes.FLESH[name.rpartition("_")[2]] * body.unit
      # By the body itself, or by hair or a bag.
      worn = layer.hides[round(y), round(x)] and depth > 0
      visibility[k] = 1 if depth > flesh or worn else 2
  return Person(keypoints[:, :2], visibility, layer.alpha >= 0.5)


def _hide(person: Person, solid: np.ndarray) -> None:
  """Marks the keypoints under a mask [H, W] as hidden, in place."""
  seen = np.flatnonzero(person.visibility == 2)
  x, y = np.rint(person.keypoints_image[seen]).astype(int).T
  person.visibility[seen[solid[y, x]]] = 1


def sample_scene(rng: np.random.Generator, *, num_people: int) -> Scene:
  """Draws a place, people in it, and things in front of some of them."""
  height, width = rng.integers(*_SIDES, 2, endpoint=True).tolist()
  size = height, width
  light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-1.2, -0.3), 1.0])
  light = light / np.linalg.norm(light)
  crowd = _sample_crowd(rng, size, num_people)
  strength = rng.uniform(0.01, 0.05)
  grain = render.cloud(rng, size, cells=12, octaves=3) * np.float32(strength)
  noise = rng.standard_normal((3, *size), np.float32)
  place = backdrop.sample_backdrop(rng, size, light)
  for thing in crowd:
    if thing.body is not None:
      _cast_shadow(place, thing.body)
  noise *= np.float32(rng.uniform(0.5, 4))
  return Scene(place, tuple(crowd), light, 1 + grain, noise)


def _cast_shadow(image: np.ndarray, body: Body) -> None:
  """Darkens the ground [3, H, W] under the lower foot, in place."""
  feet = np.stack([body.points[f"{side}_ankle"] for side in bodies.SIDES])
  height, width = image.shape[1:]
  x = (np.arange(width) - feet[:, 0].mean()) / (0.2 * body.unit)
  y = (np.arange(height) - feet[:, 1].max()) / body.unit - 0.04
  level = (x**2 + (y / 0.05)[:, None] ** 2).astype(np.float32)
  image *= 1 - np.float32(0.5) * np.exp(-level)


def _sample_crowd(rng, size: Size, num_people: int) -> list[Thing]:
  """Draws people from far to near, each perhaps behind something."""
  low, high = 0.6, 1.0 - 0.05 * num_people
  if rng.random() < 0.18:  # a close-up
    low, high = 1.1, 1.9
  units = np.sort(size[0] * rng.uniform(low, high, num_people))
  columns = (rng.permutation(num_people) + 0.5) / num_people
  things = []
  for unit, column in zip(units, columns, strict=True):
    body = bodies.pose_body(bodies.sample_pose(rng), bodies.sample_build(rng))
    body = _place(rng, body, unit, column, size)
    things.append(Thing(clothes.dress(body, sample_look(rng)), body))
    if rng.random() < 0.35:
      things.append(Thing([*_sample_object(rng, body, size)]))
  return things


def _place(rng, body: Body, unit: float, column: float, size: Size) -> Body:
  """Puts a body into its column of the image; some are cut by the border."""
  height, width = size
  body = body.moved(unit, np.zeros(3))
  points = body.keypoints()[:, :2]
  low, high = points.min(0) - 0.05 * unit, points.max(0) + 0.05 * unit
  x = width * column + rng.normal(0, 0.07 * width) - (low[0] + high[0]) / 2
  y, room = -low[1], height - (high[1] - low[1])
  if room < 0:  # a close-up shows the head
    y += rng.uniform(0, 0.1) * unit
  else:
    y += room * rng.beta(2.5, 1.2)
    if rng.random() < 0.2:
      y += rng.normal(0, 0.15) * unit
  return body.moved(unit, np.array([x, y, 0.0]))


def _sample_object(rng, body: Body, size: Size) -> Iterator[Solid]:
  """Draws something that stands or hangs in front of a keypoint."""
  (height, width), unit = size, body.unit
  x, y = body.keypoints()[rng.integers(17), :2] + rng.normal(0, 0.05, 2) * unit
  kind = ("post", "crate", "ball", "bush", "rail")[rng.integers(5)]
  if kind == "post":
    lean, half = rng.normal(0, 0.06) * height, rng.uniform(0.012, 0.05) * unit
    ends = (x - lean, -9), (x + lean, height + 9)
    yield backdrop.board(*ends, half, cloth_color(rng), bulge=1.0)
  elif kind == "crate":
    half, high = rng.uniform(0.08, 0.3, 2) * unit
    color, pattern = cloth_color(rng), backdrop.sample_pattern(rng, unit)
    bottom = x, y + 2 * high
    yield backdrop.board((x, y), bottom, half, color, pattern=pattern)
    lid = (x - half, y), (x + half, y)
    yield backdrop.board(*lid, 0.015 * unit + 1, color * 0.75)
  elif kind == "ball":
    radii = np.full(3, rng.uniform(0.03, 0.1) * unit)
    ball = backdrop.disc(x, y, radii, cloth_color(rng))
    yield ball._replace(pattern=backdrop.sample_pattern(rng, unit))
  elif kind == "bush":
    count = int(rng.integers(8, 22))
    yield from backdrop.sample_leaves(rng, x, y, 0.07 * unit, count)
  else:
    color, half = cloth_color(rng), rng.uniform(0.01, 0.025) * unit
    drop = rng.normal(0, 0.05) * width
    ends = (-9, y - drop), (width + 9, y + drop)
    yield backdrop.board(*ends, half, color, bulge=1.0)

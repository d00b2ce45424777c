"""Pictures of the embedded data set: places, people, things in front of them.

`sample_scene` draws what there is, `draw_scene` paints it and finds out which
keypoints can be seen. An integer coordinate is the centre of a pixel.
"""

from typing import NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data import synthetic_paint as paint
from darkjax.data import synthetic_people as people
from darkjax.data import synthetic_pose as pose

_SIDES = (176, 256)  # pixels, shortest and longest side of a picture
_MIN_SEEN = 4  # keypoints that every person of a picture must show
_ATTEMPTS = 50


class Thing(NamedTuple):
  """One layer of a scene: a person, or what stands in front of people.

  Attributes:
    solids: what it is painted from, back to front in any order.
    body: the person, None for an object.
  """

  solids: list
  body: pose.Body | None = None


class Scene(NamedTuple):
  """All there is to paint.

  Attributes:
    backdrop: [3, H, W] float32 colours in [0, 255].
    things: from back to front.
    light: [3] unit vector.
    grain: [H, W] float32 factor on everything, the unevenness of surfaces.
    noise: [3, H, W] float32 grey levels, the camera's.
  """

  backdrop: np.ndarray
  things: tuple[Thing, ...]
  light: np.ndarray
  grain: np.ndarray
  noise: np.ndarray


class Person(NamedTuple):
  """The labels of one person.

  Attributes:
    keypoints_image: [17, 2] float64 (x, y) pixels in the order of COCO, also
      where they lie outside the image.
    visibility: [17] int64: 2 seen, 1 hidden by something or by the person's
      own body, 0 outside the image.
    silhouette: [H, W] bool, the whole outline, also behind what hides it.
  """

  keypoints_image: np.ndarray
  visibility: np.ndarray
  silhouette: np.ndarray


def render_scene(
  rng: np.random.Generator, *, num_people: int
) -> tuple[np.ndarray, list[Person]]:
  """Draws scenes until each of their people shows a few keypoints.

  Args:
    rng: where all randomness comes from.
    num_people: how many people, at least 1.

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
  """Paints a scene.

  Args:
    scene: see `sample_scene`.

  Returns:
    The uint8 image [H, W, 3] and its people, from back to front.
  """
  image, size = scene.backdrop, scene.backdrop.shape[1:]
  persons = []
  for thing in scene.things:
    layer = paint.paint_layer(thing.solids, size, scene.light)
    image = paint.composite(image, layer)
    solid = layer.alpha >= 0.5
    persons = [_hide(person, solid) for person in persons]
    if thing.body is not None:
      persons.append(_label(thing.body, layer))
  image = image * scene.grain + scene.noise
  image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
  return np.ascontiguousarray(image.transpose(1, 2, 0)), persons


def _label(body: pose.Body, layer: paint.Layer) -> Person:
  """The labels of a person with nothing in front of it."""
  keypoints = body.keypoints()
  height, width = layer.alpha.shape
  visibility = np.zeros(len(keypoints), np.int64)
  for k, name in enumerate(skeletons.COCO.keypoint_names):
    x, y, z = keypoints[k]
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
      continue
    pixel = round(y), round(x)
    part = name.rpartition("_")[2]
    behind = layer.depth[pixel] - z > people.FLESH[part] * body.unit
    in_face = part in ("nose", "eye", "ear")
    hidden = behind or (in_face and layer.is_hair[pixel])
    visibility[k] = 1 if hidden else 2
  return Person(keypoints[:, :2], visibility, layer.alpha >= 0.5)


def _hide(person: Person, solid: np.ndarray) -> Person:
  """Takes the sight of the keypoints under a mask [H, W]."""
  visibility = person.visibility.copy()
  for k in np.flatnonzero(visibility == 2):
    x, y = person.keypoints_image[k]
    if solid[round(y), round(x)]:
      visibility[k] = 1
  return person._replace(visibility=visibility)


def sample_scene(rng: np.random.Generator, *, num_people: int) -> Scene:
  """Draws a place, people in it, and things in front of some of them.

  Args:
    rng: where all randomness comes from.
    num_people: how many people.

  Returns:
    The scene.
  """
  size = tuple(int(side) for side in rng.integers(*_SIDES, 2, endpoint=True))
  light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-1.2, -0.3), 1.0])
  light = light / np.linalg.norm(light)
  crowd = _sample_crowd(rng, size, num_people)
  strength = rng.uniform(0.02, 0.08)
  grain = paint.cloud(rng, size, cells=12, octaves=3) * np.float32(strength)
  noise = rng.standard_normal((3, *size), np.float32)
  return Scene(
    backdrop=sample_backdrop(rng, size, light),
    things=tuple(crowd),
    light=light,
    grain=1 + grain,
    noise=noise * np.float32(rng.uniform(0.5, 4)),
  )


def _sample_crowd(rng, size, num_people: int) -> list[Thing]:
  """People from far to near, each perhaps behind something."""
  units = np.sort(_sample_units(rng, size, num_people))
  columns = (rng.permutation(num_people) + 0.5) / num_people
  things = []
  for unit, column in zip(units, columns, strict=True):
    body = pose.pose_body(pose.sample_pose(rng), pose.sample_build(rng))
    body = _place(rng, body, unit, column, size)
    look = people.sample_look(rng)
    things.append(Thing(people.dress(body, look), body))
    if rng.random() < 0.35:
      things.append(Thing(sample_object(rng, body, size)))
  return things


def _sample_units(rng, size, num_people: int) -> np.ndarray:
  """Heights of the people in pixels; a close-up now and then."""
  if rng.random() < 0.18:
    return size[0] * rng.uniform(1.1, 1.9, num_people)
  largest = 0.98 - 0.08 * num_people
  return size[0] * rng.uniform(0.5, largest, num_people)


def _place(rng, body: pose.Body, unit: float, column: float, size):
  """Puts a body into its column of the image; some are cut by the border."""
  height, width = size
  body = body.moved(unit, np.zeros(3))
  points = body.keypoints()[:, :2]
  low, high = points.min(0) - 0.05 * unit, points.max(0) + 0.05 * unit
  x = width * column + rng.normal(0, 0.07 * width) - (low[0] + high[0]) / 2
  room = height - (high[1] - low[1])
  if room < 0:  # a close-up shows the head
    y = -low[1] + rng.uniform(0, 0.1) * unit
  else:
    y = -low[1] + room * rng.beta(2.5, 1.2)
    if rng.random() < 0.2:
      y += rng.normal(0, 0.15) * unit
  return body.moved(unit, np.array([x, y, 0.0]))


def sample_object(rng, body: pose.Body, size) -> list:
  """Something that stands or hangs in front of a person.

  Args:
    rng: where all randomness comes from.
    body: the person, placed in the image.
    size: (height, width).

  Returns:
    Its solids.
  """
  aim = rng.integers(17)
  x, y = body.keypoints()[aim, :2] + rng.normal(0, 0.05, 2) * body.unit
  kinds = (_post, _crate, _ball, _bush, _rail)
  kind = kinds[rng.integers(len(kinds))]
  return kind(rng, x, y, body.unit, size)


def _board(start, end, half_width, color, pattern=None, bulge=0.0, cap=0.0):
  start, end = np.array([*start, 0.0]), np.array([*end, 0.0])
  widths = np.array([half_width, half_width], float)
  return paint.Rod(start, end, widths, color, bulge, cap, pattern)


def _post(rng, x, y, unit, size) -> list:
  lean, half = rng.normal(0, 0.06) * size[0], rng.uniform(0.012, 0.05) * unit
  color = people.cloth_color(rng)
  return [
    _board((x - lean, -9), (x + lean, size[0] + 9), half, color, bulge=1.0)
  ]


def _crate(rng, x, y, unit, size) -> list:
  wide, high = rng.uniform(0.08, 0.3, 2) * unit
  color, pattern = people.cloth_color(rng), sample_pattern(rng, unit)
  top = _board((x - wide, y), (x + wide, y), 0.015 * unit + 1, color * 0.75)
  return [_board((x, y), (x, y + 2 * high), wide, color, pattern), top]


def _ball(rng, x, y, unit, size) -> list:
  radii = np.full(3, rng.uniform(0.03, 0.1) * unit)
  color, pattern = people.cloth_color(rng), sample_pattern(rng, unit)
  center = np.array([x, y, 0.0])
  return [paint.Ellipsoid(center, np.eye(3), radii, color, pattern)]


def _bush(rng, x, y, unit, size) -> list:
  green = np.array([rng.uniform(30, 110), rng.uniform(80, 150), 40.0])
  leaves = []
  for _ in range(rng.integers(8, 22)):
    dx, dy = rng.normal(0, 0.07, 2) * unit
    turn, length = rng.uniform(0, np.pi), rng.uniform(0.03, 0.08) * unit
    tip = x + dx + np.cos(turn) * length, y + dy + np.sin(turn) * length
    color = green * rng.uniform(0.6, 1.25)
    leaf = _board((x + dx, y + dy), tip, 0.014 * unit + 0.5, color, cap=1.0)
    leaves.append(leaf._replace(bulge=0.5))
  return leaves


def _rail(rng, x, y, unit, size) -> list:
  color, half = people.cloth_color(rng), rng.uniform(0.01, 0.025) * unit
  drop = rng.normal(0, 0.05) * size[1]
  ends = (-9, y - drop), (size[1] + 9, y + drop)
  return [_board(*ends, half, color, bulge=1.0)]


def sample_pattern(rng, unit: float) -> paint.Pattern | None:
  """Draws a pattern for a wall or a thing, or none."""
  if rng.random() < 0.5:
    return None
  kind = str(rng.choice(["rings", "lines", "check", "dots"]))
  period = max(4.0, rng.uniform(0.03, 0.2) * unit)
  return paint.Pattern(kind, period, people.cloth_color(rng))


def sample_backdrop(rng, size, light) -> np.ndarray:
  """Draws a wall or a landscape full of things, more or less in focus.

  Args:
    rng: where all randomness comes from.
    size: (height, width).
    light: [3] unit vector.

  Returns:
    float32 [3, H, W].
  """
  blur = rng.choice([1, 1, 2, 3])  # painted smaller, then stretched
  small = tuple(-(-side // blur) + 1 for side in size)
  image = _ground(rng, small)
  clutter = [_clutter(rng, small) for _ in range(rng.integers(3, 24))]
  # Later ones lie over earlier ones.
  clutter = [_lifted(solid, 2 * i) for i, solid in enumerate(clutter)]
  image = paint.composite(image, paint.paint_layer(clutter, small, light))
  strength = rng.uniform(0, 0.12)
  texture = paint.cloud(rng, small, cells=16, octaves=4)
  return paint.resample(image * (1 + texture * np.float32(strength)), size)


def _ground(rng, size) -> np.ndarray:
  """Two fields with a border between them, each shaded unevenly."""
  height, width = size
  colors = np.stack([people.cloth_color(rng) for _ in range(4)])
  colors = colors.astype(np.float32).reshape(2, 2, 3).transpose(2, 0, 1)
  upper = paint.resample(colors, (height, width))
  lower = np.float32(0.55) * upper[::-1] + np.float32(30)
  horizon = np.linspace(0, 0, width) + rng.uniform(0.35, 1.1) * height
  horizon = horizon + rng.normal(0, 0.1) * np.linspace(-1, 1, width) * height
  rows = np.arange(height)[:, None]
  share = np.clip(rows - horizon + 0.5, 0, 1).astype(np.float32)
  field = paint.cloud(rng, size, cells=2, octaves=3) * np.float32(12)
  return upper + (lower - upper) * share + field


def _clutter(rng, size):
  """One thing of the background: a board, a pole, a limb-like rod, a blob."""
  height, width = size
  x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
  color, scale = people.cloth_color(rng), float(max(size))
  kind = rng.integers(4)
  if kind == 0:
    high, half = rng.uniform(0.05, 0.6) * height, rng.uniform(0.02, 0.2) * width
    pattern = sample_pattern(rng, scale / 2)
    return _board((x, y), (x, y + high), half, color, pattern)
  turn, length = rng.uniform(0, np.pi), rng.uniform(0.05, 0.5) * scale
  tip = x + np.cos(turn) * length, y + np.sin(turn) * length
  if kind == 1:
    return _board((x, y), tip, rng.uniform(0.004, 0.02) * scale, color, cap=1.0)
  if kind == 2:
    half = rng.uniform(0.01, 0.04) * scale
    rod = _board((x, y), tip, half, color, bulge=0.5, cap=1.0)
    return rod._replace(widths=np.array([1.0, rng.uniform(0.4, 1)]) * half)
  radii = np.array([*rng.uniform(0.02, 0.15, 2), 0.01]) * scale
  center = np.array([x, y, 0.0])
  return paint.Ellipsoid(center, np.eye(3), radii, color)


def _lifted(solid, z: float):
  shift = np.array([0, 0, z])
  if isinstance(solid, paint.Rod):
    return solid._replace(start=solid.start + shift, end=solid.end + shift)
  return solid._replace(center=solid.center + shift)

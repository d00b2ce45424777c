"""People out of single points and boxes, as drawing tools store them.

Points with the same group belong to one person, whose box is that of the group.
Where an image has no groups, all points belong to the only box, or each to the
only box around it; without boxes all of an image are one person. Points beside
groups are a person of their own.

The keypoints of a class are all that were seen in it, and those of a class with
more if it has all of them: people of which a knee was never labelled are like
the others. Their order is the given one, else that of the built-in skeleton
with the same names, by number where names end in numbers, or as they appear.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.convert.labels import (
  HIDDEN,
  VISIBLE,
  Bbox,
  Category,
  Image,
  Labels,
  Person,
)

DEFAULT_NAME = "person"


class Point(NamedTuple):
  """A named point, px."""

  name: str
  x: float
  y: float
  hidden: bool = False
  group: Hashable = None
  kind: str = ""  # of the tool that drew it: other kinds are other people


class Box(NamedTuple):
  """A labelled rectangle, px."""

  label: str
  bbox: Bbox
  group: Hashable = None


class Figure(NamedTuple):
  """One person before the keypoints of the class are known."""

  points: Mapping[str, tuple[float, float, float]]  # (x, y, visibility)
  label: str | None = None  # None: not said
  bbox: Bbox | None = None
  kind: str = ""


class Template(NamedTuple):
  """What a tool says about the keypoints of a class."""

  keypoints: Sequence[str]
  limbs: Sequence[tuple[int, int]] = ()  # indices from 0


# Kind and label of figures: their class.
_Key = tuple[str, str | None]


def find_figures(
  points: Sequence[Point], boxes: Sequence[Box], left_out: Counter[str]
) -> list[Figure]:
  """Returns the people of one image, and counts what belongs to nobody."""
  grouped: dict[Hashable, list[Point]] = defaultdict(list)
  for point in points:
    if point.group is not None:
      grouped[point.group].append(point)
  own = {group: [b for b in boxes if b.group == group] for group in grouped}
  members = [
    (box[0] if len(box) == 1 else None, grouped[group])
    for group, box in own.items()
  ]
  loose = [point for point in points if point.group is None]
  # Boxes whose group has no points say no more than those without a group.
  free = [box for box in boxes if box.group is None or box.group not in grouped]
  if grouped or not free:
    for kind in dict.fromkeys(point.kind for point in loose):
      members.append((None, [p for p in loose if p.kind == kind]))
  else:
    members += _by_box(loose, free, left_out)
  used = {id(box) for box, held in members if box is not None and held}
  left_out["boxes without keypoints"] += sum(id(b) not in used for b in boxes)
  figures = []
  for box, held in members:
    if len({point.name for point in held}) < len(held):
      left_out["points named twice in one person (group them)"] += len(held)
    elif held:
      figures.append(_figure(box, held))
  return figures


def _by_box(
  points: Sequence[Point], boxes: Sequence[Box], left_out: Counter[str]
) -> list[tuple[Box | None, list[Point]]]:
  """Gives points without a group to the only box, or the only one around."""
  if len(boxes) == 1:
    return [(boxes[0], list(points))]
  members: list[list[Point]] = [[] for _ in boxes]
  for point in points:
    around = [i for i, box in enumerate(boxes) if _holds(box.bbox, point)]
    if len(around) == 1:
      members[around[0]].append(point)
    else:
      left_out["points in no box or in several (group them)"] += 1
  return list(zip(boxes, members, strict=True))


def _holds(bbox: Bbox, point: Point) -> bool:
  x, y, w, h = bbox
  return x <= point.x <= x + w and y <= point.y <= y + h


def _figure(box: Box | None, points: Sequence[Point]) -> Figure:
  return Figure(
    points={
      p.name: (p.x, p.y, HIDDEN if p.hidden else VISIBLE) for p in points
    },
    label=None if box is None else box.label,
    bbox=None if box is None else box.bbox,
    kind=points[0].kind,
  )


def to_labels(
  images: Sequence[tuple[Image, Sequence[Figure]]],
  left_out: Counter[str],
  *,
  order: Sequence[str] = (),
  templates: Mapping[str, Template] | None = None,
) -> Labels:
  """Returns the labels of images and the figures on them.

  Args:
    images: each with its figures; its people are set here.
    left_out: the counts so far.
    order: names of all keypoints, whose order counts; () for none.
    templates: by class; other classes have the keypoints that were seen.

  Raises:
    ValueError: a keypoint is neither in its template nor in `order`.
  """
  if len({figure.kind for _, figures in images for figure in figures}) == 1:
    # The one tool's name says nothing.
    images = [(i, [f._replace(kind="") for f in fs]) for i, fs in images]
  categories = _categories(
    [figure for _, figures in images for figure in figures],
    order,
    templates or {},
  )
  for image, figures in images:
    for figure in figures:
      category = categories[figure.kind, figure.label]
      rows = [figure.points.get(n, (0.0, 0.0, 0.0)) for n in category.keypoints]
      image.people.append(Person(category, np.array(rows), figure.bbox))
  return Labels([image for image, _ in images], left_out)


def _categories(
  figures: Iterable[Figure],
  order: Sequence[str],
  templates: Mapping[str, Template],
) -> dict[_Key, Category]:
  seen: dict[_Key, list[str]] = {}
  for figure in figures:
    names = seen.setdefault((figure.kind, figure.label), [])
    names += [name for name in figure.points if name not in names]
  for key, names in seen.items():
    template = templates.get(key[1] or "")
    known = order if template is None else template.keypoints
    if unknown := [name for name in names if known and name not in known]:
      raise ValueError(
        f"keypoints {unknown} of {key[1] or DEFAULT_NAME!r} are not among "
        f"{list(known)}; name every keypoint in --keypoints"
      )
  representatives = _representatives(seen)
  categories: dict[_Key, Category] = {}
  for key in set(representatives.values()):
    categories[key] = _category(key, seen[key], order, templates)
  return {
    key: _category_of(key, other, categories[other], templates)
    for key, other in representatives.items()
  }


def _representatives(seen: Mapping[_Key, Sequence[str]]) -> dict[_Key, _Key]:
  """For each class the one whose keypoints it has: the largest around its."""
  chosen = {}
  for key, names in seen.items():
    around = [k for k in seen if k[0] == key[0] and {*names} <= {*seen[k]}]
    # Classes with a name before those without; max takes the first of equals.
    chosen[key] = max(around, key=lambda k: (len(seen[k]), k[1] is not None))
  return chosen


def _category_of(
  key: _Key, other: _Key, largest: Category, templates
) -> Category:
  """The category of a class whose keypoints are those of `largest`."""
  if key == other or key[1] is None:
    return largest
  if key[1] in templates:
    return _category(key, (), (), templates)
  return Category(key[1], largest.keypoints, largest.limbs)


def _category(
  key: _Key,
  names: Sequence[str],
  order: Sequence[str],
  templates: Mapping[str, Template],
) -> Category:
  kind, label = key
  template = templates.get(label or "")
  if template is not None:
    return Category(
      label or DEFAULT_NAME, tuple(template.keypoints), tuple(template.limbs)
    )
  return Category(label or kind or DEFAULT_NAME, _ordered(names, order))


def _ordered(names: Sequence[str], order: Sequence[str]) -> tuple[str, ...]:
  if order:
    return tuple(order)
  for built_in in (skeletons.COCO, skeletons.MPII, skeletons.LSP):
    if {*names} == {*built_in.keypoint_names}:
      return built_in.keypoint_names
  numbers = [re.search(r"(\d+)$", name) for name in names]
  if all(numbers):
    return tuple(sorted(names, key=lambda n: int(re.findall(r"\d+$", n)[0])))
  return tuple(names)

"""People out of single points and boxes, as drawing tools store them.

Points with the same group belong to one person, whose box is that of the group.
Where an image has no groups, all points belong to the only box, or each to the
only box around it; without boxes all of an image are one person. Points beside
groups are a person of their own.

The keypoints of a class are all that were seen in it and in classes of the same
name or with half of its keypoints: people of which a knee was never labelled
are like the others. Their order is the given one, else that of the built-in
skeleton with the same names, by number where names end in numbers, or as they
appear.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.convert.labels import (
  HIDDEN,
  VISIBLE,
  Bbox,
  Category,
  Frame,
  Image,
  LeftOut,
  Person,
  Size,
)
from darkjax.convert.project import Project

DEFAULT_NAME = "person"

_HIDDEN = re.compile(
  r"(?<!not )(?<!non )\b(occluded|hidden|invisible|not visible)\b"
)


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


class Drawing(NamedTuple):
  """What is drawn on an image, before its file is found."""

  names: Sequence[str]  # see `ImageFiles.open`
  figures: Callable[[Size], list[Figure]]  # on an image of that size
  size: Size | None = None  # that the labels give
  split: str = ""
  embedded: Frame | None = None


# Kind and label of figures: their class.
_Key = tuple[str, str | None]


def says_hidden(text: object) -> bool:
  """Returns whether the name of a flag or choice says that a point is hidden.

  >>> [says_hidden(text) for text in ("1 - Occluded", "not_visible", "visible")]
  [True, True, False]
  """
  words = re.sub(r"[\W_]+", " ", str(text).lower())
  return bool(_HIDDEN.search(words))


def find_figures(
  points: Sequence[Point], boxes: Sequence[Box], left_out: LeftOut
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
  points: Sequence[Point], boxes: Sequence[Box], left_out: LeftOut
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


def read_images(
  project: Project,
  drawings: Iterable[Drawing],
  templates: Mapping[str, Template] | None = None,
) -> list[Image]:
  """Returns the images of drawings, near the labels, with their people.

  Classes that are not among the templates have the keypoints that were seen, in
  the order of the project's.

  Raises:
    ValueError: no image is there, or a keypoint is neither in its template nor
      among the project's.
  """
  found = project.find_images(project.folder)
  pairs = []
  for drawing in drawings:
    image = found.open(
      *drawing.names,
      size=drawing.size,
      split=drawing.split,
      embedded=drawing.embedded,
    )
    if image is not None:
      pairs.append((image, drawing.figures(image.size or (0, 0))))
  found.check_found(project.source, len(pairs))
  add_people(pairs, project.keypoints, templates or {})
  return [image for image, _ in pairs]


def add_people(
  images: Sequence[tuple[Image, Sequence[Figure]]],
  order: Sequence[str] = (),
  templates: Mapping[str, Template] | None = None,
) -> None:
  """Gives images the people of their figures, see `read_images`."""
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
  categories: dict[_Key, Category] = {}
  for keys in _alike(seen, templates):
    names = list(dict.fromkeys(n for key in keys for n in seen[key]))
    limbs: Sequence[tuple[int, int]] = ()
    named = filter(None, (templates.get(key[1] or "") for key in keys))
    template = next(named, None)
    if template is not None:
      names = list(dict.fromkeys([*template.keypoints, *names]))
      limbs = template.limbs
    else:
      names = list(_ordered(names, order))
    # Classes without a name are in the largest that has one.
    labelled = [key for key in keys if key[1] is not None] or keys
    largest = max(labelled, key=lambda key: len(seen[key]))
    by_name: dict[str, Category] = {}
    for key in keys:
      name = _name(key if key in labelled else largest)
      categories[key] = by_name.setdefault(
        name, Category(name, tuple(names), tuple(limbs))
      )
  return categories


def _name(key: _Key) -> str:
  return key[1] or key[0] or DEFAULT_NAME


def _alike(
  seen: Mapping[_Key, Sequence[str]], templates: Mapping[str, Template]
) -> list[list[_Key]]:
  """Groups the classes that have the same keypoints.

  They have the same name, or one tool drew them without a template and they
  share at least half of the keypoints of the smaller.
  """
  groups: list[list[_Key]] = []
  for key in sorted(seen, key=lambda k: -len(seen[k])):  # stable
    alike = [
      group
      for group in groups
      if any(
        _name(key) == _name(other)
        or (
          key[0] == other[0]
          and not {key[1], other[1]} & {*templates}
          and 2 * len({*seen[key]} & {*seen[other]})
          >= min(len(seen[key]), len(seen[other]))
        )
        for other in group
      )
    ]
    groups = [g for g in groups if g not in alike]
    groups.append([k for group in alike for k in group] + [key])
  return groups


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

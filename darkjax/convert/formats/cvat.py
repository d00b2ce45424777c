"""CVAT's xml 1.1, as "CVAT for images" and "CVAT for video" export it.

A skeleton is a person: its class, the order of its keypoints and its edges are
those of the labels in the file's head. A point that is `outside` is not
labelled, one that is `occluded` is hidden. A rectangle in the same group is the
person's box. Points drawn without a skeleton are read as in shapes.py where
they are single, else as the numbered keypoints of a person of their label; of
several lengths under one label the most usual counts.

In projects each image has a subset, which is its split: train, val and test for
CVAT's Train, Validation and Test. Exports for video have frames in place of
names, which are looked for as frame_000000 with any suffix; each task counts
them from 0, so that a project may have one video in a subset. What is between
the keyframes of a track nobody drew, and it is left out.

CVAT does not say what an integer coordinate is; its canvas has 0 at the left
edge of the first pixel. Numbers are taken as they are: points may lie half a
pixel too far to the right and down.

Reference: docs.cvat.ai/docs/other/xml_format, and dump_as_cvat_annotation in
cvat/apps/dataset_manager/formats/cvat.py of github.com/cvat-ai/cvat.
"""

import functools
import math
import pathlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from darkjax.convert import shapes
from darkjax.convert.formats import cvat_labels
from darkjax.convert.labels import (
  HIDDEN,
  UNLABELLED,
  VISIBLE,
  Image,
  LeftOut,
  Size,
)
from darkjax.convert.project import Project

_Element = ElementTree.Element
_SPLITS = {"validation": "val", "valid": "val", "training": "train"}
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


class _Entry(NamedTuple):
  """The shapes of one image."""

  names: Sequence[str]
  size: Size | None
  split: str
  shapes: Sequence[_Element]


def read(project: Project) -> list[Image]:
  """Reads an annotations.xml."""
  root = parse(project.source)
  entries = [*_images(root), *_frames(root, project.source, project.left_out)]
  if {entry.split for entry in entries} != {""}:
    entries = [e._replace(split=e.split or "default") for e in entries]
  lengths = _usual_lengths(entries)
  drawings = (
    shapes.Drawing(
      entry.names,
      functools.partial(_figures, entry, lengths, project),
      entry.size,
      entry.split,
    )
    for entry in entries
  )
  templates = cvat_labels.read_templates(root)
  return shapes.read_images(project, drawings, templates)


def parse(path: pathlib.Path) -> _Element:
  """Returns the root of CVAT's xml.

  Raises:
    ValueError: not xml, or another one.
  """
  try:
    root = ElementTree.parse(path).getroot()
  except (ElementTree.ParseError, ValueError) as error:
    raise ValueError(
      f"{path}: not valid xml ({error}); it may be cut short: export it again"
    ) from error
  if root.tag != "annotations" or root.findtext("version") not in ("1.1", None):
    raise ValueError(
      f"{path}: expected CVAT's <annotations> of version 1.1, got <{root.tag}> "
      f"{root.findtext('version') or ''}; export as CVAT 1.1"
    )
  for element in root.iter():
    if "label" in element.attrib:
      element.set("label", element.attrib["label"].strip())
    if element.tag in ("name", "parent"):
      element.text = (element.text or "").strip()
  return root


def _images(root: _Element) -> Iterator[_Entry]:
  for image in root.iter("image"):
    size = _size(image.get("height"), image.get("width"))
    name, subset = image.get("name", ""), image.get("subset", "")
    yield _entry(name, size, subset, list(image))


def _entry(
  name: str, size: Size | None, subset: str, listed: Sequence[_Element]
) -> _Entry:
  """The shapes of an image, which a project has in a folder of its subset."""
  split = _SPLITS.get(subset.lower(), subset.lower())
  names = [f"images/{subset}/{name}", name] if subset else [name]
  return _Entry(names, size, split, listed)


def _frames(
  root: _Element, source: pathlib.Path, left_out: LeftOut
) -> Iterator[_Entry]:
  """Yields the images of an export for video, all frames with a label.

  Raises:
    ValueError: tasks of one subset, whose frames have the same names.
  """
  frames: dict[tuple[str, int], list[_Element]] = {}
  tasks: dict[tuple[str, int], str] = {}
  for track in root.iter("track"):
    subset, task = track.get("subset", ""), track.get("task_id", "")
    for shape in track:
      if shape.get("keyframe") == "0":
        left_out["shapes between keyframes, which CVAT interpolated"] += 1
      elif not _is_outside(shape):
        shape.set("label", track.get("label", ""))
        if track.get("group_id"):
          shape.set("group_id", track.get("group_id", ""))
        key = subset, int(shape.get("frame", 0))
        if tasks.setdefault(key, task) != task:
          raise ValueError(
            f"{source}: tasks {tasks[key]} and {task} both have a frame "
            f"{key[1]}{subset and f' in the subset {subset}'}, and CVAT names "
            "their images alike: export each task by itself"
          )
        frames.setdefault(key, []).append(shape)
  size = _size(
    root.findtext(".//original_size/height"),
    root.findtext(".//original_size/width"),
  )
  for (subset, number), listed in sorted(frames.items()):
    yield _entry(f"frame_{number:06d}", size, subset, listed)


def _is_outside(shape: _Element) -> bool:
  """Whether a shape is; of skeletons mostly the points say so alone."""
  points = [point.get("outside") == "1" for point in shape.iterfind("points")]
  return shape.get("outside") == "1" or (bool(points) and all(points))


def _size(height: str | None, width: str | None) -> Size | None:
  return None if not height or not width else (int(height), int(width))


def _figures(
  entry: _Entry, lengths: dict[str, int], project: Project, size: Size
) -> list[shapes.Figure]:
  """The people of an image: skeletons, rows of points, and single points."""
  del size  # coordinates are in px
  points, boxes, figures = [], [], []
  name, left_out = f"{project.source}: {entry.names[0]}", project.left_out
  for shape in entry.shapes:
    label, group = shape.get("label", ""), shape.get("group_id")
    if shape.tag == "skeleton":
      figures.append((group, _skeleton(shape, label, name)))
    elif shape.tag == "box" and float(shape.get("rotation", 0)):
      left_out["boxes that are rotated"] += 1
    elif shape.tag == "box":
      boxes.append(shapes.Box(label, _bbox(shape, name), group))
    elif shape.tag == "points":
      row = _coordinates(shape, name)
      hidden = shape.get("occluded") == "1"
      if lengths[label] == 1 == len(row):
        points.append(shapes.Point(label, *row[0], hidden, group))
      elif len(row) == lengths[label]:
        figures.append((group, _row(row, label, hidden)))
      else:
        left_out["rows of points of an unusual length"] += 1
    else:
      left_out[f"shapes of the type {shape.tag}"] += 1
  own, free = [], list(boxes)
  for group, figure in figures:
    around = [b for b in boxes if group is not None and b.group == group]
    if len(around) == 1 and around[0] in free:
      free.remove(around[0])
      figure = figure._replace(bbox=around[0].bbox)
    own.append(figure)
  return [*own, *shapes.find_figures(points, free, left_out)]


def _usual_lengths(entries: Sequence[_Entry]) -> dict[str, int]:
  """The number of points that the rows of each label usually have."""
  counts: dict[str, Counter[int]] = {}
  for entry in entries:
    for shape in entry.shapes:
      if shape.tag == "points":
        number = shape.get("points", "").count(";") + 1
        counts.setdefault(shape.get("label", ""), Counter())[number] += 1
  return {label: c.most_common(1)[0][0] for label, c in counts.items()}


def _skeleton(shape: _Element, label: str, name: str) -> shapes.Figure:
  points = {}
  for point in shape.iter("points"):
    x, y, visibility = 0.0, 0.0, UNLABELLED
    if point.get("outside") != "1":
      ((x, y),) = _coordinates(point, name, count=1)
      visibility = HIDDEN if point.get("occluded") == "1" else VISIBLE
    points[point.get("label", "")] = (x, y, visibility)
  return shapes.Figure(points, label, kind="skeleton")


def _row(
  row: Sequence[tuple[float, float]], label: str, hidden: bool
) -> shapes.Figure:
  visibility = HIDDEN if hidden else VISIBLE
  points = {str(i): (x, y, visibility) for i, (x, y) in enumerate(row, start=1)}
  return shapes.Figure(points, label, kind="points")


def _coordinates(
  shape: _Element, name: str, count: int | None = None
) -> list[tuple[float, float]]:
  text = shape.get("points", "")
  try:
    pairs = [tuple(map(_finite, pair.split(","))) for pair in text.split(";")]
  except ValueError:
    pairs = []
  if {len(p) for p in pairs} != {2} or count not in (None, len(pairs)):
    raise ValueError(
      f"{name}: points of {shape.get('label')!r} should be x,y;x,y;... of "
      f"finite numbers, got {text[:80]!r}"
    )
  return [(pair[0], pair[1]) for pair in pairs]


def _bbox(shape: _Element, name: str) -> tuple[float, float, float, float]:
  try:
    x1, y1, x2, y2 = (_finite(shape.attrib[k]) for k in _CORNERS)
  except (KeyError, ValueError) as error:
    raise ValueError(
      f"{name}: a box needs the finite numbers {', '.join(_CORNERS)}, got "
      f"{shape.attrib}"
    ) from error
  return x1, y1, x2 - x1, y2 - y1


def _finite(text: str) -> float:
  number = float(text)
  if not math.isfinite(number):
    raise ValueError(f"{text} is not finite")
  return number

"""labelme's json files, one for each image, also X-AnyLabeling's.

A `point` is a keypoint named by its label, a `rectangle` the box of a person;
`group_id` says what belongs together, see shapes.py. A point is hidden where a
flag of its shape that is named occluded, hidden or invisible is set, or
X-AnyLabeling's `difficult`. Other shapes are left out and counted. Where the
image is gone, the one inside the json (`imageData`) is written.

Neither tool says what an integer coordinate is; labelme's canvas has 0 at the
left edge of the first pixel, so that a click on the centre of a pixel is stored
as .5. Numbers are taken as they are: all points may lie half a pixel too far to
the right and down.

Reference: github.com/wkentaro/labelme, examples/primitives/primitives.json.
"""

import base64
import functools
import pathlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.convert import shapes
from darkjax.convert.labels import (
  Bbox,
  Frame,
  Image,
  LeftOut,
  Size,
  is_converted,
)
from darkjax.convert.project import Project
from darkjax.metrics.coco_annotations import finite_numbers
from darkjax.runtime.json_file import read_json


def is_labelme(content: Any) -> bool:
  """Returns whether the content of a json is labelme's."""
  return (
    isinstance(content, Mapping)
    and isinstance(content.get("shapes"), list)
    and "imagePath" in content
  )


def read(project: Project) -> list[Image]:
  """Reads one json or all of a folder."""
  paths = project.list_files("**/*.json")
  images = shapes.read_images(project, _drawings(paths, project))
  if not images:
    raise ValueError(
      f"{project.source}: none of its {len(paths)} jsons is labelme's (with "
      "'shapes' and 'imagePath'); leave out --format to see what they are"
    )
  return images


def _drawings(
  paths: Sequence[pathlib.Path], project: Project
) -> Iterator[shapes.Drawing]:
  for path in paths:
    content = read_json(path)
    if is_converted(content):
      continue
    if not is_labelme(content):
      project.left_out["json files that are not labelme's"] += 1
      continue
    name = str(content["imagePath"]).replace("\\", "/")
    beside = path.parent.relative_to(project.folder).as_posix()
    yield shapes.Drawing(
      [posixpath.normpath(posixpath.join(beside, name))],
      functools.partial(_figures, content["shapes"], path, project.left_out),
      _size(content),
      embedded=_embedded(content, path, beside),
    )


def _size(content: Mapping[str, Any]) -> Size | None:
  height, width = content.get("imageHeight"), content.get("imageWidth")
  if isinstance(height, int) and isinstance(width, int):
    return height, width
  return None


def _embedded(
  content: Mapping[str, Any], path: pathlib.Path, beside: str
) -> Frame | None:
  """The image inside the json of a path, which is read again to write it."""
  if not content.get("imageData"):
    return None
  name = str(content["imagePath"])
  suffix = pathlib.PurePath(name).suffix.lower()
  # labelme stores all others as PNG.
  suffix = suffix if suffix in (".jpg", ".jpeg") else ".png"

  def read() -> bytes:
    try:
      return base64.b64decode(read_json(path)["imageData"], validate=True)
    except ValueError as error:
      raise ValueError(
        f"{path}: its image {name} is not there, and its "
        f"imageData is damaged ({error})"
      ) from error

  return Frame(f"{beside}/{path.stem}{suffix}".removeprefix("./"), read)


def _figures(
  listed: Sequence[Any], path: pathlib.Path, left_out: LeftOut, size: Size
) -> list[shapes.Figure]:
  del size  # coordinates are in px
  points, boxes = [], []
  for number, shape in enumerate(listed):
    if not isinstance(shape, Mapping):
      raise ValueError(f"{path}: shape {number} is {shape!r}, not a dictionary")
    kind = shape.get("shape_type") or "polygon"
    if kind not in ("point", "rectangle"):
      left_out[f"shapes of the type {kind}"] += 1
      continue
    corners = [finite_numbers(p, (2,)) for p in shape.get("points") or ()]
    # Newer versions of X-AnyLabeling write all four corners of a rectangle.
    expected = (1,) if kind == "point" else (2, 4)
    if len(corners) not in expected or any(c is None for c in corners):
      raise ValueError(
        f"{path}: shape {number}, a {kind}, expected {expected[0]} finite "
        f"point(s) (x, y), got {shape.get('points')!r}"
      )
    label, group = str(shape.get("label")).strip(), shape.get("group_id")
    xy = [(float(c[0]), float(c[1])) for c in corners if c is not None]
    if kind == "point":
      points.append(shapes.Point(label, *xy[0], _is_hidden(shape), group))
    else:
      boxes.append(shapes.Box(label, _extent(xy), group))
  return shapes.find_figures(points, boxes, left_out)


def _is_hidden(shape: Mapping[str, Any]) -> bool:
  flags = shape.get("flags") or {}
  names = [name for name, value in flags.items() if value]
  return any(map(shapes.says_hidden, names)) or bool(shape.get("difficult"))


def _extent(corners: Sequence[tuple[float, float]]) -> Bbox:
  xs, ys = zip(*corners, strict=True)
  return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

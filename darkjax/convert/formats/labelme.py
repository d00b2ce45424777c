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
import pathlib
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from darkjax.convert import shapes
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  Bbox,
  Frame,
  Labels,
  LeftOut,
  Size,
  is_converted,
)
from darkjax.metrics.coco_annotations import finite_numbers
from darkjax.runtime.json_file import read_json


def is_labelme(content: Any) -> bool:
  """Returns whether the content of a json is labelme's."""
  return (
    isinstance(content, Mapping)
    and isinstance(content.get("shapes"), list)
    and "imagePath" in content
  )


def read(
  source: pathlib.Path,
  images: Sequence[pathlib.Path] = (),
  keypoints: Sequence[str] = (),
) -> Labels:
  """Reads one json or all of a folder.

  Args:
    source: the json or the folder.
    images: further folders to look for images in.
    keypoints: names of all keypoints in their order; () for that of shapes.py.

  Raises:
    ValueError: a file that is damaged or names no image that is there.
  """
  paths = sorted(source.rglob("*.json")) if source.is_dir() else [source]
  left_out = LeftOut()
  folder = source if source.is_dir() else source.parent
  found = ImageFiles([*images, folder], left_out)
  pairs = []
  for path in paths:
    content = read_json(path)
    if is_converted(content):
      continue
    if not is_labelme(content):
      left_out["json files that are not labelme's"] += 1
      continue
    name = str(content["imagePath"]).replace("\\", "/")
    beside = path.parent.relative_to(folder).as_posix()
    image = found.open(
      posixpath.normpath(posixpath.join(beside, name)),
      size=_size(content),
      embedded=_embedded(content, path, beside),
    )
    if image is not None:
      points, boxes = _shapes(content["shapes"], path, left_out)
      pairs.append((image, shapes.find_figures(points, boxes, left_out)))
  found.check_found(source, len(pairs))
  if not pairs:
    raise ValueError(
      f"{source}: none of its {len(paths)} jsons is labelme's (with 'shapes' "
      "and 'imagePath'); leave out --format to see what they are"
    )
  return shapes.to_labels(pairs, left_out, order=keypoints)


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


def _shapes(
  listed: Sequence[Any], path: pathlib.Path, left_out: LeftOut
) -> tuple[list[shapes.Point], list[shapes.Box]]:
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
  return points, boxes


def _is_hidden(shape: Mapping[str, Any]) -> bool:
  flags = shape.get("flags") or {}
  names = [name for name, value in flags.items() if value]
  return any(map(shapes.says_hidden, names)) or bool(shape.get("difficult"))


def _extent(corners: Sequence[tuple[float, float]]) -> Bbox:
  xs, ys = zip(*corners, strict=True)
  return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

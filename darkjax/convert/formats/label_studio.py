"""Label Studio's json export ("JSON", not "JSON-MIN").

Keypoints and rectangles of an image, in percent of its size: px are x / 100
times the width. What belongs together is said by a region's parent
(`parentID`) or a relation between a keypoint and its rectangle, in either
direction, else see shapes.py. A keypoint is hidden where a choice for its
region says occluded, hidden, invisible or not visible. Keypoints that are
related to each other are one person, without a rectangle too.

Of several annotations of a task the one marked as ground truth is used, else
the first that was not cancelled. Predictions are not labels. Images that were
rotated in Label Studio, or that are in their tasks as base64, are left out.

The percentages count from the edge of the first pixel, and Label Studio does
not say what an integer px is. Numbers are taken as they are: points may lie
half a pixel too far to the right and down.

Reference: labelstud.io/tags/keypointlabels and labelstud.io/guide/export.
"""

import functools
import pathlib
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.convert import shapes
from darkjax.convert.labels import Image, LeftOut, Size
from darkjax.convert.project import Project
from darkjax.metrics.coco_annotations import finite_numbers
from darkjax.runtime.json_file import read_json

_KINDS = {"keypointlabels", "rectanglelabels"}
# Results that say something about others, not shapes.
_OTHER = {"relation", "choices", "labels"}
_BOX = ("x", "y", "width", "height")
# Of uploaded files: abcd1234-name.png.
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


def is_label_studio(content: Any) -> bool:
  """Returns whether the content of a json is Label Studio's."""
  return (
    isinstance(content, list)
    and bool(content)
    and all(isinstance(task, Mapping) for task in content)
    and isinstance(content[0].get("data"), Mapping)
    and ("annotations" in content[0] or "completions" in content[0])
  )


def is_minimal(content: Any) -> bool:
  """Returns whether the content of a json is of an export as JSON-MIN."""
  return (
    isinstance(content, list)
    and bool(content)
    and isinstance(content[0], Mapping)
    and "annotation_id" in content[0]
    and "data" not in content[0]
  )


def read(project: Project) -> list[Image]:
  """Reads an export."""
  source, content = project.source, read_json(project.source)
  if is_minimal(content):
    raise ValueError(
      f"{source}: an export as JSON-MIN, which drops what belongs together; "
      "export again as JSON"
    )
  if not is_label_studio(content):
    raise ValueError(
      f"{source}: expected Label Studio's list of tasks with 'data' and "
      "'annotations'; export as JSON"
    )
  return shapes.read_images(project, _drawings(content, project))


def _drawings(
  tasks: Sequence[Mapping[str, Any]], project: Project
) -> Iterator[shapes.Drawing]:
  for task in tasks:
    results = _results(task, project.left_out)
    if any(r.get("image_rotation") for r in results):
      project.left_out["images rotated in Label Studio"] += 1
      continue
    name = f"{project.source}: task {task.get('id')}"
    if _url(task).startswith("data:"):
      project.left_out.add("images inside the task (save them as files)", name)
      continue
    figures = functools.partial(_figures, results, name, project.left_out)
    yield shapes.Drawing(_names(task), figures, _size(results))


def _results(task: Mapping[str, Any], left_out: LeftOut) -> list[dict]:
  """The regions and relations of the annotation of a task that counts."""
  listed = task.get("annotations") or task.get("completions") or []
  usable = [a for a in listed if not a.get("was_cancelled")]
  usable.sort(key=lambda a: not a.get("ground_truth"))  # stable
  if not usable:
    left_out["tasks that nobody annotated"] += 1
    return []
  left_out["second annotations of a task"] += len(usable) - 1
  return [r for r in usable[0].get("result") or () if isinstance(r, dict)]


def _url(task: Mapping[str, Any]) -> str:
  data = task.get("data") or {}
  texts = [v for v in [data.get("image"), *data.values()] if v]
  urls = [urllib.parse.unquote(v) for v in texts if isinstance(v, str)]
  # A task may hold other texts too.
  likely = [url for url in urls if pathlib.PurePath(url).suffix]
  return next(iter([*likely, *urls]), "")


def _names(task: Mapping[str, Any]) -> list[str]:
  """Where the image of a task may lie, the most certain first."""
  url = _url(task)
  original = (task.get("meta") or {}).get("original_file")
  upload = task.get("file_upload")
  # /data/local-files/?d=folder/name.png and s3://bucket/folder/name.png
  path = url.partition("?d=")[2] or url.partition("?")[0]
  path = re.sub(r"^\w+://[^/]+", "", path).lstrip("/")
  names = [str(name) for name in (original, path, upload) if name]
  bare = [name.replace("\\", "/").rpartition("/")[2] for name in names]
  uploads = [name for name in bare if _UPLOAD.match(name)]
  return [*names, *uploads, *(_UPLOAD.sub("", n) for n in uploads)] or [
    "(no name)"
  ]


def _size(results: Sequence[Mapping[str, Any]]) -> Size | None:
  for result in results:
    height, width = result.get("original_height"), result.get("original_width")
    if isinstance(height, int) and isinstance(width, int):
      return height, width
  return None


def _figures(
  results: Sequence[Mapping[str, Any]], name: str, left_out: LeftOut, size: Size
) -> list[shapes.Figure]:
  regions = {
    str(r.get("id", number)): r
    for number, r in enumerate(results)
    if r.get("type") in _KINDS
  }
  for result in results:
    if result.get("type") not in _KINDS | _OTHER:
      left_out[f"regions of the type {result.get('type')}"] += 1
  groups = _groups(results, regions)
  hidden = {
    r.get("id")
    for r in results
    if r.get("type") == "choices"
    and any(map(shapes.says_hidden, r["value"].get("choices", ())))
  }
  points, boxes = [], []
  for key, region in regions.items():
    value, kind = region.get("value") or {}, region["type"]
    label = str((value.get(kind) or [""])[0]).strip()
    fields = ("x", "y") if kind == "keypointlabels" else _BOX
    numbers = finite_numbers([value.get(f) for f in fields], (len(fields),))
    if numbers is None:
      raise ValueError(
        f"{name}: region {key} expected finite {', '.join(fields)} in percent, "
        f"got {dict(value)}"
      )
    scale = [size[1] / 100, size[0] / 100] * (len(fields) // 2)
    x, y, *extent = [float(n * s) for n, s in zip(numbers, scale, strict=True)]
    group = groups.get(key)
    if not label:
      left_out["regions without a label"] += 1
    elif kind == "keypointlabels":
      control = str(region.get("from_name", ""))
      points.append(shapes.Point(label, x, y, key in hidden, group, control))
    elif value.get("rotation"):
      left_out["boxes that are rotated"] += 1
    else:
      boxes.append(shapes.Box(label, (x, y, extent[0], extent[1]), key))
  return shapes.find_figures(points, boxes, left_out)


def _groups(
  results: Sequence[Mapping[str, Any]], regions: Mapping[str, Mapping]
) -> dict[str, str]:
  """The person of each keypoint: the id of a rectangle, or of a keypoint."""
  pairs: list[tuple] = [
    (i, region.get("parentID")) for i, region in regions.items()
  ]
  pairs += [
    (r.get("from_id"), r.get("to_id"))
    for r in results
    if r.get("type") == "relation"
  ]
  boxes: dict[str, str] = {}
  related = {i: {i} for i in regions}
  for a, b in [*pairs, *((b, a) for a, b in pairs)]:
    kinds = [regions.get(i, {}).get("type") for i in (a, b)]
    if kinds == ["keypointlabels", "rectanglelabels"]:
      boxes[a] = b
    elif kinds == ["keypointlabels", "keypointlabels"]:
      united = related[a] | related[b]
      related.update(dict.fromkeys(united, united))
  groups: dict[str, str] = {}
  for people in related.values():
    own = {boxes[i] for i in people if i in boxes}
    # Of several boxes, relations are between people.
    if len(own) < 2 and len(people | own) > 1:
      groups |= dict.fromkeys(people, min(own or people))
  return groups | boxes

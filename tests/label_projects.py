"""Small projects as labelling tools write them, and the labels in them.

Two images of 120 x 90 px; on the first a dog and a person, on the second a dog.
"""

import json
import pathlib
import textwrap

import numpy as np
import PIL.Image

WIDTH, HEIGHT = 120, 90
NAMES = ("nose", "left_paw", "right_paw")
# (x, y), px; NaN is not labelled.
FIRST = [[10.25, 20.5], [30.0, 60.0], [50.0, 40.0]]
SECOND = [[70.0, 30.0], [90.0, 50.0], [np.nan, np.nan]]
ALONE = [[60.0, 45.0], [np.nan, np.nan], [np.nan, np.nan]]


def image(path: pathlib.Path, colour=(10, 20, 30), **options) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  PIL.Image.new("RGB", (WIDTH, HEIGHT), colour).save(path, **options)
  return path


def read_json(path: pathlib.Path) -> dict:
  return json.loads(path.read_text())


def keypoints(content: dict) -> dict[str, list[np.ndarray]]:
  """Keypoints [K, 3] of the people of each image, by its file name."""
  names = {i["id"]: i["file_name"] for i in content["images"]}
  found: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
  for person in content["annotations"]:
    points = np.reshape(person["keypoints"], (-1, 3))
    found[names[person["image_id"]]].append(points)
  return found


def flat(points, visibility=2) -> np.ndarray:
  """[K, 3] as they should be read: zeros for NaN."""
  points = np.array(points)
  seen = np.isfinite(points).all(1)
  rows = np.c_[points, np.full(len(points), visibility)]
  return np.where(seen[:, None], rows, 0.0)


def _row(*people) -> str:
  cells = np.concatenate([np.ravel(p) for p in people])
  return ",".join("" if np.isnan(c) else repr(float(c)) for c in cells)


def deeplabcut(folder: pathlib.Path) -> pathlib.Path:
  """A project of one animal, with paths of Windows, as older versions do."""
  (folder / "labeled-data").mkdir(parents=True)
  (folder / "config.yaml").write_text(
    textwrap.dedent("""\
      Task: reach
      scorer: Ann
      multianimalproject: false
      video_sets:
        C:\\videos\\one.avi:
          crop: 0, 120, 0, 90
      bodyparts:
      - nose
      - left_paw
      - right_paw
      skeleton:
      - - nose
        - left_paw
      - - nose
        - tail
      """)
  )
  names = [name for name in NAMES for _ in "xy"]
  lines = [
    ",".join(["scorer"] + ["Ann"] * 6),
    ",".join(["bodyparts", *names]),
    ",".join(["coords", *"xy" * 3]),
    "labeled-data\\one\\img001.png," + _row(FIRST),
    "labeled-data\\one\\img002.png," + _row(ALONE),
  ]
  for name in ("img001.png", "img002.png"):
    image(folder / "labeled-data" / "one" / name)
  path = folder / "labeled-data" / "one" / "CollectedData_Ann.csv"
  path.write_text("\n".join(lines) + "\n")
  return folder


def deeplabcut_several(folder: pathlib.Path) -> pathlib.Path:
  """A csv of several animals and a unique bodypart; its path has cells."""
  labels = [
    *(("m1", name) for name in NAMES),
    *(("m2", name) for name in NAMES),
    ("single", "nest"),
  ]
  pairs = [label for label in labels for _ in "xy"]
  lines = [
    ",".join(["scorer", "", ""] + ["Ann"] * len(pairs)),
    ",".join(["individuals", "", "", *(i for i, _ in pairs)]),
    ",".join(["bodyparts", "", "", *(b for _, b in pairs)]),
    ",".join(["coords", "", "", *"xy" * len(labels)]),
    "labeled-data,one,img001.png," + _row(FIRST, SECOND, [[5.0, 6.0]]),
    "labeled-data,two,img001.png,"
    + _row(np.full((3, 2), np.nan), ALONE, [[np.nan, np.nan]]),
  ]
  for video in ("one", "two"):
    image(folder / "labeled-data" / video / "img001.png")
  path = folder / "labeled-data" / "one" / "CollectedData_Ann.csv"
  path.write_text("\n".join(lines) + "\n")
  return path


def lightning_pose(folder: pathlib.Path) -> pathlib.Path:
  """A csv beside labeled-data/, as lightning-pose has it."""
  names = [name for name in NAMES for _ in "xy"]
  lines = [
    ",".join(["scorer"] + ["rick"] * 6),
    ",".join(["bodyparts", *names]),
    ",".join(["coords", *"xy" * 3]),
    "labeled-data/one/img01.png," + _row(FIRST),
    "labeled-data/one/img02.png," + _row(SECOND),
  ]
  for name in ("img01.png", "img02.png"):
    image(folder / "labeled-data" / "one" / name)
  path = folder / "CollectedData.csv"
  path.write_text("\n".join(lines) + "\n")
  return path


def labelme(folder: pathlib.Path) -> pathlib.Path:
  """A json for each image: two people in groups, then one without."""

  def shape(kind, label, points, group=None, **flags):
    return {
      "label": label,
      "points": points,
      "group_id": group,
      "description": "",
      "shape_type": kind,
      "flags": flags,
    }

  first = [
    *(shape("point", n, [p], 1) for n, p in zip(NAMES, FIRST, strict=True)),
    shape("rectangle", "dog", [[60.0, 60.0], [5.0, 15.0]], 1),
    shape("point", "nose", [SECOND[0]], 2),
    shape("point", "left_paw", [SECOND[1]], 2, occluded=True),
    shape("polygon", "grass", [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]),
  ]
  for name, shapes in (
    ("a", first),
    ("b", [shape("point", "nose", [ALONE[0]])]),
  ):
    image(folder / f"{name}.jpg")
    content = {
      "version": "5.2.1",
      "flags": {},
      "shapes": shapes,
      "imagePath": f"{name}.jpg",
      "imageData": None,
      "imageHeight": HEIGHT,
      "imageWidth": WIDTH,
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
  return folder


def cvat(folder: pathlib.Path) -> pathlib.Path:
  """A project of skeletons with two subsets, as "CVAT for images"."""
  svg = "".join(
    f'<circle r="1.5" data-type="element node" data-element-id="{k}" '
    f'data-node-id="{k}" data-label-name="{name}"></circle>'
    for k, name in enumerate(NAMES, start=1)
  )
  svg = (
    '<line data-type="edge" data-node-from="1" data-node-to="3"></line>' + svg
  )
  svg = svg.replace("<", "&lt;").replace(">", "&gt;")
  subs = "".join(
    f"<label><name>{n}</name><type>points</type><parent>dog</parent></label>"
    for n in sorted(NAMES)
  )

  def skeleton(points, group="", hidden=()):
    rows = ""
    for name, (x, y) in zip(NAMES, points, strict=True):
      outside = int(np.isnan(x))
      place = "3.00,4.00" if outside else f"{x:.2f},{y:.2f}"
      rows += (
        f'<points label="{name}" source="manual" outside="{outside}" '
        f'occluded="{int(name in hidden)}" points="{place}"></points>'
      )
    return (
      f'<skeleton label="dog" source="manual" z_order="0"{group}>{rows}'
      "</skeleton>"
    )

  group = ' group_id="4"'
  box = (
    '<box label="dog_box" source="manual" occluded="0" xtl="5.00" ytl="15.00" '
    f'xbr="60.00" ybr="65.00" z_order="0"{group}></box>'
  )
  size = f'width="{WIDTH}" height="{HEIGHT}"'
  text = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1'
    "</version><meta><project><labels><label><name>dog</name><type>skeleton"
    f"</type><svg>{svg}</svg></label>{subs}</labels></project></meta>"
    f'<image id="0" name="a.png" subset="Train" task_id="1" {size}>'
    f"{box}{skeleton(FIRST, group)}{skeleton(SECOND, hidden=('left_paw',))}"
    "<tag label='good'></tag></image>"
    f'<image id="1" name="b.png" subset="Validation" task_id="1" {size}>'
    f"{skeleton(ALONE)}</image></annotations>"
  )
  image(folder / "images" / "Train" / "a.png")
  image(folder / "images" / "Validation" / "b.png")
  path = folder / "annotations.xml"
  path.write_text(text)
  return path


def yolo(folder: pathlib.Path, dimensions: int = 3) -> pathlib.Path:
  """Train and val, with the path that exporters write for other machines."""
  size = np.array([WIDTH, HEIGHT])

  def line(points, number):
    points = np.array(points)
    seen = np.isfinite(points).all(1)
    low, high = points[seen].min(0) - 4, points[seen].max(0) + 4
    box = np.r_[(low + high) / 2 / size, (high - low) / size]
    rows = np.where(seen[:, None], points / size, 0.0)
    if dimensions == 3:
      rows = np.c_[rows, np.where(seen, 2, 0)]
    numbers = [*box, *rows.ravel()]
    return " ".join([str(number), *(f"{n:.6f}" for n in numbers)])

  for split, name, lines in (
    ("train", "a", [line(FIRST, 0), line(SECOND, 1)]),
    ("valid", "b", [line(ALONE, 0)]),
  ):
    image(folder / split / "images" / f"{name}.jpg")
    path = folder / split / "labels" / f"{name}.txt"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
  path = folder / "data.yaml"
  path.write_text(
    textwrap.dedent(f"""\
      train: ../train/images
      val: ../valid/images
      kpt_shape: [3, {dimensions}]
      flip_idx: [0, 2, 1]
      kpt_names:
        0: [nose, left_paw, right_paw]
        1: [head, left_hand, right_hand]
      names: ['dog', 'person']
      """)
  )
  return folder


def label_studio(folder: pathlib.Path) -> pathlib.Path:
  """Two tasks: one with relations to boxes, one of points alone."""

  def region(key, kind, label, control, **value):
    return {
      "original_width": WIDTH,
      "original_height": HEIGHT,
      "image_rotation": 0,
      "value": {**value, kind: [label]},
      "id": key,
      "from_name": control,
      "to_name": "image",
      "type": kind,
    }

  def point(key, name, xy):
    x, y = 100 * xy[0] / WIDTH, 100 * xy[1] / HEIGHT
    return region(key, "keypointlabels", name, "kp", x=x, y=y, width=0.4)

  def box(key, label, x, y, w, h):
    percent = {
      "x": 100 * x / WIDTH,
      "y": 100 * y / HEIGHT,
      "width": 100 * w / WIDTH,
      "height": 100 * h / HEIGHT,
      "rotation": 0,
    }
    return region(key, "rectanglelabels", label, "box", **percent)

  first = [box("B1", "dog", 5, 15, 55, 50), box("B2", "dog", 60, 20, 40, 40)]
  for k, (name, xy) in enumerate(zip(NAMES, FIRST, strict=True)):
    first.append(point(f"p{k}", name, xy))
    ends = ("B1", f"p{k}") if k == 1 else (f"p{k}", "B1")  # in either way
    relation = dict(zip(("from_id", "to_id"), ends, strict=True))
    first.append(relation | {"type": "relation", "direction": "right"})
  for k, (name, xy) in enumerate(zip(NAMES[:2], SECOND, strict=False)):
    first.append({**point(f"q{k}", name, xy), "parentID": "B2"})
  first.append(
    region("q1", "choices", "", "seen") | {"value": {"choices": ["Occluded"]}}
  )
  second = [point("r", "nose", ALONE[0])]
  tasks = [
    {
      "id": number,
      "annotations": [
        {"id": 1, "was_cancelled": True, "result": []},
        {"id": number, "was_cancelled": False, "result": result},
      ],
      "file_upload": f"0a1b2c3d-{name}",
      "predictions": [],
      "data": {"image": f"/data/upload/7/0a1b2c3d-{name}"},
      "meta": {},
    }
    for number, name, result in ((11, "a.png", first), (12, "b.png", second))
  ]
  for name in ("a.png", "b.png"):
    image(folder / "photos" / name)
  path = folder / "project-7.json"
  path.write_text(json.dumps(tasks, indent=1))
  return path


def coco(folder: pathlib.Path) -> pathlib.Path:
  """Two jsons without boxes or areas, as some tools write them."""
  category = {
    "id": 3,
    "name": "dog",
    "keypoints": list(NAMES),
    "skeleton": [[1, 2]],
    "sigmas": [0.03, 0.06, 0.06],
  }
  for split, name, people in (
    ("train", "a.jpg", [FIRST, SECOND]),
    ("val", "b.jpg", [ALONE]),
  ):
    image(folder / f"{split}2020" / name)
    content = {
      "images": [
        {"id": 40, "file_name": name, "width": WIDTH, "height": HEIGHT}
      ],
      "annotations": [
        {
          "id": 70 + k,
          "image_id": 40,
          "category_id": 3,
          "keypoints": flat(points).ravel().tolist(),
        }
        for k, points in enumerate(people)
      ],
      "categories": [category, {"id": 9, "name": "car"}],
    }
    content["annotations"].append(
      {"id": 90, "image_id": 40, "category_id": 9, "bbox": [1, 1, 2, 2]}
    )
    path = folder / "annotations" / f"keypoints_{split}2020.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
  return folder

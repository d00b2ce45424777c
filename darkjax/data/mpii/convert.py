"""MPII's labels as the content of a COCO-format json.

MPII counts pixels from 1: every coordinate loses `ONE_BASED` on the way in. Its
scale of a person is the height in units of `PERSON_PX`; the official code moves
the center down by `CENTER_DOWN` scales, since it sits at the chest, and crops a
square of 1.25 scales around it. Here the box is that square without the 1.25,
which every box gets when its crop is made.

Reference: HRNet, lib/dataset/mpii.py of its official code.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.mpii import labels
from darkjax.metrics.coco_annotations import read_sections
from darkjax.metrics.coco_fields import AREA_SHARE

ONE_BASED = 1.0
PERSON_PX = 200.0
CENTER_DOWN = 15.0

# No masks exist: areas are a share of the labels' box, grown on every side.
_AREA_MARGIN = 0.05


def to_coco(
  annotations: str | os.PathLike[str],
  *,
  headboxes: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
  """Converts MPII labels to the content of a COCO keypoint json.

  Args:
    annotations: HRNet's json list (train.json, valid.json), or the official
      .mat, of which all labelled people are taken: it has no usual split.
    headboxes: a .mat with `headboxes_src` [2, 2, N] (HRNet's gt_valid.mat) in
      the order of the json, which has no head boxes; the official .mat has.

  Returns:
    images, annotations and categories. People keep the order of the file and
    have ids from 1. Image px, from 0: `bbox` (x, y, w, h); `keypoints` K times
    (x, y, visibility), visibility 2, or 1 for hidden (only in the .mat), or
    0, 0, 0; `headbox` (x1, y1, x2, y2) where there is one; `area`, a stand-in.
    The file's own `center` (x, y) and `scale` stay as they are, from 1. People
    without a center are left out; `info` says how many.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a file of another structure, a person with numbers that are
      not finite or keypoints that MPII does not have, or nobody with a center.
  """
  path = _existing(annotations)
  people = labels.read_people(path)
  if headboxes is not None and path.suffix != ".mat":
    people = _with_headboxes(people, _existing(headboxes))
  # The files write -1 for what is unknown.
  centered = [p for p in people if p["center"][0] != -1 and p["scale"] > 0]
  if not centered:
    raise ValueError(
      f"{path}: expected labelled people with a center and a scale, got none "
      f"among {len(people)}; use train.json, valid.json or "
      "mpii_human_pose_v1_u12_1.mat"
    )
  names = dict.fromkeys(person["image"] for person in centered)
  image_ids = {name: number for number, name in enumerate(names, start=1)}
  category = {
    "id": 1,
    "name": "person",
    "keypoints": list(skeletons.MPII.keypoint_names),
    "skeleton": [[a + 1, b + 1] for a, b in skeletons.MPII.limbs],
  }
  return {
    "info": {
      "description": f"MPII Human Pose, from {path.name}",
      "left_out_without_center": len(people) - len(centered),
    },
    "images": [{"id": i, "file_name": name} for name, i in image_ids.items()],
    "annotations": [
      {"id": number, "image_id": image_ids[p["image"]], **_annotation(p)}
      for number, p in enumerate(centered, start=1)
    ],
    "categories": [category],
  }


def read_headboxes(
  annotations: str | os.PathLike[str], annotation_ids: Sequence[int]
) -> np.ndarray:
  """Reads head boxes out of a json made by `to_coco`, for `pck.head_size`.

  Returns:
    [N, 4] corners (x1, y1, x2, y2) of N annotation ids, image px from 0.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a person without a head box.
  """
  content = read_sections(annotations, ("annotations",))
  boxes = {p["id"]: p.get("headbox") for p in content["annotations"]}
  missing = [int(i) for i in annotation_ids if boxes.get(i) is None]
  if missing:
    raise ValueError(
      f"{annotations}: PCKh needs a 'headbox' for every person, "
      f"{len(missing)} have none, among them ids {missing[:5]}; convert the "
      "labels with headboxes= (--headboxes)"
    )
  return np.array([boxes[i] for i in annotation_ids]).reshape(-1, 4)


def crop_square(center: Sequence[float], scale: float) -> list[float]:
  """Returns the box (x, y, w, h) of a person, image px from 0, before padding.

  Center (x, y) and scale are as in the label file, from 1.

  >>> crop_square([101.0, 101.0], 1.0)
  [0.0, 15.0, 200.0, 200.0]
  """
  side = PERSON_PX * scale
  x = float(center[0]) - ONE_BASED
  y = float(center[1]) + CENTER_DOWN * scale - ONE_BASED
  return [x - side / 2, y - side / 2, side, side]


def _with_headboxes(people: Sequence[dict], path: pathlib.Path) -> list[dict]:
  boxes = labels.read_headboxes(path)
  if len(boxes) != len(people):
    raise ValueError(
      f"{path}: expected one head box per person of the json, "
      f"{len(people)}, got {len(boxes)}; use the file of the same split"
    )
  pairs = zip(people, boxes, strict=True)
  return [{**person, "headbox": box} for person, box in pairs]


def _annotation(person: Mapping[str, Any]) -> dict[str, Any]:
  labelled = person["keypoints"][:, 2:] > 0
  keypoints = person["keypoints"] - [ONE_BASED, ONE_BASED, 0.0]
  box, area = crop_square(person["center"], person["scale"]), 0.0
  if labelled.any():
    extent = np.ptp(keypoints[labelled[:, 0], :2], axis=0)
    area = float(AREA_SHARE * np.prod(extent + 2 * _AREA_MARGIN * box[2]))
  annotation = {
    "category_id": 1,
    "iscrowd": 0,
    "bbox": box,
    "area": area,
    "num_keypoints": int(labelled.sum()),
    "keypoints": np.where(labelled, keypoints, 0.0).ravel().tolist(),
    "center": person["center"].tolist(),
    "scale": person["scale"],
  }
  if "headbox" in person:
    annotation["headbox"] = (person["headbox"] - ONE_BASED).tolist()
  return annotation


def _existing(path: str | os.PathLike[str]) -> pathlib.Path:
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f"no MPII label file {path}; expected HRNet's train.json or valid.json, "
      "or the official mpii_human_pose_v1_u12_1.mat"
    )
  return path

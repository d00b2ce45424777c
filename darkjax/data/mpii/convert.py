"""MPII Human Pose as a COCO-format json, from either of its label files.

`python -m darkjax.data.mpii --annotations=valid.json --out=mpii_val.json` reads
the json lists that HRNet and SimpleBaseline use, or the official
mpii_human_pose_v1_u12_1.mat; coco.py then loads the result like any other file.

Two conventions end here. MPII counts pixels from 1: every coordinate loses
`ONE_BASED` on the way in, and nothing downstream adds it back (PCKh compares
labels and predictions, both from 0). MPII gives a person's center and a scale,
the height in units of `PERSON_PX`: the official code moves the center down by
`CENTER_DOWN` scales, since it sits at the chest, and crops a square of 1.25
scales around it. Here the box is that square before the factor 1.25, which
every box gets when its crop is made.

In the dark and udp alignments the crop's center is half a pixel up and left of
the official one, as for every box there. No prediction depends on it but by
resampling: keypoints go back through the crop's own matrix.

Reference: HRNet, lib/dataset/mpii.py of its official code.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.mpii import json_labels, mat_labels

ONE_BASED = 1.0
PERSON_PX = 200.0
CENTER_DOWN = 15.0

# No masks exist, so areas stand in: the share of the labels' box, grown by a
# twentieth of the person on every side. Only OKS and AP read them, which are
# not MPII's metrics.
_AREA_SHARE = 0.53
_AREA_MARGIN = 0.05


def to_coco(
  annotations: str | os.PathLike[str],
  *,
  headboxes: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
  """Converts MPII labels to the content of a COCO keypoint json.

  Args:
    annotations: HRNet's json list (train.json, valid.json), or the official
      .mat (needs SciPy), of which all labelled people are taken: it does not
      know the usual split into training and validation, the json lists do.
    headboxes: a .mat with `headboxes_src` [2, 2, N] (HRNet's gt_valid.mat) in
      the order of the json, which has no head boxes. The official .mat has its
      own.

  Returns:
    images, annotations and categories. People keep the order of the file and
    have ids from 1. Image px, from 0: `bbox` (x, y, w, h); `keypoints` K times
    (x, y, visibility), visibility 2, or 1 for hidden (only the .mat tells), or
    0, 0, 0; `headbox` (x1, y1, x2, y2) where known; `area`, a stand-in. The
    file's own `center` (x, y) and `scale` stay as they are, from 1. People
    without a center are left out; `info` says how many.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a file of another structure, a person with numbers that are
      not finite or keypoints that MPII has not, or nobody with a center.
    ImportError: a .mat without SciPy.
  """
  path = _existing(annotations)
  if path.suffix == ".mat":
    people = mat_labels.read_people(path)
  else:
    people = _with_headboxes(json_labels.read_people(path), headboxes)
  placed = [person for person in people if _has_place(person)]
  if not placed:
    raise ValueError(
      f"{path}: expected labelled people with a center and a scale, got none "
      f"among {len(people)}; use train.json, valid.json or "
      "mpii_human_pose_v1_u12_1.mat"
    )
  names = list(dict.fromkeys(person["image"] for person in placed))
  image_ids = {name: number for number, name in enumerate(names, start=1)}
  return {
    "info": {
      "description": f"MPII Human Pose, from {path.name}",
      "left_out_without_center": len(people) - len(placed),
    },
    "images": [{"id": image_ids[n], "file_name": n} for n in names],
    "annotations": [
      _annotation(person, number, image_ids[person["image"]])
      for number, person in enumerate(placed, start=1)
    ],
    "categories": [_category()],
  }


def read_headboxes(
  annotations: str | os.PathLike[str], annotation_ids: Sequence[int]
) -> np.ndarray:
  """Head boxes of people in a json made by `to_coco`, for `pck.head_size`.

  Args:
    annotations: the json.
    annotation_ids: N ids in it.

  Returns:
    [N, 4] corners (x1, y1, x2, y2), image px from 0.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a person without a head box.
  """
  content = json.loads(_existing(annotations).read_text())
  boxes = {p["id"]: p.get("headbox") for p in content["annotations"]}
  missing = [int(i) for i in annotation_ids if boxes.get(int(i)) is None]
  if missing:
    raise ValueError(
      f"{annotations}: PCKh needs a 'headbox' for every person, "
      f"{len(missing)} have none, among them ids {missing[:5]}; convert the "
      "labels with headboxes= (--headboxes)"
    )
  return np.array([boxes[int(i)] for i in annotation_ids]).reshape(-1, 4)


def crop_square(center: np.ndarray, scale: float) -> list[float]:
  """The box (x, y, w, h) of a person, image px from 0, before padding.

  Args:
    center: (x, y) as in the label file, from 1.
    scale: as in the label file.

  >>> crop_square([101.0, 101.0], 1.0)
  [0.0, 15.0, 200.0, 200.0]
  """
  side = PERSON_PX * float(scale)
  x = float(center[0]) - ONE_BASED
  y = float(center[1]) + CENTER_DOWN * float(scale) - ONE_BASED
  return [x - side / 2, y - side / 2, side, side]


def _with_headboxes(people, path) -> list[dict[str, Any]]:
  if path is None:
    return people
  boxes = mat_labels.read_headboxes(_existing(path))
  if len(boxes) != len(people):
    raise ValueError(
      f"{path}: expected one head box per person of the json, "
      f"{len(people)}, got {len(boxes)}; use the file of the same split"
    )
  return [
    {**person, "headbox": box}
    for person, box in zip(people, boxes, strict=True)
  ]


def _has_place(person: Mapping[str, Any]) -> bool:
  # The files write -1 for what is unknown.
  return bool(person["center"][0] != -1 and person["scale"] > 0)


def _annotation(person, number: int, image_id: int) -> dict[str, Any]:
  labelled = person["keypoints"][:, 2] > 0
  keypoints = person["keypoints"] - [ONE_BASED, ONE_BASED, 0.0]
  keypoints[~labelled] = 0.0
  box = crop_square(person["center"], person["scale"])
  annotation = {
    "id": number,
    "image_id": image_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": box,
    "area": _area(keypoints[labelled, :2], margin=_AREA_MARGIN * box[2]),
    "num_keypoints": int(labelled.sum()),
    "keypoints": keypoints.reshape(-1).tolist(),
    "center": person["center"].tolist(),
    "scale": person["scale"],
  }
  if "headbox" in person:
    annotation["headbox"] = (person["headbox"] - ONE_BASED).tolist()
  return annotation


def _area(points: np.ndarray, *, margin: float) -> float:
  """Stand-in for the area of a body, px²; 0 without labels."""
  if not len(points):
    return 0.0
  return float(_AREA_SHARE * np.prod(np.ptp(points, axis=0) + 2 * margin))


def _category() -> dict[str, Any]:
  skeleton = skeletons.MPII
  return {
    "id": 1,
    "name": "person",
    "keypoints": list(skeleton.keypoint_names),
    "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
  }


def _existing(path: str | os.PathLike[str]) -> pathlib.Path:
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f"no MPII label file {path}; expected HRNet's train.json or valid.json, "
      "or the official mpii_human_pose_v1_u12_1.mat"
    )
  return path

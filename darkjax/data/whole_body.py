r"""Hands of 21 and whole bodies of 133 keypoints: categories, and a converter.

    python -m darkjax.data.whole_body --out=whole_body_val.json \
        --annotations=coco_wholebody_val_v1.0.json

merges the parts of a person in COCO-WholeBody's labels, which are fields of
their own, into 133 keypoints in the order of the official evaluation: 17 of
COCO's body, 6 of the feet, 68 of the face (iBUG's order, whose first point is
at the person's right), 21 of the left and 21 of the right hand.

Reference: Jin et al., Whole-Body Human Pose Estimation in the Wild (ECCV 2020,
arXiv:2007.11858), data_format.md and evaluation/myeval_wholebody.py of
github.com/jin-s13/COCO-WholeBody, where the sigmas are from.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from darkjax import skeletons
from darkjax.data.coco import reader
from darkjax.metrics.coco_fields import ADDED, id_in_file
from darkjax.metrics.coco_problems import finite_numbers
from darkjax.runtime import command, files

_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky")
HAND_NAMES = (
  "wrist",
  *(f"{finger}_{joint}" for finger in _FINGERS for joint in range(1, 5)),
)
# From the wrist out along each finger.
HAND_LIMBS = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
HAND_SIGMAS = (
  0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024,
  0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031,
)  # fmt: skip

_FOOT_NAMES = tuple(
  f"{side}_{part}"
  for side in ("left", "right")
  for part in ("big_toe", "small_toe", "heel")
)
_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
# Ankle to heel to toes; indices in the whole body.
_FOOT_LIMBS = ((15, 19), (19, 17), (19, 18), (16, 22), (22, 20), (22, 21))

_FACE_SIGMAS = (
  0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029,
  0.032, 0.037, 0.038, 0.043, 0.041, 0.045, 0.013, 0.012, 0.011, 0.011, 0.012,
  0.012, 0.011, 0.011, 0.013, 0.015, 0.009, 0.007, 0.007, 0.007, 0.012, 0.009,
  0.008, 0.016, 0.010, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008,
  0.011, 0.012, 0.010, 0.034, 0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010,
  0.008, 0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008, 0.008, 0.008,
  0.010, 0.008,
)  # fmt: skip
# (left, right): jaw, brows, nostrils, eyes, outer mouth, inner mouth.
_FACE_PAIRS = (
  *((16 - k, k) for k in range(8)),
  *((43 - k, k) for k in range(17, 22)),
  (35, 31), (34, 32),
  (45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41),
  (54, 48), (53, 49), (52, 50), (55, 59), (56, 58),
  (64, 60), (63, 61), (65, 67),
)  # fmt: skip
# First and last point of each line of the face, and whether it is closed.
_FACE_LINES = (
  (0, 16, False), (17, 21, False), (22, 26, False), (27, 30, False),
  (31, 35, False), (36, 41, True), (42, 47, True), (48, 59, True),
  (60, 67, True),
)  # fmt: skip
_FACE_LIMBS = tuple(
  (k, first if k == last else k + 1)
  for first, last, closed in _FACE_LINES
  for k in range(first, last + closed)
)

# Field of COCO-WholeBody's annotations and its number of keypoints.
_PARTS = {
  "keypoints": 17,
  "foot_kpts": 6,
  "face_kpts": 68,
  "lefthand_kpts": 21,
  "righthand_kpts": 21,
}
_FACE, _LEFT_HAND, _RIGHT_HAND = 23, 91, 112


def hand_category(category_id: int = 1) -> dict[str, Any]:
  """Returns a category of one hand: no two points trade places."""
  return _category(category_id, "hand", HAND_NAMES, (), HAND_LIMBS, HAND_SIGMAS)


def category(category_id: int = 1) -> dict[str, Any]:
  """Returns a category of people with 133 keypoints."""
  body = skeletons.COCO
  names = (
    *body.keypoint_names,
    *_FOOT_NAMES,
    *(f"face_{k}" for k in range(68)),
    *(f"{side}_hand_{n}" for side in ("left", "right") for n in HAND_NAMES),
  )
  pairs = (
    *body.flip_pairs,
    *((k, k + 3) for k in range(17, 20)),
    *((_FACE + left, _FACE + right) for left, right in _FACE_PAIRS),
    *((_LEFT_HAND + k, _RIGHT_HAND + k) for k in range(len(HAND_NAMES))),
  )
  limbs = (
    *body.limbs,
    *_FOOT_LIMBS,
    *((_FACE + a, _FACE + b) for a, b in _FACE_LIMBS),
    *((9, _LEFT_HAND), (10, _RIGHT_HAND)),  # wrist to hand
    *((_LEFT_HAND + a, _LEFT_HAND + b) for a, b in HAND_LIMBS),
    *((_RIGHT_HAND + a, _RIGHT_HAND + b) for a, b in HAND_LIMBS),
  )
  sigmas = (*body.sigmas, *_FOOT_SIGMAS, *_FACE_SIGMAS, *HAND_SIGMAS * 2)
  return _category(category_id, "person", names, pairs, limbs, sigmas)


def _category(category_id, name, names, pairs, limbs, sigmas) -> dict[str, Any]:
  return {
    "id": category_id,
    "name": name,
    "keypoints": list(names),
    "flip_pairs": [list(pair) for pair in pairs],
    # COCO's files count the ends of limbs from 1.
    "skeleton": [[a + 1, b + 1] for a, b in limbs],
    "sigmas": list(sigmas),
  }


def to_coco(annotations: str | os.PathLike[str]) -> dict[str, Any]:
  """Returns COCO-WholeBody's labels with 133 keypoints in one list.

  Parts that the file calls not valid, or does not have, are not labelled.
  Everything else of images and people stays: ids, boxes, areas (of the body's
  mask), crowds.

  Raises:
    FileNotFoundError: no such file.
    ValueError: malformed, or a part that is not as many numbers.
  """
  content = reader.read_content(pathlib.Path(annotations))
  return {
    "images": [_as_in_file(image) for image in content.images.values()],
    "annotations": [_merged(a, annotations) for a in content.annotations],
    "categories": [category(content.category["id"])],
  }


def _merged(annotation: Mapping[str, Any], path) -> dict[str, Any]:
  keypoints: list[float] = []
  merged = _as_in_file(annotation)
  for field, count in _PARTS.items():
    numbers = merged.pop(field, None)
    if not merged.pop(field.replace("_kpts", "_valid"), True):
      numbers = None
    numbers = [0.0] * (3 * count) if numbers in (None, []) else numbers
    if finite_numbers(numbers, (3 * count,)) is None:
      raise ValueError(
        f"{path}: annotation {id_in_file(annotation)!r} should hold {count} "
        f"times x, y, visibility in {field!r}, got {numbers!r:.60}"
      )
    keypoints += numbers
  labelled = sum(flag > 0 for flag in keypoints[2::3])
  return merged | {"keypoints": keypoints, "num_keypoints": labelled}


def _as_in_file(item: Mapping[str, Any]) -> dict[str, Any]:
  """Returns an image or annotation with the file's own ids."""
  own = {name: value for name, value in item.items() if name not in ADDED}
  own["id"] = id_in_file(item)
  if "image_id_in_file" in item:
    own["image_id"] = item["image_id_in_file"]
  return own


def main(flags: command.Flags, arguments) -> None:
  """Writes the json with all keypoints in one list."""
  command.refuse_arguments(arguments)
  files.check_not_read(flags.out, flags.annotations)
  content = to_coco(flags.annotations)
  files.write_whole(pathlib.Path(flags.out), json.dumps(content).encode())
  print(f"{flags.out}: {len(content['annotations'])} people")


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("annotations", None, "COCO-WholeBody's json.", required=True)
  define.string("out", None, "json to write.", required=True)


if __name__ == "__main__":
  command.run(main, define_flags)

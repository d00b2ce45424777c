"""Converts Leeds Sports Pose and its extension to COCO-format files.

  python scripts/prepare_lsp.py --lsp=lsp_dataset --lspet=lspet_dataset \
    --out=data

Either data set may be left out. The public folders hold `images/` and
`joints.mat`, with Matlab's pixel coordinates that start from 1. Written:

  out/lsp/annotations/person_keypoints_train.json    people 1-1000
  out/lsp/annotations/person_keypoints_test.json     1001-1800 (--test_people)
  out/lspet/annotations/person_keypoints_train.json  2,000 people (--people)
  out/lspet/images/                                  their crops

LSP's json refers to the original images. LSP-Extended has small people in large
images, some only partly labelled, so a part is used: people with at least 13 of
14 keypoints labelled inside the image and an extent of at least 90 px, in file
order, cropped to that extent padded by 35 % of its larger side, and scaled down
(never up) until no side exceeds 192 px.

Boxes are the extent of the labels, padded by 10 % of its larger side and
clipped to the image; the area of the body is 0.53 of the box. S. Johnson and
M. Everingham, BMVC 2010 and CVPR 2011.
"""

import json
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import scipy.io

from darkjax import skeletons
from darkjax.runtime import command

LSP_TRAIN_PEOPLE = 1000
BOX_PADDING = 0.1
AREA_OF_BOX = 0.53

MIN_LABELS = 13
MIN_EXTENT = 90.0  # px
# Labels so far outside the image still count as inside, px.
BORDER = 1.0
CROP_PADDING = 0.35
MAX_SIDE = 192  # px
JPEG_QUALITY = 95


def load_joints(path: pathlib.Path) -> np.ndarray:
  """Reads `joints.mat`, float64, with its axes as they are.

  Raises:
    FileNotFoundError: no such file.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f"no {path}; give the folder of the public data set, which holds images/ "
      "and joints.mat"
    )
  return scipy.io.loadmat(path)["joints"]


def lsp_labels(joints: np.ndarray) -> np.ndarray:
  """Returns the people of LSP's joints.mat.

  Args:
    joints: [3, 14, N]: x and y from 1, and 1 where occluded.

  Returns:
    [N, 14, 3] float64 (x, y) from 0, px, and COCO's visibility: 1 occluded,
    2 visible.
  """
  x, y, occluded = joints
  return np.stack([x - 1, y - 1, 2 - (occluded == 1)], -1).swapaxes(0, 1)


def lspet_labels(joints: np.ndarray) -> np.ndarray:
  """Returns the people of LSP-Extended's joints.mat.

  Args:
    joints: [14, 3, N]: x and y from 1, and 1 where labelled.

  Returns:
    [N, 14, 3] float64 (x, y) from 0, px, and COCO's visibility: 0 or 2.
  """
  x, y, labelled = joints.swapaxes(0, 1)
  return np.stack([x - 1, y - 1, 2 * (labelled == 1)], -1).swapaxes(0, 1)


def annotation(
  person_id: int, labels: np.ndarray, size: tuple[int, int]
) -> dict[str, Any]:
  """Returns the COCO annotation of the only person of an image.

  Args:
    person_id: of the person and the image.
    labels: [14, 3] (x, y, visibility), px.
    size: (width, height) of the image, px.
  """
  labels = np.where(labels[:, 2:] > 0, labels, 0.0)
  first, last = _extent(labels)
  padding = BOX_PADDING * max(last - first)
  first = np.maximum(first - padding, 0)
  width, height = np.minimum(last + padding, size) - first
  box = (*first, width, height)
  return {
    "id": person_id,
    "image_id": person_id,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [round(float(number), 2) for number in box],
    "area": round(float(AREA_OF_BOX * width * height), 2),
    "num_keypoints": int((labels[:, 2] > 0).sum()),
    "keypoints": [
      number
      for *point, visibility in labels.round(2).tolist()
      for number in (*point, int(visibility))
    ],
  }


def _extent(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the first and last (x, y) of the labelled keypoints."""
  points = labels[labels[:, 2] > 0, :2]
  return points.min(0), points.max(0)


class Crop(NamedTuple):
  """A part of an image of LSP-Extended."""

  box: tuple[int, int, int, int]  # left, top, and right, bottom exclusive, px
  size: tuple[int, int]  # (width, height) it is scaled to, px
  labels: np.ndarray  # [14, 3] (x, y, visibility) in the scaled crop, px


def lspet_crop(labels: np.ndarray, size: tuple[int, int]) -> Crop | None:
  """Returns the crop around a person of LSP-Extended, None for others.

  Args:
    labels: [14, 3] (x, y, visibility), px.
    size: (width, height) of the image, px.
  """
  points = labels[:, :2]
  last_pixel = np.array(size) - 1
  inside = (points >= -BORDER) & (points <= last_pixel + BORDER)
  inside = inside.all(-1)
  labels = np.where(inside[:, None], labels, 0.0)
  if (labels[:, 2] > 0).sum() < MIN_LABELS:
    return None
  first, last = _extent(labels)
  if max(last - first) < MIN_EXTENT:
    return None
  padding = CROP_PADDING * max(last - first)
  start = np.maximum(np.floor(first - padding), 0).astype(int)
  end = np.minimum(np.ceil(last + padding), size).astype(int)
  scaled = np.rint((end - start) * min(1.0, MAX_SIDE / max(end - start)))
  # Pixel centres at integers: x' = (x - left + 0.5) * factor - 0.5.
  moved = (labels[:, :2] - start + 0.5) * (scaled / (end - start)) - 0.5
  return Crop(
    box=(*start.tolist(), *end.tolist()),
    size=tuple(scaled.astype(int).tolist()),
    labels=np.concatenate([moved, labels[:, 2:]], -1),
  )


def coco_content(
  description: str, entries: list[tuple[str, tuple[int, int], dict]]
) -> dict[str, Any]:
  """Returns the json of (file name, (width, height), annotation) entries."""
  lsp = skeletons.LSP
  return {
    "info": {"description": description},
    "images": [
      {
        "id": person["image_id"],
        "file_name": name,
        "width": size[0],
        "height": size[1],
      }
      for name, size, person in entries
    ],
    "annotations": [person for _, _, person in entries],
    "categories": [
      {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(lsp.keypoint_names),
        "skeleton": [[a + 1, b + 1] for a, b in lsp.limbs],
      }
    ],
  }


def prepare_lsp(
  folder: pathlib.Path, out: pathlib.Path, *, test_people: int
) -> None:
  """Writes the json files of LSP."""
  labels = lsp_labels(load_joints(folder / "joints.mat"))
  last = LSP_TRAIN_PEOPLE + test_people
  splits = {
    "train": range(LSP_TRAIN_PEOPLE),
    "test": range(LSP_TRAIN_PEOPLE, last),
  }
  for split, people in splits.items():
    entries = []
    for i in people:
      name = f"im{i + 1:04d}.jpg"
      with PIL.Image.open(folder / "images" / name) as image:
        size = image.size
      entries.append((name, size, annotation(i + 1, labels[i], size)))
    content = coco_content(f"Leeds Sports Pose, {split}", entries)
    _write(out / f"annotations/person_keypoints_{split}.json", content)


def prepare_lspet(
  folder: pathlib.Path, out: pathlib.Path, *, people: int
) -> None:
  """Writes the crops and the json file of LSP-Extended."""
  labels = lspet_labels(load_joints(folder / "joints.mat"))
  (out / "images").mkdir(parents=True, exist_ok=True)
  entries = []
  for i, points in enumerate(labels):
    name = f"im{i + 1:05d}.jpg"
    with PIL.Image.open(folder / "images" / name) as image:
      crop = lspet_crop(points, image.size)
      if crop is None:
        continue
      part = image.convert("RGB").resize(
        crop.size, PIL.Image.Resampling.LANCZOS, box=crop.box
      )
    part.save(out / "images" / name, quality=JPEG_QUALITY)
    person = annotation(i + 1, crop.labels, crop.size)
    entries.append((name, crop.size, person))
    if len(entries) == people:
      break
  description = (
    f"Leeds Sports Pose Extended, {len(entries):,} people with 13 or 14 "
    f"labelled keypoints, cropped and resized to {MAX_SIDE} px at most"
  )
  content = coco_content(description, entries)
  _write(out / "annotations/person_keypoints_train.json", content)


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(content, separators=(",", ":")))
  print(f"{path}: {len(content['annotations'])} people")


def main(flags: command.Flags, _) -> None:
  """Prepares the data sets that the flags name."""
  lsp, lspet = flags.lsp, flags.lspet
  if not (lsp or lspet):
    sys.exit("nothing to do: give --lsp, --lspet, or both")
  out = pathlib.Path(flags.out)
  if lsp:
    prepare_lsp(pathlib.Path(lsp), out / "lsp", test_people=flags.test_people)
  if lspet:
    prepare_lspet(pathlib.Path(lspet), out / "lspet", people=flags.people)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the command."""
  define.string("lsp", None, "Folder of LSP: images/ and joints.mat.")
  define.string("lspet", None, "Folder of LSP-Extended, likewise.")
  define.string("out", None, "Folder to write into.", required=True)
  define.integer("test_people", 800, "People of LSP's test split, up to 1000.")
  define.integer("people", 2000, "People of LSP-Extended at most.")


if __name__ == "__main__":
  command.run(main, define_flags)

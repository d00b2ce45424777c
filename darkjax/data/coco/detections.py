"""Evaluation on the boxes of a person detector in place of the labels'.

The file is a json list of `{"image_id", "category_id", "bbox", "score"}`, boxes
(x, y, w, h) in image px, as pycocotools writes detection results. Boxes are not
clipped to the image, unlike the labels' (HRNet and DARK, lib/dataset/coco.py).
"""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.data import prepared
from darkjax.data.coco import box_file, prepare, reader, unreadable
from darkjax.data.images.names import FileNames
from darkjax.data.people_table import Images, People
from darkjax.data.prepared import PreparedDataset
from darkjax.runtime.json_file import read_json
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)

_WHAT_TO_GIVE = (
  f"a json list of a person detector's boxes, {box_file.EXAMPLE}. COCO's "
  "published numbers use COCO_val2017_detections_AP_H_56_person.json (104,125 "
  "boxes), which the README of HRNet (leoxiaobin/deep-high-resolution-net."
  "pytorch) links to under data preparation, as person_detection_results; any "
  'detector\'s boxes in this form will do. boxes="gt" evaluates with the '
  "labels' boxes instead, which gives about 2 AP more"
)
DETECTIONS = "detections"  # in the names of metrics, as `GT_BOXES`


# Detected boxes, in the order of their file.
_BOXES = np.dtype(
  [
    ("position", np.int64),  # in the file, from 0
    ("image_id", np.int64),
    ("bbox", np.float32, 4),  # (x, y, w, h), image px
    ("score", np.float32),
  ]
)


def load(
  annotations: str | os.PathLike[str],
  images: str | os.PathLike[str],
  boxes: str | os.PathLike[str] = "gt",
  *,
  category: str | None = None,
  skeleton: Skeleton | None = None,
  score_threshold: float = 0.0,
  cache_dir: str | os.PathLike[str] | None = None,
  skip_policy: unreadable.SkipPolicy = unreadable.RAISE,
  upright: bool = False,
) -> PreparedDataset:
  """Prepares what to evaluate on: labelled people, or detected boxes.

  `boxes` is "gt" for the labels', or a file of detections. Then every image
  counts, also those without labelled people, and with a skeleton the json may
  have no labels. Scores below the threshold are left out. For other arguments
  and errors see `prepare.load`, `read` and `with_boxes`.
  """
  which: dict[str, Any] = {"category": category, "skeleton": skeleton}
  options = {**which, "cache_dir": cache_dir, "skip_policy": skip_policy}
  options["upright"] = upright
  if str(boxes) == "gt":
    return prepare.load(annotations, images, **options)
  labelled = skeleton is None or reader.has_labels(annotations)
  read_outline: Any = (
    reader.read_content if labelled else reader.read_unlabelled
  )
  # Before records are prepared, which takes longer.
  outline = read_outline(annotations, **which)
  detected = read(
    boxes, categories=outline.category_ids, file_names=outline.file_names
  )
  dataset = prepare.load(
    annotations, images, labelled=labelled, keep_empty_images=True, **options
  )
  return with_boxes(dataset, detected, boxes, score_threshold=score_threshold)


def read(
  path: str | os.PathLike[str],
  *,
  categories: Sequence[int] = (1,),
  file_names: Mapping[int, str] | None = None,
) -> np.recarray:
  """Reads a file of detections and takes the boxes of some categories.

  They are records of position in the file (from 0), image_id, bbox (x, y, w, h)
  in image px, and score. Boxes without an area are left out, and those whose
  image_id is a text that names none of the `file_names` (by image id).

  Raises:
    FileNotFoundError: no such file.
    ValueError: not a list of detections, or one with a wrong field.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"no file of detections {path}: {_WHAT_TO_GIVE}")
  content = read_json(path)
  if not isinstance(content, list):
    raise ValueError(
      f"{path}: detections are a list {box_file.EXAMPLE}, got a "
      f'{type(content).__name__}; the boxes of annotations are boxes="gt"'
    )
  required = ("image_id", "category_id", "score")
  everything = box_file.parse_boxes(content, path, required=required)
  file_names = file_names or {}
  everything = box_file.with_image_ids(everything, file_names, path)
  _report_unknown(everything, file_names, path)
  people = [
    (position, box.image_id, box.bbox, box.score)
    for position, box in enumerate(everything)
    if box.category_id in categories and isinstance(box.image_id, int)
  ]
  boxes = np.array(people, _BOXES)
  has_area = np.all(boxes["bbox"][:, 2:] > 0, axis=-1)
  _LOG.info(
    "%s: %d detections, %d of category %s; %d of them without an area left out",
    path, len(everything), len(boxes), " or ".join(map(str, categories)),
    (~has_area).sum(),
  )  # fmt: skip
  return boxes[has_area].view(np.recarray)


def _report_unknown(
  boxes: Sequence[box_file.Box], file_names: Mapping[int, str], path
) -> None:
  """Warns of boxes whose image_id is the name of another file; or raises."""
  unknown = [str(b.image_id) for b in boxes if not isinstance(b.image_id, int)]
  if not unknown:
    return
  hint = FileNames(file_names.values()).hint(unknown[0])
  message = (
    f"{path}: of {len(boxes)} boxes {len(unknown)} have an image_id that names "
    f"no image of the labels, such as {unknown[0]!r}; {hint}"
  )
  if len(unknown) == len(boxes):
    raise ValueError(f"{message}; write the ids or names of the labels' images")
  _LOG.warning("%s; they are left out", message)


def with_boxes(
  dataset: PreparedDataset,
  boxes: np.recarray,
  path: str | os.PathLike[str],
  *,
  score_threshold: float = 0.0,
) -> PreparedDataset:
  """Returns a data set with detected boxes in place of its people.

  Boxes of other images, as of a larger split, and of low scores are left out.

  The data set is made with keep_empty_images, see `prepare.load`; `path` is for
  messages. A ValueError if no box is left.
  """
  images = prepared.read_images(dataset.builder)
  has_image = np.isin(boxes.image_id, images.image_id)
  skipped = images.image_id[~images.readable]
  is_unreadable = np.isin(boxes.image_id, skipped)
  if is_unreadable.any():
    _LOG.warning(
      "%s: %d boxes on images that cannot be read are left out; whoever is "
      "labelled there counts as missed",
      path, is_unreadable.sum(),
    )  # fmt: skip
  kept = has_image & ~is_unreadable & (boxes.score >= score_threshold)
  if not kept.any():
    raise ValueError(
      f"{path}: of {len(boxes)} boxes of people {has_image.sum()} are in "
      f"images of {dataset.annotations}, none of these has a score of at least "
      f"{score_threshold}; use the detections of the same split, or a lower "
      "threshold"
    )
  boxes = boxes[kept]
  _LOG.info(
    "%d boxes of score %g or more in %d of %d images; left out: %d in images "
    "that %s does not have",
    len(boxes), score_threshold, len(np.unique(boxes.image_id)),
    dataset.num_images, (~has_image).sum(), dataset.annotations,
  )  # fmt: skip
  people = _people(boxes, images, dataset.skeleton.num_keypoints)
  return dataclasses.replace(dataset, people=people, box_source=DETECTIONS)


def _people(boxes: np.recarray, images: Images, num_keypoints: int) -> People:
  """The boxes as people without labels."""
  order = np.argsort(images.image_id)
  record = order[np.searchsorted(images.image_id[order], boxes.image_id)]
  count = len(boxes)
  return People(
    record=record,
    image_id=boxes.image_id,
    annotation_id=boxes.position,
    image_size=images.image_size[record],
    bbox=boxes.bbox,
    area=boxes.bbox[:, 2:].prod(-1),
    keypoints=np.zeros((count, num_keypoints, 3), np.float32),
    iscrowd=np.zeros(count, bool),
    score=boxes.score,
    readable=np.ones(count, bool),
  )

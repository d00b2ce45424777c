"""Evaluation on the boxes of a person detector in place of the labels'.

The file is a json list of `{"image_id", "category_id", "bbox", "score"}`, boxes
(x, y, w, h) in image px, as pycocotools writes detection results. Boxes are not
clipped to the image, unlike the labels' (HRNet and DARK, lib/dataset/coco.py).
"""

import collections
import dataclasses
import functools
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
from darkjax.metrics.coco_fields import describe_id, id_in_file
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
  box_category: int | str | None = None,
  score_threshold: float = 0.0,
  cache_dir: str | os.PathLike[str] | None = None,
  skip_policy: unreadable.SkipPolicy = unreadable.RAISE,
  upright: bool | None = None,
) -> PreparedDataset:
  """Prepares what to evaluate on: labelled people, or detected boxes.

  `boxes` is "gt" for the labels', or a file of detections. Then every image
  counts, also those without labelled people, and with a skeleton the json may
  have no labels. Scores below the threshold are left out; `box_category` is the
  id of people in the detections, by default the labels'. For other arguments
  and errors see `prepare.load`, `read` and `with_boxes`.
  """
  which: dict[str, Any] = {"category": category, "skeleton": skeleton}
  options = {**which, "cache_dir": cache_dir, "skip_policy": skip_policy}
  options["upright"] = upright
  if str(boxes) == "gt":
    return prepare.load(annotations, images, **options)
  labelled = skeleton is None or reader.has_labels(annotations)
  read_content: Any = (
    reader.read_content if labelled else reader.read_unlabelled_content
  )
  # Before records are prepared, which takes longer.
  content = read_content(annotations, **which)
  ids = content.category_ids if box_category is None else [box_category]
  detected = read(boxes, content.images, categories=ids)
  dataset = prepare.load(
    annotations, images, labelled=labelled, keep_empty_images=True, **options
  )
  return with_boxes(dataset, detected, boxes, score_threshold=score_threshold)


def read(
  path: str | os.PathLike[str],
  images: Mapping[int, Mapping[str, Any]],
  *,
  categories: Sequence[int | str] = (1,),
) -> np.recarray:
  """Reads a file of detections and takes people's boxes in the images.

  They are records of position in the file (from 0), image_id, bbox (x, y, w, h)
  in image px, and score. Boxes without an area, and of images that are not
  among `images` (those of the labels, by id), are left out. For the matching of
  images see `ImageIndex`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not a list of detections, one with a wrong field, or none of
      these categories or in these images.
  """
  path = pathlib.Path(path)
  everything = _read_boxes(path)
  people = _boxes_of(categories, everything, path)
  index = ImageIndex(images)
  found = [index.find(box) for _, box in people]
  boxes = np.array(
    [
      (position, image_id, box.bbox, box.score)
      for (position, box), image_id in zip(people, found, strict=True)
      if image_id is not None
    ],
    _BOXES,
  )
  if not len(boxes):
    raise ValueError(
      f"{path}: none of its {len(people)} boxes of people is in one of the "
      f"labels' {len(images)} images; the first box has "
      f"{_describe_image(people[0][1])}, the first image "
      f"{index.describe_first()}: they are of another split, or numbered "
      "otherwise"
    )
  has_area = np.all(boxes["bbox"][:, 2:] > 0, axis=-1)
  _LOG.info(
    "%s: %d detections, %d of category %s; of these left out: %d in images "
    "that the labels do not have, %d without an area",
    path, len(everything), len(people), " or ".join(map(str, categories)),
    len(people) - len(boxes), (~has_area).sum(),
  )  # fmt: skip
  if index.contradictions:
    _LOG.warning(
      "%s: file_name and image_id of %d boxes mean different images of the "
      "labels; file_name counts", path, index.contradictions,
    )  # fmt: skip
  return boxes[has_area].view(np.recarray)


def _read_boxes(path: pathlib.Path) -> list[box_file.Box]:
  """The boxes of a file, of all categories."""
  if not path.is_file():
    raise FileNotFoundError(f"no file of detections {path}: {_WHAT_TO_GIVE}")
  content = read_json(path)
  if not isinstance(content, list):
    raise ValueError(
      f"{path}: detections are a list {box_file.EXAMPLE}, got a "
      f'{type(content).__name__}; the boxes of annotations are boxes="gt"'
    )
  if not content:
    raise ValueError(f"{path} has no boxes: an empty list")
  return box_file.parse_boxes(content, path)


def _boxes_of(
  categories: Sequence[int | str],
  everything: Sequence[box_file.Box],
  path: pathlib.Path,
) -> list[tuple[int, box_file.Box]]:
  """The boxes of some categories, with their positions; at least one."""
  counts = collections.Counter(box.category_id for box in everything)
  people = [
    (position, box)
    for position, box in enumerate(everything)
    if box.category_id is None or box.category_id in categories
  ]
  if people and 0 in counts and 0 not in categories:
    _LOG.warning(
      "%s: %d boxes of category 0 are left out, %d are of people; for a "
      "detector that counts from 0, give --box_category=0",
      path, counts[0], len(people),
    )  # fmt: skip
  box_file.warn_of_units([box for _, box in people], path)
  if not people:
    theirs = list(counts)
    raise ValueError(
      f"{path}: its {len(everything)} boxes are of categories {theirs[:5]}, "
      f"the labels' is {' or '.join(map(describe_id, categories))}; if one of "
      "theirs is people, give it as --box_category"
    )
  return people


def _describe_image(box: box_file.Box) -> str:
  """What a box says of its image, for messages."""
  own = [f"file_name {box.file_name}"] if box.file_name else []
  if box.image_id is not None:
    own.append(f"image_id {describe_id(box.image_id)}")
  return " and ".join(own)


class ImageIndex:
  """The images of a json, to find those of boxes."""

  def __init__(self, images: Mapping[int, Mapping[str, Any]]):
    self._images = images
    self._by_id = {id_in_file(image): n for n, image in images.items()}
    self._by_name = {str(i.get("file_name")): n for n, i in images.items()}
    self._find_name = functools.cache(FileNames(self._by_name).find)
    self.contradictions = 0  # between a box's file_name and image_id, so far

  def find(self, box: box_file.Box) -> int | None:
    """Returns the id of a box's image: by file_name, id, or the id as a name.

    Another id of the same type is no name: the box is of another image, None.
    """
    by_id = self._by_id.get(box.image_id)
    by_name = self._named(box.file_name)
    if by_name is None and by_id is None and isinstance(box.image_id, str):
      return self._named(box.image_id)
    if None not in (by_id, by_name) and by_id != by_name:
      self.contradictions += 1
    return by_id if by_name is None else by_name

  def _named(self, file_name: str | None) -> int | None:
    name = None if file_name is None else self._find_name(file_name)
    return None if name is None else self._by_name[name]

  def describe_first(self) -> str:
    """Returns id and file name of the first image, for messages."""
    image = next(iter(self._images.values()), {})
    own_id = describe_id(id_in_file(image))
    return f"file_name {image.get('file_name')} and id {own_id}"


def with_boxes(
  dataset: PreparedDataset,
  boxes: np.recarray,
  path: str | os.PathLike[str],
  *,
  score_threshold: float = 0.0,
) -> PreparedDataset:
  """Returns a data set with detected boxes in place of its people.

  Boxes of images that cannot be read, and of low scores, are left out.

  The data set is made with keep_empty_images, see `prepare.load`; `path` is for
  messages. A ValueError if no box is left.
  """
  images = prepared.read_images(dataset.builder)
  skipped = images.image_id[~images.readable]
  is_unreadable = np.isin(boxes.image_id, skipped)
  if is_unreadable.any():
    _LOG.warning(
      "%s: %d boxes on images that cannot be read are left out; whoever is "
      "labelled there counts as missed",
      path, is_unreadable.sum(),
    )  # fmt: skip
  kept = ~is_unreadable & (boxes.score >= score_threshold)
  if not kept.any():
    raise ValueError(
      f"{path}: of {len(boxes)} boxes of people in the images of "
      f"{dataset.annotations}, none has a score of at least {score_threshold} "
      f"and an image that can be read; the best score is "
      f"{max(boxes.score, default=0):g}: lower the threshold"
    )
  boxes = boxes[kept]
  _LOG.info(
    "%d boxes of score %g or more in %d of %d images",
    len(boxes), score_threshold, len(np.unique(boxes.image_id)),
    dataset.num_images,
  )  # fmt: skip
  people = _people(boxes, images, dataset.skeleton.num_keypoints)
  box_file.warn_of_corners(people.bbox, people.image_size, path)
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

"""Boxes of a person detector, in place of the labels' for an evaluation.

The file is the one the published numbers of COCO were measured with: a json
list of `{"image_id", "category_id", "bbox", "score"}`, boxes (x, y, w, h) in
image px, as pycocotools writes detection results. Boxes of the labels' category
(1, the person, in COCO) are taken, as they are: they are not clipped to the
image, unlike the labels' (HRNet and DARK, lib/dataset/coco.py).

A detected box has no truth: which person it shows is for the metrics to find.
"""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.data import prepared as source_lib
from darkjax.data.coco import prepare, reader, sections
from darkjax.data.coco import unreadable as faults
from darkjax.data.people_table import Images, People
from darkjax.data.prepared import Source
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)

# Written into the names of metrics, as `table.GT_BOXES` is.
DETECTIONS = "detections"

_FIELDS = ("image_id", "category_id", "bbox", "score")
# What a field holds: shape, kinds of NumPy's dtypes, bound, words. An area of
# sides up to 1e9 px is still a float32.
_MEANING = {
  "image_id": ((), "i", np.inf, "an integer"),
  "bbox": ((4,), "if", 1e9, "four numbers (x, y, w, h) of up to 1e9 px"),
  "score": ((), "if", np.finfo(np.float32).max, "a finite number"),
}
_EXAMPLE = (
  '[{"image_id": 139, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}]'
)


@dataclasses.dataclass(frozen=True)
class Boxes:
  """N detected boxes, in the order of their file.

  Attributes:
    position: [N] int64, in the file, from 0.
    image_id: [N] int64.
    bbox: [N, 4] float32 (x, y, w, h), image px.
    score: [N] float32.
  """

  position: np.ndarray
  image_id: np.ndarray
  bbox: np.ndarray
  score: np.ndarray

  def __len__(self) -> int:
    return len(self.position)

  def rows(self, index: np.ndarray) -> "Boxes":
    """The boxes at `index` (positions or a mask)."""
    return Boxes(**{name: array[index] for name, array in vars(self).items()})


def load(
  annotations: str | os.PathLike[str],
  images: str | os.PathLike[str],
  boxes: str | os.PathLike[str] = "gt",
  *,
  category: str | None = None,
  skeleton: Skeleton | None = None,
  score_threshold: float = 0.0,
  cache_dir: str | os.PathLike[str] | None = None,
  tolerance: faults.Tolerance = faults.RAISE,
) -> Source:
  """What to evaluate on: labelled people, or detected boxes.

  Args:
    annotations: COCO-format keypoint json.
    images: folder that its file names are relative to.
    boxes: "gt" for the labels', or a file of detections. With detections every
      image of the json counts, also those that nobody is labelled in.
    category: see `coco.load`.
    skeleton: likewise; with it and a file of detections, the json may have no
      labels, see `coco.load_unlabelled`.
    score_threshold: detections below it are left out; the official code takes
      all, 0.
    cache_dir: see `coco.load`.
    tolerance: of images that cannot be read; boxes on them are left out.

  Returns:
    The source, `box_source` "gt_boxes" or "detections".

  Raises:
    FileNotFoundError: no such file; for detections the message says what they
      are and how to do without.
    ValueError: see `read` and `with_boxes`.
  """
  which = {"category": category, "skeleton": skeleton}
  options = {**which, "cache_dir": cache_dir, "tolerance": tolerance}
  if str(boxes) == "gt":
    return prepare.load(annotations, images, **options)
  labelled = skeleton is None or sections.has_labels(annotations)
  outline = reader.read_content if labelled else reader.read_unlabelled
  # Before records are prepared, which takes longer.
  detected = read(boxes, categories=outline(annotations, **which).category_ids)
  if labelled:
    source = prepare.load(
      annotations, images, keep_empty_images=True, **options
    )
  else:
    source = prepare.load_unlabelled(annotations, images, **options)
  return with_boxes(source, detected, boxes, score_threshold=score_threshold)


def read(
  path: str | os.PathLike[str], *, categories: Sequence[int] = (1,)
) -> Boxes:
  """Reads a file of detections and takes the boxes of some categories.

  Boxes without an area cannot be cropped; they are left out and counted in
  the log.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not a list of detections, or one without a field, with NaN or
      infinity; the message names the first.
  """
  path = pathlib.Path(path)
  found = _load(path)
  _check_fields(found, path)
  people = [
    i for i, box in enumerate(found) if box["category_id"] in categories
  ]
  boxes = Boxes(
    position=np.array(people, np.int64),
    image_id=_column(found, people, "image_id", path).astype(np.int64),
    bbox=_column(found, people, "bbox", path).astype(np.float32),
    score=_column(found, people, "score", path).astype(np.float32),
  )
  full = (boxes.bbox[:, 2:] > 0).all(-1)
  _LOG.info(
    "%s: %d detections, %d of category %s%s",
    path,
    len(found),
    len(boxes),
    " or ".join(map(str, categories)),
    "" if full.all() else f", {(~full).sum()} of them without an area left out",
  )
  return boxes.rows(full)


def with_boxes(
  source: Source,
  boxes: Boxes,
  path: str | os.PathLike[str],
  *,
  score_threshold: float = 0.0,
) -> Source:
  """The same images, with detected boxes in place of the labelled people.

  Args:
    source: made with keep_empty_images, see `coco.load`.
    boxes: from `read`. Those of other images, as of a larger split, are left
      out and counted in the log: they would not be scored.
    path: where the boxes come from, for messages.
    score_threshold: boxes with a lower score are left out.

  Raises:
    ValueError: no box is left.
  """
  images = source_lib.read_images(source.builder)
  known = np.isin(boxes.image_id, images.image_id)
  unreadable = np.isin(boxes.image_id, images.image_id[~images.readable])
  if unreadable.any():
    _LOG.warning(
      "%s: %d boxes on images that cannot be read are left out; whoever is "
      "labelled there counts as missed",
      path,
      unreadable.sum(),
    )
  kept = known & ~unreadable & (boxes.score >= score_threshold)
  if not kept.any():
    raise ValueError(
      f"{path}: of {len(boxes)} boxes of people {known.sum()} are in images "
      f"of {source.annotations}, none of these has a score of at least "
      f"{score_threshold}; use the detections of the same split, or a lower "
      "threshold"
    )
  boxes = boxes.rows(kept)
  _LOG.info(
    "%d boxes of score %g or more in %d of %d images; left out: %d in images "
    "that %s does not have",
    len(boxes), score_threshold, len(np.unique(boxes.image_id)),
    source.num_images, (~known).sum(), source.annotations,
  )  # fmt: skip
  people = _people(boxes, images, source.skeleton.num_keypoints)
  return dataclasses.replace(source, people=people, box_source=DETECTIONS)


def _people(boxes: Boxes, images: Images, num_keypoints: int) -> People:
  """The boxes as people of whom nothing else is known."""
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


def _load(path: pathlib.Path) -> list[Mapping[str, Any]]:
  if not path.is_file():
    raise FileNotFoundError(
      f"no file of detections {path}: a json list of the boxes that a person "
      f"detector found, {_EXAMPLE}. COCO's published numbers use "
      "COCO_val2017_detections_AP_H_56_person.json (104,125 boxes), which the "
      "README of HRNet (leoxiaobin/deep-high-resolution-net.pytorch) links to "
      "under data preparation, as person_detection_results; any detector's "
      'boxes in this form will do. boxes="gt" evaluates with the labels\' '
      "boxes instead, which gives about 2 AP more"
    )
  found = sections.parse(path)
  if not isinstance(found, list):
    raise ValueError(
      f"{path}: detections are a list {_EXAMPLE}, got a "
      f"{type(found).__name__}{_sections(found)}"
    )
  return found


def _sections(content) -> str:
  if isinstance(content, dict) and "annotations" in content:
    return '; these are annotations, whose own boxes are boxes="gt"'
  return ""


def _check_fields(found: Sequence[Any], path: pathlib.Path) -> None:
  for i, box in enumerate(found):
    missing = [
      field
      for field in _FIELDS
      if not isinstance(box, dict) or box.get(field) is None
    ]
    if missing:
      raise ValueError(
        f"{path}: detection {i} has no {missing}, got {str(box)[:120]}; "
        f"detections are a list {_EXAMPLE}"
      )


def _column(found, people, field: str, path: pathlib.Path) -> np.ndarray:
  """A field of the people's boxes; the first with other content is named."""
  values = [found[i][field] for i in people]
  shape, kinds, bound, meaning = _MEANING[field]
  wrong = [not _fits(value, shape, kinds, bound) for value in values]
  if any(wrong):
    first = wrong.index(True)
    raise ValueError(
      f"{path}: {field!r} of {sum(wrong)} detections is not {meaning}, first "
      f"of detection {people[first]}: {values[first]!r}; correct the file"
    )
  return np.array(values).reshape(len(people), *shape)


def _fits(value, shape: tuple[int, ...], kinds: str, bound: float) -> bool:
  try:
    numbers = np.array(value)
  except ValueError:  # lists of several lengths
    return False
  right = numbers.shape == shape and numbers.dtype.kind in kinds
  return right and bool((np.abs(numbers) <= bound).all())  # NaN is not

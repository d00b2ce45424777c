"""Findings about boxes and areas, and how boxes compare with the crop."""

from collections.abc import Iterator

import numpy as np

from darkjax import geometry
from darkjax.data.check.findings import (
  Finding,
  about_people,
  by_share,
  finding,
  share,
)
from darkjax.data.check.labels import TOLERANCE, Labels, Size
from darkjax.data.people_table import People, clean_boxes

# COCO's bounds of medium people, px² of the body.
_MEDIUM = (32.0**2, 96.0**2)
# COCO's own share of labels outside the crop is 0.9 to 1.4 %.
_FEW_OUTSIDE = 0.05


def findings(
  labels: Labels, crop_size: Size, padding: float
) -> Iterator[Finding]:
  """Yields all of them; crop_size is (height, width) px, padding a factor."""
  people = labels.people.rows(~labels.people.iscrowd & labels.people.labelled)
  if len(people):
    yield from _boxes(people)
    yield from _areas(people)
  people = labels.trainable()
  if len(people):
    yield from _outside_crop(people, crop_size, padding)
    for name, count in area_counts(people).items():
      if name != "small" and not count:
        yield finding(f"no-{name}-people")


def _boxes(people: People) -> Iterator[Finding]:
  size, box_size = people.image_size[:, ::-1], people.bbox[:, 2:]
  first, last = people.bbox[:, :2], people.bbox[:, :2] + box_size
  beyond = (last > size + TOLERANCE).any(-1)
  # Boxes that hold their keypoints if read as (x1, y1, x2, y2).
  corners = ~outside(people, first, box_size).any(-1)
  if corners.mean() > 0.9 and (corners & beyond).mean() > 0.1:
    yield from about_people("box-corners", people, corners & beyond)
  empty = (box_size <= 0).any(-1)
  beside = ((first >= size) | (last <= 0)).any(-1) & ~empty
  over = (beyond | (first < -TOLERANCE).any(-1)) & ~empty & ~beside
  yield from about_people("box-without-size", people, empty)
  yield from about_people("box-outside-image", people, beside)
  yield from about_people("box-over-edge", people, over)


def outside(people: People, low: np.ndarray, high: np.ndarray) -> np.ndarray:
  """Returns which labelled keypoints [N, K] lie over a pixel outside a box.

  Boxes reach from low [N, 2] to high [N, 2], image px.
  """
  points, labelled = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  left_or_above = points < low[:, None] - TOLERANCE
  right_or_below = points > high[:, None] + TOLERANCE
  return labelled & (left_or_above | right_or_below).any(-1)


def _areas(people: People) -> Iterator[Finding]:
  box = people.bbox[:, 2:].astype(np.float64).prod(-1)
  above = (people.area > 1.05 * box) & (box > 0)
  same = (np.abs(people.area - box) <= 0.01 * box) & (box > 0)
  yield from about_people("area-zero", people, people.area <= 0)
  yield from about_people("area-above-box", people, above)
  if same.mean() > 0.5:
    yield finding("area-of-box", share=share(same.sum(), len(people)))


def crop_boxes(
  people: People, crop_size: Size, padding: float
) -> tuple[np.ndarray, np.ndarray]:
  """Returns centre [N, 2] and scale [N, 2] of the people's crops, image px."""
  return geometry.box_to_center_scale(
    clean_boxes(people, alignment="dark"),
    crop_size=crop_size,
    alignment="dark",
    padding=padding,
  )


def _outside_crop(
  people: People, crop_size: Size, padding: float
) -> Iterator[Finding]:
  center, scale = crop_boxes(people, crop_size, padding)
  offset = np.abs(people.keypoints[..., :2] - center[:, None])
  labelled = people.keypoints[..., 2] > 0
  wrong = labelled & (offset > scale[:, None] / 2).any(-1)
  yield from about_people(
    "keypoint-outside-crop",
    people,
    wrong.any(-1),
    severity=by_share(wrong.sum(), labelled.sum(), _FEW_OUTSIDE),
    points=share(wrong.sum(), labelled.sum()),
    crop="{}x{}".format(*crop_size),
    padding=padding,
  )


def area_counts(people: People) -> dict[str, int]:
  """Returns the number of people in each of COCO's ranges of the area."""
  small, large = people.area < _MEDIUM[0], people.area > _MEDIUM[1]
  masks = {"small": small, "medium": ~small & ~large, "large": large}
  return {name: int(mask.sum()) for name, mask in masks.items()}

"""Findings about boxes and areas, and how boxes compare with the crop."""

from collections.abc import Iterator

import numpy as np

from darkjax import geometry
from darkjax.data.check.findings import (
  NOTE,
  WARNING,
  Finding,
  Labels,
  by_share,
  share,
)
from darkjax.data.check.labels import TOLERANCE
from darkjax.data.people_table import People, clean_boxes

# COCO's bounds of medium people, px² of the body.
MEDIUM = (32.0**2, 96.0**2)
# COCO's evaluation looks at so many people of an image.
MOST_PEOPLE = 20
# What becomes of labelled people whose box or area is empty.
_LEFT_OUT = (
  "left out of training; AP counts them as missed, PCK leaves them out"
)
# COCO's own share of labels outside the crop is 0.9 to 1.4 %.
_FEW_OUTSIDE = 0.05


def findings(
  labels: Labels, *, crop_size: tuple[int, int], padding: float
) -> Iterator[Finding]:
  """All of them.

  Args:
    labels: of the json.
    crop_size: (height, width) of the network's input, px.
    padding: factor on the box.
  """
  people = labels.people.rows(~labels.people.iscrowd & labels.people.labelled)
  if len(people):
    yield from _corners(people)
    yield from _without_extent(people)
    yield from _outside(people)
    yield from _areas(people)
  trained = labels.trainable()
  if len(trained):
    yield from _outside_crop(trained, crop_size, padding)
    yield from _area_ranges(trained)


def _corners(people: People) -> Iterator[Finding]:
  """Boxes that fit their keypoints if read as (x1, y1, x2, y2)."""
  fits = _holds(people, people.bbox[:, 2:])
  grown = people.bbox[:, :2] + people.bbox[:, 2:]
  wrong = fits & ~_fits_image(people, grown)
  if fits.mean() > 0.9 and wrong.mean() > 0.1:
    yield Finding(
      WARNING,
      "box-corners",
      f"boxes of {share(wrong.sum(), len(people))} people leave the image, and "
      "those of nearly everybody hold the keypoints if their last two numbers "
      "are a corner: they look like (x1, y1, x2, y2)",
      "write (x, y, width, height)",
      tuple(people.annotation_id[wrong].tolist()),
    )


def _holds(people: People, corner) -> np.ndarray:
  """[N] bool: all labelled keypoints lie between the box's x, y and corner."""
  points, visible = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  low, high = people.bbox[:, None, :2], corner[:, None]
  inside = (points >= low - TOLERANCE) & (points <= high + TOLERANCE)
  return (inside.all(-1) | ~visible).all(-1)


def _fits_image(people: People, corner) -> np.ndarray:
  return (corner <= people.image_size[:, ::-1] + TOLERANCE).all(-1)


def _without_extent(people: People) -> Iterator[Finding]:
  wrong = (people.bbox[:, 2:] <= 0).any(-1)
  if wrong.any():
    yield Finding(
      WARNING,
      "box-without-size",
      f"boxes of {share(wrong.sum(), len(people))} labelled people have no "
      f"width or no height: these people are {_LEFT_OUT}",
      "write (x, y, w, h) with w and h above 0; the extent of the keypoints "
      "and a tenth more on each side will do",
      tuple(people.annotation_id[wrong].tolist()),
    )


def _outside(people: People) -> Iterator[Finding]:
  size = people.image_size[:, ::-1]
  first, last = people.bbox[:, :2], people.bbox[:, :2] + people.bbox[:, 2:]
  extended = (people.bbox[:, 2:] > 0).all(-1)
  wholly = extended & ((first >= size) | (last <= 0)).any(-1)
  partly = ((first < -TOLERANCE) | (last > size + TOLERANCE)).any(-1)
  partly &= extended & ~wholly
  if wholly.any():
    yield Finding(
      WARNING,
      "box-outside-image",
      f"boxes of {share(wholly.sum(), len(people))} labelled people lie beside "
      f"their image: these people are {_LEFT_OUT}",
      "correct the boxes; (x, y) is the upper left corner in px of the image",
      tuple(people.annotation_id[wholly].tolist()),
    )
  if partly.any():
    yield Finding(
      NOTE,
      "box-over-edge",
      f"boxes of {share(partly.sum(), len(people))} labelled people reach over "
      "the edge of their image; training and scoring cut them to it",
      "nothing need be done; where boxes are squares around a centre, as "
      "MPII's, set convention.clip_boxes to False to keep them whole",
      tuple(people.annotation_id[partly].tolist()),
    )


def crop_boxes(
  people: People, crop_size: tuple[int, int], padding: float
) -> tuple[np.ndarray, np.ndarray]:
  """Centre [N, 2] and scale [N, 2] of the people's crops, image px."""
  return geometry.box_to_center_scale(
    clean_boxes(people, alignment="dark"),
    crop_size=crop_size,
    alignment="dark",
    padding=padding,
  )


def outside_box(people: People) -> np.ndarray:
  """[N, K] bool: labelled keypoints more than a pixel outside the box."""
  half = people.bbox[:, None, 2:].astype(np.float64) / 2
  offset = people.keypoints[..., :2] - people.bbox[:, None, :2] - half
  over = (np.abs(offset) > half + TOLERANCE).any(-1)
  return over & (people.keypoints[..., 2] > 0)


def _outside_crop(people, crop_size, padding) -> Iterator[Finding]:
  center, scale = crop_boxes(people, crop_size, padding)
  offset = np.abs(people.keypoints[..., :2] - center[:, None])
  wrong = (offset > scale[:, None] / 2).any(-1)
  labelled = people.keypoints[..., 2] > 0
  wrong &= labelled
  if wrong.any():
    yield Finding(
      WARNING if wrong.sum() > _FEW_OUTSIDE * labelled.sum() else NOTE,
      "keypoint-outside-crop",
      f"{share(wrong.sum(), labelled.sum())} labelled keypoints lie outside "
      f"the crop that is made of their box (widened to "
      f"{crop_size[0]}x{crop_size[1]}, then times {padding:g}): no heatmap can "
      "hold them, they are lost to training and count as missed in scoring "
      "(COCO, whose boxes hold what is visible of people, has about 1 %)",
      "make boxes that hold the keypoints, or raise convention.padding",
      tuple(people.annotation_id[wrong.any(-1)].tolist()),
    )


def _areas(people: People) -> Iterator[Finding]:
  box = people.bbox[:, 2:].astype(np.float64).prod(-1)
  none = people.area <= 0
  large = (people.area > 1.05 * box) & (box > 0)
  same = (np.abs(people.area - box) <= 0.01 * box) & (box > 0)
  if none.any():
    yield Finding(
      WARNING,
      "area-zero",
      f"areas of {share(none.sum(), len(people))} labelled people are 0: these "
      f"people are {_LEFT_OUT}",
      "write the area of the mask in px², or 0.53 * w * h of the box",
      tuple(people.annotation_id[none].tolist()),
    )
  if large.any():
    yield Finding(
      by_share(large.sum(), len(people)),
      "area-above-box",
      f"areas of {share(large.sum(), len(people))} labelled people exceed "
      "their box: OKS, which divides by the area, is too kind to them",
      "write the area of the mask in px², or 0.53 * w * h of the box",
      tuple(people.annotation_id[large].tolist()),
    )
  if same.mean() > 0.5:
    yield Finding(
      NOTE,
      "area-of-box",
      f"areas of {share(same.sum(), len(people))} labelled people are those of "
      "their boxes: OKS is kinder than with masks, and AP higher than it is "
      "elsewhere",
      "write 0.53 * w * h of the box to compare with COCO's AP",
    )


def area_counts(people: People) -> dict[str, int]:
  """People by COCO's ranges of the area."""
  low, high = MEDIUM
  return {
    "small": int((people.area < low).sum()),
    "medium": int(((people.area >= low) & (people.area <= high)).sum()),
    "large": int((people.area > high).sum()),
  }


def _area_ranges(people: People) -> Iterator[Finding]:
  counts = area_counts(people)
  for name, size, letter in (
    ("medium", "32² to 96² px²", "M"),
    ("large", "over 96² px²", "L"),
  ):
    if not counts[name]:
      yield Finding(
        NOTE,
        f"no-{name}-people",
        f"nobody's area is {size}: AP({letter}) and AR({letter}) will be -1, "
        "which says that there was nobody to find",
        f"read AP, and not AP({letter}), on this data; if that is a surprise, "
        "check that areas are in px² of the image",
      )


def enlargement(
  people: People, crop_size: tuple[int, int], padding: float
) -> np.ndarray:
  """[N] factor from image px to crop px; above 1 the crop is enlarged."""
  _, scale = crop_boxes(people, crop_size, padding)
  return crop_size[1] / scale[:, 0]

"""Findings about people as a whole: nobody, twice, crowds, many of them."""

from collections.abc import Iterator

import numpy as np

from darkjax.data.check.boxes import MOST_PEOPLE
from darkjax.data.check.findings import (
  ERROR,
  NOTE,
  WARNING,
  Finding,
  Labels,
  by_share,
  share,
)
from darkjax.metrics.coco import people_by_image
from darkjax.metrics.oks import oks

# Two annotations are one person from this OKS of their labels on: where
# OKS-NMS keeps only one of two predictions.
_SAME_OKS = 0.9
# Fewer shared labels than this may agree by chance.
_SAME_LABELS = 3


def findings(labels: Labels) -> Iterator[Finding]:
  """All of them."""
  yield from _nobody(labels)
  yield from _categories(labels)
  yield from _labelled_counts(labels)
  yield from _twice(labels)
  yield from _crowds(labels)
  yield from _many(labels)


def _nobody(labels: Labels) -> Iterator[Finding]:
  people = labels.people
  if not people.trainable.any():
    yield Finding(
      ERROR,
      "nobody-to-train-on",
      f"of {len(labels.content.annotations)} annotations none is a person with "
      f"a labelled keypoint, a box and an area: {people.iscrowd.sum()} are "
      f"crowds, {(~people.labelled).sum()} have no label, "
      f"{(~people.boxed).sum()} no box or area inside the image",
      "see the other findings; a file of boxes or masks only has no keypoints",
    )


def _categories(labels: Labels) -> Iterator[Finding]:
  names = {a.get("category_id") for a in labels.content.annotations}
  if len(names) > 1:
    yield Finding(
      NOTE,
      "several-categories",
      f"{len(names)} categories with the same keypoints are trained and scored "
      f"as one (ids {sorted(names, key=str)[:5]})",
      "name one with --category to look at it alone",
    )


def _labelled_counts(labels: Labels) -> Iterator[Finding]:
  """`num_keypoints` as the file says it, which COCO's evaluation reads.

  None says as little as a missing field.
  """
  people = labels.people.rows(~labels.people.iscrowd)
  counted = (people.keypoints[..., 2] > 0).sum(-1)
  said = [a.get("num_keypoints") for a in labels.annotations(people)]
  pairs = list(zip(said, counted.tolist(), strict=True))
  wrong = np.array([s is not None and s != n for s, n in pairs], bool)
  hidden = np.array([s == 0 for s in said], bool) & (counted > 0)
  if wrong.any():
    yield Finding(
      WARNING if hidden.any() else by_share(wrong.sum(), len(people)),
      "num-keypoints",
      f"'num_keypoints' of {share(wrong.sum(), len(people))} people is not the "
      f"number of their labels; where it is 0 ({hidden.sum()} people with "
      "labels) AP leaves them out, and is -1 if that is everybody",
      "drop the field, and it is counted, or write the number of keypoints of "
      "visibility 1 or 2",
      tuple(people.annotation_id[hidden if hidden.any() else wrong].tolist()),
    )


def _twice(labels: Labels) -> Iterator[Finding]:
  people = labels.people.rows(~labels.people.iscrowd & labels.people.labelled)
  second = []
  for rows in people_by_image(people.image_id):
    if len(rows) > 1:
      second += _second(people.rows(rows), labels.content.skeleton.sigmas)
  if second:
    yield Finding(
      by_share(len(second), len(people)),
      "person-twice",
      f"{share(len(second), len(people))} people are annotated twice in an "
      f"image (labels of OKS over {_SAME_OKS}; second ids below): they count "
      "double in training, and of two predictions that agree so well one is "
      "removed as a duplicate, so that the other label counts as missed",
      "drop one of the two annotations",
      tuple(second),
    )


def _second(people, sigmas) -> list[int]:
  """Ids of the people of one image who have an earlier twin."""
  visible = people.keypoints[..., 2] > 0
  shared = (visible[:, None] & visible[None]).sum(-1)
  points = people.keypoints[..., :2]
  similar = oks(points, points, visible, people.area, sigmas)
  # A twin has the same labels; OKS only reads those of the second person.
  same = (visible[:, None] == visible[None]).all(-1) & (shared >= _SAME_LABELS)
  twins = np.tril(same & (similar >= _SAME_OKS), k=-1).any(-1)
  return people.annotation_id[twins].tolist()


def _crowds(labels: Labels) -> Iterator[Finding]:
  crowds = labels.people.iscrowd
  wrong = crowds & labels.people.labelled
  if wrong.any():
    yield Finding(
      by_share(wrong.sum(), len(crowds)),
      "crowd-with-labels",
      f"{share(wrong.sum(), len(crowds))} annotations have iscrowd 1 and "
      "labelled keypoints: crowds are not trained on",
      "set iscrowd to 0 where the annotation is one person",
      tuple(labels.people.annotation_id[wrong].tolist()),
    )


def _many(labels: Labels) -> Iterator[Finding]:
  people = labels.trainable()
  ids, counts = np.unique(people.image_id, return_counts=True)
  many = counts > MOST_PEOPLE
  if many.any():
    yield Finding(
      NOTE,
      "many-people",
      f"{many.sum()} images (ids below) have more than {MOST_PEOPLE} people, "
      f"up to {counts.max()}: COCO's evaluation looks at the {MOST_PEOPLE} "
      "best predictions of an image, so that AR and AP cannot reach 100 there",
      "nothing need be done; PCK and the mean error count everybody",
      tuple(ids[many].tolist()),
    )

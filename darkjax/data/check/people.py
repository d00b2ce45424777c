"""Findings about whole people: none at all, annotated twice, crowds."""

from collections.abc import Iterator

import numpy as np

from darkjax.data.check.findings import (
  Finding,
  about_people,
  by_share,
  finding,
  share,
)
from darkjax.data.check.labels import Labels
from darkjax.data.check.rules import WARNING
from darkjax.data.people_table import People
from darkjax.metrics.coco import people_by_image
from darkjax.metrics.oks import oks

# Two annotations are one person from this OKS of their labels on: where
# OKS-NMS keeps only one of two predictions.
_SAME_OKS = 0.9
# Fewer shared labels than this may agree by chance.
_SAME_LABELS = 3
# COCO's evaluation looks at so many people of an image.
_MOST_PEOPLE = 20


def findings(labels: Labels) -> Iterator[Finding]:
  """Yields all of them."""
  people, annotations = labels.people, labels.content.annotations
  if not people.trainable.any():
    yield finding(
      "nobody-to-train-on",
      total=len(annotations),
      crowds=people.iscrowd.sum(),
      unlabelled=(~people.labelled).sum(),
      unboxed=(~people.boxed).sum(),
    )
  ids = sorted({a.get("category_id") for a in annotations}, key=str)
  if len(ids) > 1:
    yield finding("several-categories", count=len(ids), first=ids[:5])
  yield from _labelled_counts(labels)
  yield from _twice(labels)
  crowds = people.iscrowd & people.labelled
  yield from about_people("crowd-with-labels", people, crowds)
  images, counts = np.unique(labels.trainable().image_id, return_counts=True)
  many = images[counts > _MOST_PEOPLE].tolist()
  if many:
    most = counts.max()
    yield finding("many-people", many, limit=_MOST_PEOPLE, most=most)


def _labelled_counts(labels: Labels) -> Iterator[Finding]:
  """Checks `num_keypoints`, which COCO's evaluation reads, where it stands."""
  people = labels.people.rows(~labels.people.iscrowd)
  counted = (people.keypoints[..., 2] > 0).sum(-1)
  annotations = labels.content.annotations
  given = [annotations[i].get("num_keypoints") for i in people.record]
  pairs = list(zip(given, counted.tolist(), strict=True))
  wrong = np.array([g is not None and g != n for g, n in pairs], bool)
  hidden = wrong & np.array([g == 0 for g in given], bool)
  some = by_share(wrong.sum(), len(people))
  yield from about_people(
    "num-keypoints",
    people,
    hidden if hidden.any() else wrong,
    severity=WARNING if hidden.any() else some,
    share=share(wrong.sum(), len(people)),
    hidden=hidden.sum(),
  )


def _twice(labels: Labels) -> Iterator[Finding]:
  people = labels.people.rows(~labels.people.iscrowd & labels.people.labelled)
  twice = np.zeros(len(people), bool)
  for rows in people_by_image(people.image_id):
    if len(rows) > 1:
      sigmas = labels.content.skeleton.sigmas
      twice[rows] = _has_earlier_twin(people.rows(rows), sigmas)
  yield from about_people("person-twice", people, twice, oks=_SAME_OKS)


def _has_earlier_twin(people: People, sigmas) -> np.ndarray:
  """[N] bool, of the people of one image."""
  points, visible = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  similar = oks(points, points, visible, people.area, sigmas) >= _SAME_OKS
  # A twin has the same labels; OKS only reads those of the second person.
  same = (visible[:, None] == visible[None]).all(-1)
  enough = visible.sum(-1) >= _SAME_LABELS
  return np.tril(similar & same & enough, k=-1).any(-1)

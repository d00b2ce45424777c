"""Findings about the keypoints: annotations refused, visibility, positions."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from darkjax.data.check.findings import (
  Finding,
  about_people,
  by_share,
  finding,
  share,
)
from darkjax.data.check.labels import TOLERANCE, UNKNOWN_SIZE, Labels
from darkjax.data.people_table import People

# Fewer labels of a keypoint than this teach nothing reliable.
_FEW_LABELS = 20


def findings(labels: Labels) -> Iterator[Finding]:
  """Yields all of them, errors first."""
  names = labels.content.skeleton.keypoint_names
  yield from _refused(labels)
  people = labels.people.rows(labels.people.labelled)
  small = np.abs(people.keypoints[..., :2]).max((1, 2), initial=0) <= 1.5
  if small.sum() > 0.5 * len(people):
    yield from about_people("coordinates-normalised", people, small)
  yield from _positions(labels.people, names)
  yield from _rare(labels.trainable(), names)
  flags = labels.people.keypoints[..., 2]
  for value in (2, 1):
    if flags.any() and not (flags == value).any():
      yield finding(f"visibility-never-{value}")


def _refused(labels: Labels) -> Iterator[Finding]:
  by_rule = defaultdict(list)
  for annotation_id, problem in labels.broken:
    by_rule[problem.rule].append((annotation_id, problem.text))
  for rule, broken in by_rule.items():
    yield finding(
      f"{rule}-refused",
      [annotation_id for annotation_id, _ in broken],
      share=share(len(broken), len(labels.content.annotations)),
      first="{}: {}".format(*broken[0]),
    )
  ids, counts = np.unique(labels.people.annotation_id, return_counts=True)
  if (counts > 1).any():
    yield finding("id-repeated", ids[counts > 1].tolist())


def _positions(people: People, names: Sequence[str]) -> Iterator[Finding]:
  points, labelled = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  last = people.image_size[:, None, ::-1] - 1.0
  outside = ((points < -TOLERANCE) | (points > last + TOLERANCE)).any(-1)
  sized = labelled & (people.image_size[:, :1] < UNKNOWN_SIZE)
  for rule, wrong, total in (
    ("labelled-at-origin", labelled & (points == 0).all(-1), labelled.sum()),
    ("unlabelled-with-place", ~labelled & points.any(-1), labelled.size),
    ("keypoint-outside-image", sized & outside, sized.sum()),
  ):
    counts = wrong.sum(0)
    most = [f"{names[k]} {counts[k]}" for k in np.argsort(-counts) if counts[k]]
    yield from about_people(
      rule,
      people,
      wrong.any(-1),
      severity=by_share(wrong.sum(), total),
      points=wrong.sum(),
      most=f"{wrong.any(-1).sum()} people; {labelled.sum()} keypoints are "
      f"labelled; most often {', '.join(most[:4])}",
    )


def _rare(people: People, names: Sequence[str]) -> Iterator[Finding]:
  counts = (people.keypoints[..., 2] > 0).sum(0)
  missing = [names[k] for k in np.flatnonzero(counts == 0).tolist()]
  if len(people) and missing:
    yield finding(
      "keypoint-never-labelled",
      count=len(missing),
      total=len(names),
      names=", ".join(missing[:5]),
    )
  rare = np.flatnonzero((counts > 0) & (counts < _FEW_LABELS)).tolist()
  if len(people) > _FEW_LABELS and rare:
    shown = ", ".join(f"{names[k]} {counts[k]}" for k in rare)
    yield finding("keypoint-rarely-labelled", few=_FEW_LABELS, names=shown)

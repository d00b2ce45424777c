"""Findings about the keypoints: what is refused, visibility, places."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from darkjax.data.check.findings import (
  ERROR,
  NOTE,
  UNKNOWN_SIZE,
  WARNING,
  Finding,
  Labels,
  by_share,
  share,
)

# Labels may lie this far over an edge before they count as outside, px.
TOLERANCE = 1.0

_FIXES = {
  "id": "number the annotations, each by another integer",
  "image": "add the images, or drop the annotations",
  "box": "write (x, y, w, h); without a box, the extent of the keypoints and "
  "a tenth more on each side will do",
  "area": "write the area of the person's mask in px² or, where there is "
  "none, 0.53 * w * h of the box, which is what bodies cover on average in "
  "COCO. AP(M) counts people of 32² to 96² px² and is -1 without any",
  "keypoints": "write x, y, visibility for each name of the category, 0, 0, 0 "
  "where a keypoint is not labelled",
  "visibility": "write 0 for not labelled, 1 for labelled but hidden, 2 for "
  "visible",
  "score": "drop the field, or write a number",
}


def findings(labels: Labels) -> Iterator[Finding]:
  """All of them, the grave ones first."""
  yield from _refused(labels)
  yield from _repeated_ids(labels)
  yield from _normalised(labels)
  yield from _at_origin(labels)
  yield from _unlabelled_places(labels)
  yield from _outside_image(labels)
  yield from _never_labelled(labels)
  yield from _flags(labels)


def _refused(labels: Labels) -> Iterator[Finding]:
  """One finding per rule that annotations break."""
  by_rule = defaultdict(list)
  for annotation_id, problem in labels.broken:
    by_rule[problem.rule].append((annotation_id, problem.text))
  total = len(labels.content.annotations)
  for rule, found in by_rule.items():
    yield Finding(
      ERROR,
      f"{rule}-refused",
      f"{share(len(found), total)} annotations are refused; {found[0][0]}: "
      f"{found[0][1]}",
      _FIXES[rule],
      tuple(annotation_id for annotation_id, _ in found),
    )


def _repeated_ids(labels: Labels) -> Iterator[Finding]:
  ids, counts = np.unique(labels.people.annotation_id, return_counts=True)
  if (counts > 1).any():
    yield Finding(
      ERROR,
      "id-repeated",
      f"{(counts > 1).sum()} annotation ids are used more than once",
      "number the annotations anew",
      tuple(ids[counts > 1].tolist()),
    )


def _normalised(labels: Labels) -> Iterator[Finding]:
  people = labels.people.rows(labels.people.labelled)
  extent = np.abs(people.keypoints[..., :2]).max((1, 2), initial=0)
  small = extent <= 1.5
  if small.sum() > 0.5 * max(len(people), 1):
    yield Finding(
      WARNING,
      "coordinates-normalised",
      f"keypoints of {share(small.sum(), len(people))} people lie in 0..1: "
      "they look like shares of the image",
      "multiply x by the image's width and y by its height; boxes and areas "
      "likewise",
      tuple(people.annotation_id[small].tolist()),
    )


def _at_origin(labels: Labels) -> Iterator[Finding]:
  points = labels.people.keypoints
  wrong = (points[..., 2] > 0) & (points[..., :2] == 0).all(-1)
  yield from _points(
    labels,
    wrong,
    WARNING,
    "labelled-at-origin",
    "labelled keypoints (visibility 1 or 2) lie at (0, 0): the network learns "
    "to point at the corner",
    "set their visibility to 0",
  )


def _unlabelled_places(labels: Labels) -> Iterator[Finding]:
  points = labels.people.keypoints
  unlabelled = points[..., 2] == 0
  wrong = unlabelled & (points[..., :2] != 0).any(-1)
  yield from _points(
    labels,
    wrong,
    by_share(wrong.sum(), unlabelled.size),
    "unlabelled-with-place",
    "keypoints of visibility 0 have coordinates: they are not learnt",
    "if 0 stands for hidden, set it to 1; if these are no labels, nothing need "
    "be done",
  )


def _outside_image(labels: Labels) -> Iterator[Finding]:
  people = labels.people
  points, size = people.keypoints, people.image_size[:, None, ::-1]
  over = (points[..., :2] < -TOLERANCE) | (
    points[..., :2] > size - 1.0 + TOLERANCE
  )
  known = people.image_size[:, :1] < UNKNOWN_SIZE
  labelled = (points[..., 2] > 0) & known
  wrong = labelled & over.any(-1)
  yield from _points(
    labels,
    wrong,
    by_share(wrong.sum(), labelled.sum()),
    "keypoint-outside-image",
    "labelled keypoints lie outside the image: there is nothing to see there",
    "set their visibility to 0; where there are many, the coordinates belong "
    "to another size or crop of the image",
  )


def _points(labels, wrong, severity, rule, text, fix) -> Iterator[Finding]:
  """A finding about single keypoints [N, K]; none where there are none."""
  if not wrong.any():
    return
  names = labels.content.skeleton.keypoint_names
  counts = wrong.sum(0)
  most = [k for k in np.argsort(-counts)[:4] if counts[k]]
  often = [f"{names[k]} {counts[k]}" for k in most]
  total = (labels.people.keypoints[..., 2] > 0).sum()
  people = wrong.any(-1)
  yield Finding(
    severity,
    rule,
    f"{wrong.sum()} {text} ({people.sum()} people; {total} keypoints are "
    f"labelled; most often {', '.join(often)})",
    fix,
    tuple(labels.people.annotation_id[people].tolist()),
  )


def _never_labelled(labels: Labels) -> Iterator[Finding]:
  people = labels.trainable()
  counts = (people.keypoints[..., 2] > 0).sum(0)
  names = np.array(labels.content.skeleton.keypoint_names)
  if len(people) and (counts == 0).any():
    missing = ", ".join(names[counts == 0][:5])
    yield Finding(
      WARNING,
      "keypoint-never-labelled",
      f"{(counts == 0).sum()} of {len(names)} keypoints are labelled in "
      f"nobody ({missing}): their heatmaps are not trained, and what is drawn "
      "of them means nothing",
      "drop their names from the category and their numbers from 'keypoints', "
      "or check the order of the numbers",
    )
  rare = (counts > 0) & (counts < FEW_LABELS) & (len(people) > FEW_LABELS)
  if rare.any():
    yield Finding(
      NOTE,
      "keypoint-rarely-labelled",
      f"labelled in fewer than {FEW_LABELS} people: "
      + ", ".join(f"{names[k]} {counts[k]}" for k in np.flatnonzero(rare)),
      "label more of them, or do not trust what is found",
    )


# Fewer labels of a keypoint than this teach nothing reliable.
FEW_LABELS = 20


def _flags(labels: Labels) -> Iterator[Finding]:
  flags = labels.people.keypoints[..., 2]
  if not flags.size or (flags == 0).all():
    return
  if not (flags == 2).any():
    yield Finding(
      NOTE,
      "visibility-never-2",
      "no keypoint has visibility 2: 1 counts as labelled (COCO: but hidden)",
      "nothing need be done for training and scoring, which treat 1 and 2 "
      "alike; write 2 for visible ones if the file is for others",
    )
  if not (flags == 1).any():
    yield Finding(
      NOTE,
      "visibility-never-1",
      "no keypoint has visibility 1: the file does not tell hidden keypoints",
      "nothing need be done: training and scoring treat 1 and 2 alike",
    )

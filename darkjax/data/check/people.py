"""Findings about people: their boxes, areas and keypoints, and their number."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from darkjax import geometry
from darkjax.data.check.findings import Finding, about_people, finding
from darkjax.data.check.labels import TOLERANCE, Labels, Size
from darkjax.data.check.rules import WARNING
from darkjax.data.people_table import People, clean_boxes
from darkjax.metrics.coco import people_by_image
from darkjax.metrics.coco_fields import FILLED
from darkjax.metrics.oks import oks

_FEW_LABELS = 20  # fewer of a keypoint teach nothing reliable
_SAME_OKS = 0.9  # of one person's labels; OKS-NMS keeps one of two such
_SAME_LABELS = 3  # fewer may agree by chance
_MOST_PEOPLE = 20  # of an image in COCO's evaluation


def findings(
  labels: Labels, crop_size: Size, padding: float
) -> Iterator[Finding]:
  """Yields all of them; crop_size is (height, width) px, padding a factor."""
  yield from _refused(labels)
  yield from _missing(labels)
  yield from _keypoints(labels)
  people = labels.people.rows(~labels.people.iscrowd & labels.people.labelled)
  if len(people):
    yield from _boxes(people)
    yield from _twice(people, labels.content.skeleton.sigmas)
  people = labels.trainable()
  if len(people):
    yield from _outside_crop(people, crop_size, padding)
    yield from _rare(people, labels.content.skeleton.keypoint_names)
  yield from _counts(labels)
  yield from _given_counts(labels)


def _refused(labels: Labels) -> Iterator[Finding]:
  for rule in dict.fromkeys(problem.rule for _, problem in labels.broken):
    broken = [(i, p.text) for i, p in labels.broken if p.rule == rule]
    yield finding(
      f"{rule}-refused",
      [i for i, _ in broken],
      part=(len(broken), len(labels.content.annotations)),
      first="{}: {}".format(*broken[0]),
    )
  counts = Counter(labels.people.annotation_id.tolist())
  repeated = [i for i, count in counts.items() if count > 1]
  if repeated:
    yield finding("id-repeated", repeated)


def _missing(labels: Labels) -> Iterator[Finding]:
  people, annotations = labels.people, labels.content.annotations
  if labels.content.unlisted:
    yield finding("category-unlisted", text=labels.content.unlisted)
  for field in FILLED:
    missing = [field in annotations[i].get("filled", ()) for i in people.record]
    missing = np.array(missing, bool) & people.labelled
    yield from about_people(f"{field}-missing", people, missing)


def _keypoints(labels: Labels) -> Iterator[Finding]:
  people = labels.people.rows(labels.people.labelled)
  small = np.abs(people.keypoints[..., :2]).max((1, 2), initial=0) <= 1.5
  if small.sum() > 0.5 * len(people):
    yield from about_people("coordinates-normalised", people, small)
  people, names = labels.people, labels.content.skeleton.keypoint_names
  placed = (people.keypoints[..., :2] != 0).any(-1)
  flags = people.keypoints[..., 2]
  labelled, last = flags > 0, people.image_size[:, ::-1] - 1.0
  beside = outside(people, 0 * last - TOLERANCE, last + TOLERANCE)
  for rule, wrong, total in (
    ("labelled-at-origin", labelled & ~placed, labelled.sum()),
    ("unlabelled-with-place", ~labelled & placed, labelled.size),
    ("keypoint-outside-image", beside, labelled.sum()),
  ):
    counts = wrong.sum(0)
    most = [f"{names[k]} {counts[k]}" for k in np.argsort(-counts) if counts[k]]
    shown = f"most often {', '.join(most[:4])}"
    yield from about_people(rule, people, wrong, total, most=shown)
  for value in (2, 1):
    if labelled.any() and not (flags == value).any():
      yield finding(f"visibility-never-{value}")


def outside(people: People, low: np.ndarray, high: np.ndarray) -> np.ndarray:
  """Returns which labelled keypoints [N, K] lie outside of boxes.

  Boxes reach from low [N, 2] to high [N, 2], image px.
  """
  points, labelled = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  beyond = (points < low[:, None]) | (points > high[:, None])
  return labelled & beyond.any(-1)


def _boxes(people: People) -> Iterator[Finding]:
  size, box_size = people.image_size[:, ::-1], people.bbox[:, 2:]
  first, last = people.bbox[:, :2], people.bbox[:, :2] + box_size
  beyond = (last > size + TOLERANCE).any(-1)
  # Boxes that hold their keypoints if read as (x1, y1, x2, y2).
  outliers = outside(people, first - TOLERANCE, box_size + TOLERANCE)
  corners = ~outliers.any(-1)
  if corners.mean() > 0.9 and (corners & beyond).mean() > 0.1:
    yield from about_people("box-corners", people, corners & beyond)
  empty = (box_size <= 0).any(-1)
  beside = ((first >= size) | (last <= 0)).any(-1) & ~empty
  over = (beyond | (first < -TOLERANCE).any(-1)) & ~empty & ~beside
  yield from about_people("box-without-size", people, empty)
  yield from about_people("box-outside-image", people, beside)
  yield from about_people("box-over-edge", people, over)
  box = people.bbox[:, 2:].astype(np.float64).prod(-1)
  above = (people.area > 1.05 * box) & (box > 0)
  same = (np.abs(people.area - box) <= 0.01 * box) & (box > 0)
  whole = np.abs(people.area / size.astype(np.float64).prod(-1) - 1) < 0.01
  yield from about_people("nobody-in-image", people, ~people.in_image)
  yield from about_people("area-zero", people, people.area <= 0)
  yield from about_people("area-of-image", people, whole & ~same)
  yield from about_people("area-above-box", people, above)
  if same.mean() > 0.5:
    yield finding("area-of-box", part=(same.sum(), len(people)))


def _twice(people: People, sigmas: tuple[float, ...]) -> Iterator[Finding]:
  twice = np.zeros(len(people), bool)
  for rows in people_by_image(people.image_id):
    keypoints = people.keypoints[rows]
    points, visible = keypoints[..., :2], keypoints[..., 2] > 0
    similar = oks(points, points, visible, people.area[rows], sigmas)
    # A twin has the same labels; OKS only reads those of the second person.
    same = (visible[:, None] == visible[None]).all(-1)
    same &= visible.sum(-1) >= _SAME_LABELS
    twice[rows] = np.tril((similar >= _SAME_OKS) & same, k=-1).any(-1)
  yield from about_people("person-twice", people, twice, oks=_SAME_OKS)


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
  yield from about_people(
    "keypoint-outside-crop",
    people,
    outside(people, center - scale / 2, center + scale / 2),
    (people.keypoints[..., 2] > 0).sum(),
    few=0.05,  # it is 0.9 to 1.4 % in COCO itself
    crop="{}x{}".format(*crop_size),
    padding=padding,
  )


def _rare(people: People, names: tuple[str, ...]) -> Iterator[Finding]:
  counts = (people.keypoints[..., 2] > 0).sum(0).tolist()
  pairs = list(zip(names, counts, strict=True))
  missing = [name for name, count in pairs if not count]
  if missing:
    part, shown = (len(missing), len(names)), ", ".join(missing[:5])
    yield finding("keypoint-never-labelled", part=part, names=shown)
  rare = [f"{name} {n}" for name, n in pairs if 0 < n < _FEW_LABELS]
  if len(people) > _FEW_LABELS and rare:
    shown = ", ".join(rare)
    yield finding("keypoint-rarely-labelled", limit=_FEW_LABELS, names=shown)
  for size, count in area_counts(people).items():
    if size != "small" and not count:
      yield finding(f"no-{size}-people")


def area_counts(people: People) -> dict[str, int]:
  """Returns the number of people in each of COCO's ranges of the area."""
  small = int((people.area < 32**2).sum())
  large = int((people.area > 96**2).sum())
  return {"small": small, "medium": len(people) - small - large, "large": large}


def _counts(labels: Labels) -> Iterator[Finding]:
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
  crowds = people.iscrowd & people.labelled
  yield from about_people("crowd-with-labels", people, crowds)
  images, counts = np.unique(labels.trainable().image_id, return_counts=True)
  own_ids = labels.content.image_ids_in_file
  many = [own_ids[i] for i in images[counts > _MOST_PEOPLE]]
  if many:
    yield finding("many-people", many, limit=_MOST_PEOPLE, most=counts.max())


def _given_counts(labels: Labels) -> Iterator[Finding]:
  """Checks `num_keypoints`, which COCO's evaluation reads, where it stands."""
  people = labels.people.rows(~labels.people.iscrowd)
  counted = (people.keypoints[..., 2] > 0).sum(-1).tolist()
  annotations = labels.content.annotations
  given = [annotations[i].get("num_keypoints") for i in people.record]
  pairs = list(zip(given, counted, strict=True))
  wrong = np.array([g not in (None, n) for g, n in pairs], bool)
  hidden = sum(g == 0 and n > 0 for g, n in pairs)
  severity = WARNING if hidden else None
  yield from about_people(
    "num-keypoints", people, wrong, severity=severity, hidden=hidden
  )

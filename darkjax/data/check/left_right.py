"""Findings about left and right of the people.

- The vectors from right to left of shoulders, hips and the like point about the
  same way. A pair that points against the others in most people has its two
  names swapped. Where a pair that nearly always follows the others points
  against them in one person, the body is twisted or the pair swapped there.
- Some triples, such as two eyes and the nose, are only labelled when seen from
  one side, and then turn the same way in everybody. A person in whom they turn
  the other way is labelled from the viewer's side (or is a mirror image).

Pairs whose names say no side have no direction: only their turns are compared.
"""

from collections.abc import Iterator

import numpy as np

from darkjax.data.check.findings import Finding, about_people, finding
from darkjax.data.check.labels import Labels
from darkjax.data.people_table import People
from darkjax.skeletons import names as keypoint_names

_CLEAR = 0.15  # shorter vectors, in person's scales, have no clear direction
_ENOUGH = 50  # fewer clear people prove nothing
# Share of the people in whom a pair points against the others: above the first
# it is swapped, below the second it always follows them.
_SWAPPED, _FOLLOWS = 0.65, 0.05
_ONE_SIDED = 0.98  # of the people, in whom a triple turns the same way


def findings(labels: Labels) -> Iterator[Finding]:
  """Yields all of them."""
  people, skeleton = labels.trainable(), labels.content.skeleton
  names, pairs = skeleton.keypoint_names, skeleton.flip_pairs
  directed = keypoint_names.pairs_with_sides(names, pairs)
  if len(people) and directed:
    yield from _pairs(people, directed, names)
  if len(people) and pairs:
    yield from _mirrored(people, pairs)


def _across(people: People, pairs) -> np.ndarray:
  """Vectors [N, P, 2] from right to left, in scales; 0 where not clear."""
  left, right = (people.keypoints[:, side] for side in np.array(pairs).T)
  vectors = (left - right)[..., :2] / np.sqrt(people.area)[:, None, None]
  clear = (left[..., 2] > 0) & (right[..., 2] > 0)
  clear &= np.linalg.norm(vectors, axis=-1) > _CLEAR
  return np.where(clear[..., None], vectors, 0)


def _along(directions: np.ndarray) -> np.ndarray:
  """[N, P] how far each pair points along the sum of the others."""
  others = directions.sum(1, keepdims=True) - directions
  return (directions * others).sum(-1)


def _pairs(people: People, pairs, names) -> Iterator[Finding]:
  """Yields pairs that point against the others, in most people or in a few."""
  vectors = _across(people, pairs)
  lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
  directions = vectors / np.maximum(lengths, _CLEAR)
  compared = (lengths[..., 0] > 0) & ((lengths > 0).sum(1) > 1)
  enough = compared.sum(0) >= _ENOUGH
  against = (compared & (_along(directions) < 0)).sum(0)
  against = against / np.maximum(compared.sum(0), 1)
  shown = [
    f"{'/'.join(names[i] for i in pairs[p])} in {100 * against[p]:.0f} %"
    for p in np.flatnonzero(enough & (against > _SWAPPED))
  ]
  if shown:
    yield finding("pair-swapped", names=", ".join(shown))
  follows = enough & (against <= _FOLLOWS)
  least = _along(directions[:, follows]).min(1, initial=0)
  order = np.argsort(least, kind="stable")[: (least < -0.5).sum()]
  if len(order):
    ids = people.annotation_id[order].tolist()
    yield finding("person-twisted", ids, part=(len(ids), len(people)))


def _mirrored(people: People, pairs) -> Iterator[Finding]:
  """Yields people in whom most one-sided triples turn against the usual way.

  A triple is a pair and a third keypoint. Its turn is the cross product of the
  vector from right to left and the one from the pair's middle to the third.
  """
  points, labelled = people.keypoints[..., :2], people.keypoints[..., 2] > 0
  points = points / np.sqrt(people.area)[:, None, None]
  balance = np.zeros(len(people), int)  # triples against, less those along
  for pair, vector in zip(
    pairs, _across(people, pairs).swapaxes(0, 1), strict=True
  ):
    offset = points - points[:, pair].mean(1, keepdims=True)
    turn = vector[:, :1] * offset[..., 1] - vector[:, 1:] * offset[..., 0]
    clear = labelled & (np.abs(turn) > _CLEAR**2)  # [N, K]
    counts = clear.sum(0)
    usual = (clear & (turn > 0)).sum(0) / np.maximum(counts, 1)
    one_sided = np.maximum(usual, 1 - usual) >= _ONE_SIDED
    votes = clear & one_sided & (counts >= _ENOUGH)
    against = (turn > 0) != (usual > 0.5)
    balance += (votes & against).sum(1) - (votes & ~against).sum(1)
  yield from about_people("person-mirrored", people, balance > 0)

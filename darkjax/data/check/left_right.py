"""Findings about left and right: in the names, in the pairs, in the people.

Mirrored training images trade the labels of each pair. Names, and the `flip_
pairs` of the category, are checked against each other. In the people two things
can be seen, and both are measured on the data itself:

- In one person the vectors from right to left of stiff pairs (shoulders, hips)
  point about the same way. A pair whose vectors point against the others' in
  most people has its two names swapped; a person in whom one stiff pair points
  against another is twisted, or has that pair swapped.
- Some triples, such as two eyes and the nose, are only labelled when seen from
  one side, and then turn the same way in everybody. A person in whom they turn
  the other way is labelled from the viewer's side (or stands on a mirror).

Whether a body seen from behind has all its sides swapped cannot be told from
labels, and nothing is said about it.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from darkjax.data.check.findings import (
  NOTE,
  WARNING,
  Finding,
  Labels,
  by_share,
  share,
)
from darkjax.data.check.limbs import suggest_limbs
from darkjax.skeletons import names as keypoint_names

# A vector shorter than this share of the person's scale has no clear direction.
_CLEAR = 0.15
# People in whom both pairs are clear, before anything is said about them.
_ENOUGH = 50
# Pairs that agree in so many people are stiff.
_STIFF = 0.95
# Triples that turn the same way in so many people are seen from one side only.
_ONE_SIDED = 0.98


def findings(labels: Labels) -> Iterator[Finding]:
  """All of them."""
  yield from _names(labels)
  people = labels.trainable()
  pairs = labels.content.skeleton.flip_pairs
  if len(people) and len(pairs) > 1:
    yield from _opposed_pairs(labels, people)
    yield from _twisted(labels, people)
  if len(people) and pairs:
    yield from _mirrored(labels, people)


def _names(labels: Labels) -> Iterator[Finding]:
  skeleton = labels.content.skeleton
  names, pairs = skeleton.keypoint_names, skeleton.flip_pairs
  paired = {i for pair in pairs for i in pair}
  alone = [
    name
    for i, name in enumerate(names)
    if i not in paired and keypoint_names.has_side(name)
  ]
  if alone:
    yield Finding(
      WARNING,
      "side-without-partner",
      f"{len(alone)} keypoints are named after a side but have no partner "
      f"({', '.join(alone[:5])}): in mirrored images they are learnt on the "
      "wrong side",
      "spell the two names alike but for left and right, give 'flip_pairs' in "
      "the category (index pairs from 0), or set augmentation.flip_probability "
      "to 0 and evaluate.flip_test to False",
    )
  told = labels.content.category.get("flip_pairs") is not None
  if not pairs and len(names) > 1 and not alone and not told:
    yield Finding(
      WARNING,
      "no-flip-pairs",
      "no two keypoints trade places in a mirrored image: no names say left "
      "and right, and the category has no 'flip_pairs'. Half of the training "
      "images are mirrored by default, and teach left and right keypoints in "
      "each other's place",
      "give 'flip_pairs' in the category, index pairs from 0; an empty list "
      "where no keypoint has a twin (a hand: a mirrored left hand is a right "
      "one)",
    )
  guessed = {frozenset(p) for p in keypoint_names.guess_flip_pairs(names)}
  differing = guessed - {frozenset(p) for p in pairs}
  if pairs and differing:
    shown = ["/".join(names[i] for i in sorted(p)) for p in differing]
    yield Finding(
      WARNING,
      "flip-pairs-against-names",
      "the category's 'flip_pairs' do not pair what the names pair: "
      + ", ".join(sorted(shown)[:5]),
      "correct 'flip_pairs' (index pairs from 0), or drop the field, and the "
      "names are used",
    )


def _across(people, pairs) -> tuple[np.ndarray, np.ndarray]:
  """Vectors from right to left [N, P, 2] in scales, and [N, P] if clear."""
  left, right = np.array(pairs).T
  scale = np.sqrt(people.area.astype(np.float64))[:, None, None]
  points = people.keypoints.astype(np.float64)
  vectors = (points[:, left, :2] - points[:, right, :2]) / scale
  labelled = (points[:, left, 2] > 0) & (points[:, right, 2] > 0)
  clear = labelled & (np.linalg.norm(vectors, axis=-1) > _CLEAR)
  return vectors, clear


def _agreement(vectors, clear) -> tuple[np.ndarray, np.ndarray]:
  """[P, P] share of people in whom two pairs point alike, and their number."""
  count = clear.T.astype(np.float64) @ clear
  alike = np.zeros_like(count)
  for p in range(count.shape[0]):
    along = (vectors * vectors[:, p : p + 1]).sum(-1) > 0
    alike[p] = (along & clear & clear[:, p : p + 1]).sum(0)
  return alike / np.maximum(count, 1), count


def _opposed_pairs(labels: Labels, people) -> Iterator[Finding]:
  """Pairs whose sign differs in the leading eigenvector of the agreement."""
  skeleton = labels.content.skeleton
  agreement, count = _agreement(*_across(people, skeleton.flip_pairs))
  signed = np.where(count >= _ENOUGH, 2 * agreement - 1, 0.0)
  np.fill_diagonal(signed, 0.0)
  leading = np.linalg.eigh(signed)[1][:, -1]
  known = np.abs(signed).sum(1) > 0
  signs = np.where(known, np.sign(leading), 0)
  if signs.sum() < 0:
    signs = -signs
  against = [p for p in np.flatnonzero(signs < 0) if signed[p] @ signs < -0.3]
  for p in against:
    names = [skeleton.keypoint_names[i] for i in skeleton.flip_pairs[p]]
    others = (signs > 0) & (count[p] >= _ENOUGH)
    opposed = 1 - np.average(agreement[p, others], weights=count[p, others])
    yield Finding(
      WARNING,
      "pair-swapped",
      f"from {names[1]} to {names[0]} points against the other pairs in "
      f"{100 * opposed:.0f} % of the people",
      "swap the two names in the category (or the numbers in the file)",
    )


def _twisted(labels: Labels, people) -> Iterator[Finding]:
  """Where two stiff pairs oppose each other, the clearest people first."""
  skeleton = labels.content.skeleton
  vectors, clear = _across(people, skeleton.flip_pairs)
  agreement, count = _agreement(vectors, clear)
  limbs = skeleton.limbs or suggest_limbs(people, skeleton)
  inner = ~_at_ends(limbs, skeleton.flip_pairs)
  stiff = (agreement >= _STIFF) & (count >= _ENOUGH) & inner & inner[:, None]
  opposed = np.zeros(len(people))
  for p, q in np.argwhere(np.triu(stiff, k=1)):
    along = (vectors[:, p] * vectors[:, q]).sum(-1)
    lengths = np.linalg.norm(vectors[:, [p, q]], axis=-1).prod(-1)
    against = clear[:, p] & clear[:, q] & (along < -0.5 * lengths)
    opposed += np.where(against, -along, 0.0)
  order = np.argsort(-opposed, kind="stable")[: (opposed > 0).sum()]
  if len(order):
    yield Finding(
      NOTE,
      "person-twisted",
      f"in {share(len(order), len(people))} people a pair points against "
      f"another that it follows in over {100 * _STIFF:.0f} % of all: twisted "
      "bodies, crossed legs, or one of the pairs swapped (the clearest first)",
      "look at the first ones; swap the two labels where they are wrong",
      tuple(people.annotation_id[order].tolist()),
    )


def _at_ends(limbs, flip_pairs) -> np.ndarray:
  """[P] bool: pairs at the ends of limbs, such as wrists, which cross often."""
  ends = Counter(i for limb in limbs for i in limb)
  return np.array([ends[left] == 1 for left, _ in flip_pairs], bool)


def _mirrored(labels: Labels, people) -> Iterator[Finding]:
  """People against whom all their one-sided triples speak."""
  pairs = labels.content.skeleton.flip_pairs
  votes = np.zeros((len(people), 2), int)  # as usual, the other way
  for turn, clear in _turns(people, pairs):
    usual = (turn > 0)[clear].mean() if clear.sum() >= _ENOUGH else 0.5
    if max(usual, 1 - usual) >= _ONE_SIDED:
      other = (turn > 0) != (usual > 0.5)
      votes[:, 0] += clear & ~other
      votes[:, 1] += clear & other
  mirrored = votes[:, 1] > votes[:, 0]
  if mirrored.any():
    yield Finding(
      by_share(mirrored.sum(), len(people)),
      "person-mirrored",
      f"in {share(mirrored.sum(), len(people))} people the triples of "
      "keypoints that turn one way in everybody else turn the other way: left "
      "and right are likely swapped",
      "look at them; left is the person's left, not the viewer's",
      tuple(people.annotation_id[mirrored].tolist()),
    )


def _turns(people, pairs):
  """For each pair and third keypoint: turn [N], and [N] if it is clear.

  The turn is the cross product of the vector from right to left and the vector
  from the pair's middle to the third point, in units of the area.
  """
  vectors, clear = _across(people, pairs)
  points = people.keypoints.astype(np.float64)
  scale = np.sqrt(people.area.astype(np.float64))[:, None]
  for p, (left, right) in enumerate(pairs):
    middle = (points[:, left, :2] + points[:, right, :2]) / 2
    for third in range(points.shape[1]):
      if third in (left, right):
        continue
      offset = (points[:, third, :2] - middle) / scale
      vector = vectors[:, p]
      turn = vector[:, 0] * offset[:, 1] - vector[:, 1] * offset[:, 0]
      both = clear[:, p] & (points[:, third, 2] > 0)
      yield turn, both & (np.abs(turn) > _CLEAR**2)

"""Limbs suggested by the labels, for a category that names none.

Keypoints that belong together stay close to each other in every pose. The limbs
are the minimum spanning tree of the median distances, in units of the person's
scale, over the people in whom both ends are labelled; what it draws on one side
it draws on the other.
"""

import numpy as np

from darkjax.data.people_table import People
from darkjax.skeletons import Skeleton


def suggest_limbs(
  people: People, skeleton: Skeleton
) -> tuple[tuple[int, int], ...]:
  """Index pairs from 0, K - 1 or somewhat more.

  Args:
    people: labelled ones with an area.
    skeleton: its flip pairs.

  Returns:
    Limbs, both ends in ascending order; fewer than K - 1 where keypoints are
    never labelled together.
  """
  flipped = skeleton.flip_indices
  tree = _spanning_tree(_median_distances(people))
  both = [*tree, *((flipped[a], flipped[b]) for a, b in tree)]
  return tuple(sorted({(min(limb), max(limb)) for limb in both}))


def _spanning_tree(distances: np.ndarray) -> list[tuple[int, int]]:
  """Prim's minimum spanning tree of [K, K]; infinite edges are left out."""
  limbs = []
  nearest = {k: (distances[0, k], 0) for k in range(1, len(distances))}
  while nearest:
    k = min(nearest, key=lambda k: nearest[k][0])
    distance, parent = nearest.pop(k)
    if np.isfinite(distance):
      limbs.append((parent, k))
    for other, (known, _) in nearest.items():
      if distances[k, other] < known:
        nearest[other] = (distances[k, other], k)
  return limbs


def _median_distances(people: People) -> np.ndarray:
  """[K, K] in scales; infinite where no person has both labels."""
  points = people.keypoints[..., :2] / np.sqrt(people.area)[:, None, None]
  visible = people.keypoints[..., 2] > 0
  count = visible.shape[1]
  distances = np.full((count, count), np.inf)
  for a in range(count):
    for b in range(a):
      both = visible[:, a] & visible[:, b]
      if both.any():
        apart = np.linalg.norm(points[both, a] - points[both, b], axis=-1)
        distances[a, b] = distances[b, a] = np.median(apart)
  return distances

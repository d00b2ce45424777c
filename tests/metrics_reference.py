"""Slow loops of the metrics' definitions, one number at a time."""

import math


def oks(points, truth, visible, area, sigmas):
  """One prediction with one person: COCO's formula, k = 2 sigma."""
  terms = []
  for (x, y), (u, v), seen, sigma in zip(
    points, truth, visible, sigmas, strict=True
  ):
    if seen > 0:
      squared = (x - u) ** 2 + (y - v) ** 2
      terms.append(math.exp(-squared / (2 * area * (2 * sigma) ** 2)))
  return sum(terms) / len(terms) if terms else 0.0


def pair_oks(points, other, area, other_area, sigmas):
  """Two predictions: every keypoint counts, areas averaged."""
  everything = [1] * len(sigmas)
  return oks(points, other, everything, (area + other_area) / 2, sigmas)


def rescore(box_score, keypoint_scores, threshold):
  good = [score for score in keypoint_scores if score > threshold]
  return box_score * sum(good) / len(good) if good else 0.0


def oks_nms(people, scores, areas, sigmas, threshold):
  """Greedy: a person stays unless too much like one that stayed."""
  kept = []
  for i in sorted(range(len(people)), key=lambda i: -scores[i]):
    if all(
      pair_oks(people[i], people[j], areas[i], areas[j], sigmas) <= threshold
      for j in kept
    ):
      kept.append(i)
  return kept


def soft_oks_nms(people, scores, areas, sigmas, threshold, limit):
  """Keeps the best, lowers the rest by a Gaussian of OKS, goes on."""
  left = {i: float(score) for i, score in enumerate(scores)}
  kept = []
  while left and len(kept) < limit:
    best = max(left, key=lambda i: left[i])
    kept.append(best)
    del left[best]
    for i in left:
      similar = pair_oks(people[best], people[i], areas[best], areas[i], sigmas)
      left[i] *= math.exp(-(similar**2) / threshold)
  return kept


def correct_counts(predicted, truth, visible, lengths, threshold):
  """Per keypoint: (people within threshold * length, people labelled)."""
  right, labelled = [0] * len(visible[0]), [0] * len(visible[0])
  for points, labels, seen, length in zip(
    predicted, truth, visible, lengths, strict=True
  ):
    for k, flag in enumerate(seen):
      if flag > 0:
        labelled[k] += 1
        right[k] += math.dist(points[k], labels[k]) <= threshold * length
  return right, labelled


def mpii_pckh(predicted, truth, visible, lengths, threshold):
  """MPII's protocol by keypoint index: {part: percent}, and "Mean".

  Index order: r ankle, knee, hip, l hip, knee, ankle, pelvis, thorax, neck,
  head, r wrist, elbow, shoulder, l shoulder, elbow, wrist.
  """
  right, labelled = correct_counts(
    predicted, truth, visible, lengths, threshold
  )
  parts = {
    "Head": (9,), "Shoulder": (12, 13), "Elbow": (11, 14), "Wrist": (10, 15),
    "Hip": (2, 3), "Knee": (1, 4), "Ankle": (0, 5),
  }  # fmt: skip
  table = {
    part: sum(100 * right[k] / labelled[k] for k in indices) / len(indices)
    for part, indices in parts.items()
  }
  scored = [k for k in range(16) if k not in (6, 7)]
  total = sum(labelled[k] for k in scored)
  table["Mean"] = 100 * sum(right[k] for k in scored) / total
  return table

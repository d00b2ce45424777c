"""Findings about the category: names, pairs and OKS sigmas."""

from collections.abc import Iterator, Mapping

import numpy as np

from darkjax import skeletons
from darkjax.data import whole_body
from darkjax.data.check.findings import Finding, finding
from darkjax.data.coco import reader
from darkjax.skeletons import names as keypoint_names

_SHOWN = 5  # names of a finding
# A sigma is far from the known ones beyond this factor; COCO's own span 4.3.
_FAR = 3
_LARGEST_SIGMA = 0.3  # COCO's largest is 0.107


def findings(content: reader.Content) -> Iterator[Finding]:
  """Yields all of them."""
  yield from _pairs(content)
  if content.category.get("sigmas"):
    yield from _sigmas(content.skeleton)


def _pairs(content: reader.Content) -> Iterator[Finding]:
  names, pairs = content.skeleton.keypoint_names, content.skeleton.flip_pairs
  paired = {i for pair in pairs for i in pair}
  sides = keypoint_names.sides(names)
  alone = [n for i, n in enumerate(names) if sides[i] and i not in paired]
  if alone:
    shown = ", ".join(alone[:_SHOWN])
    yield finding("side-without-partner", count=len(alone), names=shown)
  given = content.category.get("flip_pairs") is not None
  alike = keypoint_names.lookalikes(names)
  if alike and not given:
    shown = _join(names, alike)
    yield finding("pair-not-recognised", names=shown)
  elif not pairs and len(names) > 1 and not alone and not given:
    yield finding("no-flip-pairs")
  guessed = {frozenset(p) for p in keypoint_names.guess_flip_pairs(names)}
  differing = guessed - {frozenset(p) for p in pairs}
  if pairs and differing:
    shown = _join(names, sorted(map(sorted, differing)))
    yield finding("flip-pairs-against-names", names=shown)


def _join(names, pairs) -> str:
  return ", ".join("/".join(names[i] for i in p) for p in pairs[:_SHOWN])


def _sigmas(skeleton: skeletons.Skeleton) -> Iterator[Finding]:
  known = _known_sigmas()
  far = []
  pairs = zip(skeleton.keypoint_names, skeleton.sigmas, strict=True)
  for name, sigma in pairs:
    usual = known.get(keypoint_names.without_side(name), ())
    nearest = min(usual, key=lambda u: abs(np.log(sigma / u)), default=None)
    if nearest and max(sigma / nearest, nearest / sigma) > _FAR:
      far.append(f"{name} {sigma:g} (known: {nearest:g})")
    elif sigma > _LARGEST_SIGMA:
      far.append(f"{name} {sigma:g}")
  if far:
    shown = ", ".join(far[:_SHOWN])
    yield finding(
      "sigma-far",
      part=(len(far), skeleton.num_keypoints),
      names=shown,
      factor=_FAR,
      largest=_LARGEST_SIGMA,
    )


def _known_sigmas() -> Mapping[keypoint_names.Words, set[float]]:
  """Sigmas of COCO, COCO-WholeBody and MPII's pelvis, by names without sides.

  Of MPII and LSP only what is not `DEFAULT_SIGMA`, which nobody has measured.
  """
  categories = (whole_body.category(), whole_body.hand_category())
  official = [
    pair
    for skeleton in map(skeletons.from_coco_category, categories)
    for pair in zip(skeleton.keypoint_names, skeleton.sigmas, strict=True)
  ]
  mpii = zip(skeletons.MPII.keypoint_names, skeletons.MPII.sigmas, strict=True)
  ours = [pair for pair in mpii if pair[1] != skeletons.DEFAULT_SIGMA]
  known: dict[keypoint_names.Words, set[float]] = {}
  for name, sigma in official + ours:
    known.setdefault(keypoint_names.without_side(name), set()).add(sigma)
  return known

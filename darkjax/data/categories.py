"""What a category of a COCO-format json says of its keypoints."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from darkjax import skeletons
from darkjax.skeletons import Skeleton

_BUILT_IN = (skeletons.COCO, skeletons.LSP, skeletons.MPII)

# Fields of a category, and the attribute of a skeleton that each one gives.
_FIELDS = {
  "skeleton": "limbs",
  "sigmas": "sigmas",
  "flip_pairs": "flip_pairs",
  "upper_body": "upper_body",
  "lower_body": "lower_body",
}


def skeleton_of(category: Mapping[str, Any]) -> Skeleton:
  """The skeleton of a category that lists keypoints.

  Where they are named as those of a built-in skeleton, in its order, it is that
  one with the fields that the category gives in place of its own. An empty list
  of limbs gives nothing, other empty lists count. With `lower_body` alone the
  upper body is the rest. What only lists the same in another order, or under
  another category's name, is the built-in skeleton itself, so that checkpoints
  agree. Other names: see `skeletons.from_coco_category`.

  Args:
    category: see `skeletons.from_coco_category`.

  Raises:
    TypeError: a field of another type than it should have.
    ValueError: the fields contradict each other.

  >>> names = list(skeletons.COCO.keypoint_names)
  >>> category = {"name": "person", "keypoints": names}
  >>> skeleton_of(category).name
  'coco'
  >>> skeleton_of({**category, "skeleton": [[1, 2]]}).limbs
  ((0, 1),)
  """
  own = skeletons.from_coco_category(category)
  known = built_in(own.keypoint_names)
  if known is None:
    return own
  told = {name for field, name in _FIELDS.items() if gives(category, field)}
  if "lower_body" in told:
    told.add("upper_body")
  overlaid = dataclasses.replace(
    known, name=own.name, **{name: getattr(own, name) for name in told}
  )
  return known if _meaning(overlaid) == _meaning(known) else overlaid


def built_in(names: Sequence[str]) -> Skeleton | None:
  """The built-in skeleton of these keypoints in this order, if there is one."""
  same = (s for s in _BUILT_IN if s.keypoint_names == tuple(names))
  return next(same, None)


def gives(category: Mapping[str, Any], field: str) -> bool:
  """Whether a category says something in a field, see `skeleton_of`."""
  value = category.get(field)
  return bool(value) if field == "skeleton" else value is not None


def _meaning(skeleton: Skeleton) -> tuple:
  """All that counts of a skeleton whose keypoints are known."""
  return (
    {frozenset(limb) for limb in skeleton.limbs},
    {frozenset(pair) for pair in skeleton.flip_pairs},
    set(skeleton.upper_body),
    set(skeleton.lower_body),
    skeleton.sigmas,
  )

"""The categories of a COCO-format json: which to read, and their keypoints."""

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


def choose(
  listed: Sequence[Mapping[str, Any]],
  *,
  name: str | None = None,
  skeleton: Skeleton | None = None,
) -> dict[Any, Mapping[str, Any]]:
  """The categories to read, by id; several only where their keypoints agree.

  Args:
    listed: all of a json.
    name: of the wanted ones; None or "" for any with keypoints.
    skeleton: of these keypoints, where categories differ; None for no choice.

  Raises:
    ValueError: there is none, or they differ; names the categories.
  """
  any_name = [c for c in listed if c.get("keypoints")]
  found = [c for c in any_name if not name or c.get("name") == name]
  if not found:
    raise ValueError(_none_found(listed, name if any_name else None))
  if differ(found):
    found = [c for c in found if skeleton and _is_of(c, skeleton)]
  if not found:
    theirs = "; none has the checkpoint's keypoints" if skeleton else ""
    raise ValueError(
      f"several categories with different keypoints: {_counts(listed)}{theirs}"
      "; name the one to read: --category, in training "
      "--config.data.category, in Python category="
    )
  return {category["id"]: category for category in found}


def of_boxes(
  listed: Sequence[Mapping[str, Any]],
  skeleton: Skeleton,
  *,
  name: str | None = None,
) -> tuple[Any, ...]:
  """Ids of what a json without labels wants found, first the one of results.

  Its categories need not list keypoints. Those that list the skeleton's come
  first, then the one named as the skeleton, then "person", then the only one.

  Args:
    listed: all of a json.
    skeleton: of the people to find.
    name: of the wanted ones, in place of these rules; None or "" for none.

  Raises:
    ValueError: none of them fits, or several could; names the categories.
  """
  known = [c for c in listed if c.get("id") is not None]
  possible = [c for c in known if not c.get("keypoints") or _is_of(c, skeleton)]
  if name:
    groups = [[c for c in possible if c.get("name") == name]]
  else:
    groups = [
      [c for c in possible if c.get("keypoints")],
      [c for c in possible if c.get("name") == skeleton.name],
      [c for c in possible if c.get("name") == "person"],
      possible if len(possible) == 1 else [],
    ]
  for group in filter(None, groups):
    return tuple(c["id"] for c in group)
  raise ValueError(
    f"no category{f' {name!r}' if name else ''} for the checkpoint's "
    f"{skeleton.num_keypoints} keypoints; categories and their number of "
    f"keypoints: {_counts(listed)}. Name the one of the boxes: --category, in "
    "Python category="
  )


def differ(listed: Sequence[Mapping[str, Any]]) -> bool:
  """Whether categories with keypoints have different ones, so to choose."""
  keypoints = [c["keypoints"] for c in listed if c.get("keypoints")]
  return any(names != keypoints[0] for names in keypoints)


def _is_of(category: Mapping[str, Any], skeleton: Skeleton) -> bool:
  return tuple(category["keypoints"]) == skeleton.keypoint_names


def _counts(listed) -> list[tuple[Any, int]]:
  return [(c.get("name"), len(c.get("keypoints") or ())) for c in listed]


def _none_found(listed, name: str | None) -> str:
  fix = (
    "name one of those with keypoints"
    if name
    else "A plain instances file has none: use the person_keypoints file, or "
    "list the names of the keypoints under the category's 'keypoints'"
  )
  return (
    f"no category{f' {name!r}' if name else ''} with 'keypoints'; categories "
    f"and their number of keypoints: {_counts(listed)}. {fix}"
  )


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

"""Categories of a COCO-format json: which to read, and their skeletons."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from darkjax import skeletons
from darkjax.metrics.coco_fields import describe_id, is_id
from darkjax.skeletons import Skeleton

_SHOWN = 100  # annotations that a message looks at
_BUILT_IN = (skeletons.COCO, skeletons.LSP, skeletons.MPII)

_INSTANCES_FILE = (
  "A plain instances file has none: use the person_keypoints file, or list the "
  "names of the keypoints under the category's 'keypoints'"
)
# Fields of a category, and the attribute of a skeleton that each one sets.
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
  """Returns the categories to read, by id; several if their keypoints agree.

  `name` is of the category to read, None or "" for any with keypoints; where
  these differ, it is that of the skeleton. A ValueError if there is
  none, or they differ.
  """
  any_name = [c for c in listed if c.get("keypoints")]
  chosen = [c for c in any_name if not name or c.get("name") == name]
  if not chosen:
    fix = "name one of those with keypoints" if any_name else _INSTANCES_FILE
    raise ValueError(
      f"no category{f' {name!r}' if any_name else ''} with 'keypoints'; "
      f"categories and their number of keypoints: {_counts(listed)}. {fix}"
    )
  if have_different_keypoints(chosen):
    chosen = [c for c in chosen if skeleton and _has_keypoints_of(c, skeleton)]
  if not chosen:
    theirs = "; none has the checkpoint's keypoints" if skeleton else ""
    raise ValueError(
      f"several categories with different keypoints: {_counts(listed)}{theirs}"
      "; name the one to read: --category, in training "
      "--config.data.category, in Python category="
    )
  return {category["id"]: category for category in chosen}


def describe_unlisted(
  content: Mapping[str, Any], chosen: Mapping[Any, Any]
) -> str:
  """Returns how many annotations have an unlisted category; "" for none."""
  listed = {c["id"] for c in content["categories"] if is_id(c.get("id"))}
  ids = [item.get("category_id") for item in content["annotations"]]
  unlisted = [i for i in ids if i not in listed]
  if not unlisted:
    return ""
  theirs = " or ".join(map(describe_id, dict.fromkeys(unlisted[:_SHOWN])))
  own = " or ".join(map(describe_id, chosen))
  return (
    f"{len(unlisted)} annotations have category_id {theirs}; the category's is "
    f"{own}"
  )


def choose_for_boxes(
  listed: Sequence[Mapping[str, Any]],
  skeleton: Skeleton,
  *,
  name: str | None = None,
) -> tuple[Any, ...]:
  """Returns the ids of the people's categories in a json without labels.

  The first is that of the results. It is the category called `name`, else those
  with the skeleton's keypoints, the one named as the skeleton, "person", or the
  only one.

  A ValueError if none of them fits, or several could.
  """
  possible = [
    c
    for c in listed
    if c.get("id") is not None
    and (not c.get("keypoints") or _has_keypoints_of(c, skeleton))
  ]
  groups = [
    [c for c in possible if c.get("keypoints")],
    [c for c in possible if c.get("name") == skeleton.name],
    [c for c in possible if c.get("name") == "person"],
    possible if len(possible) == 1 else [],
  ]
  if name:
    groups = [[c for c in possible if c.get("name") == name]]
  for group in filter(None, groups):
    return tuple(c["id"] for c in group)
  raise ValueError(
    f"no category{f' {name!r}' if name else ''} for the checkpoint's "
    f"{skeleton.num_keypoints} keypoints; categories and their number of "
    f"keypoints: {_counts(listed)}. Name the one of the boxes: --category, in "
    "Python category="
  )


def have_different_keypoints(listed: Sequence[Mapping[str, Any]]) -> bool:
  """Returns whether categories with keypoints have different ones."""
  keypoints = [c["keypoints"] for c in listed if c.get("keypoints")]
  return any(names != keypoints[0] for names in keypoints)


def _has_keypoints_of(category: Mapping[str, Any], skeleton: Skeleton) -> bool:
  return tuple(category["keypoints"]) == skeleton.keypoint_names


def _counts(listed) -> list[tuple[Any, int]]:
  return [(c.get("name"), len(c.get("keypoints") or ())) for c in listed]


def skeleton_of(category: Mapping[str, Any]) -> Skeleton:
  """Returns the skeleton of a category, see `skeletons.from_coco_category`.

  With the keypoints of a built-in skeleton, in its order, it is that one with
  the fields that the category sets (an empty list of limbs sets nothing; with
  `lower_body` alone the upper body is the rest). Where only the name or the
  order of lists differ it is the built-in one, so that checkpoints agree.

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
  default = built_in(own.keypoint_names)
  if default is None:
    return own
  given = {name for field, name in _FIELDS.items() if gives(category, field)}
  if "lower_body" in given:
    given.add("upper_body")
  changed = dataclasses.replace(
    default, name=own.name, **{name: getattr(own, name) for name in given}
  )
  same = _without_order(changed) == _without_order(default)
  return default if same else changed


def built_in(names: Sequence[str]) -> Skeleton | None:
  """Returns the built-in skeleton of keypoints in this order, or None."""
  same = (s for s in _BUILT_IN if s.keypoint_names == tuple(names))
  return next(same, None)


def gives(category: Mapping[str, Any], field: str) -> bool:
  """Returns whether a category sets a field, see `skeleton_of`."""
  value = category.get(field)
  return bool(value) if field == "skeleton" else value is not None


def _without_order(skeleton: Skeleton) -> tuple:
  pairs = (skeleton.limbs, skeleton.flip_pairs)
  halves = (skeleton.upper_body, skeleton.lower_body)
  unordered = [{frozenset(pair) for pair in each} for each in pairs]
  return (*unordered, *map(set, halves), skeleton.sigmas)

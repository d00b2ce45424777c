"""What a conversion prints: what was read, what was left out and why."""

import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from darkjax.convert.labels import Labels, number_labelled

_SHOWN = 3  # names of a list


def text(
  kind: str,
  source: pathlib.Path,
  labels: Labels,
  boxes_made: int,
  padding: float,
  paths: Mapping[str, pathlib.Path],
) -> str:
  """Returns the lines of the report, of labels that have their boxes."""
  people = labels.people()
  keypoints = sum(map(number_labelled, people))
  lines = [
    f"{source}: {kind}, {len(labels.images)} images, {len(people)} people, "
    f"{keypoints} labelled keypoints"
  ]
  for category in labels.categories():
    held = sum(person.category is category for person in people)
    pairs = category.flip_pairs
    named = "by names" if pairs is None else str(len(pairs))
    lines.append(
      f"  category {category.name}: {held} people, {len(category.keypoints)} "
      f"keypoints, {len(category.limbs)} limbs, flip pairs: {named}"
    )
  if len({category.keypoints for category in labels.categories()}) > 1:
    lines.append(
      "  categories differ in their keypoints: name one in training, "
      "--config.data.category"
    )
  if boxes_made:
    lines.append(
      f"  boxes of {boxes_made} people made: the extent of the keypoints and "
      f"{padding:g} of its longer side on every side"
    )
  lines += [f"  {note}" for note in labels.left_out.notes]
  for reason, number in sorted(labels.left_out.items()):
    if number:
      names = _listed(labels.left_out.names.get(reason, []))
      lines.append(f"  left out: {number} {reason}{names and ': ' + names}")
  for split, path in paths.items():
    images = [image for image in labels.images if image.split == split]
    held = sum(len(image.people) for image in images)
    name = f"{split}: " if split else ""
    lines.append(f"  {name}{len(images)} images, {held} people in {path}")
  return "\n".join(lines)


def warnings(labels: Labels) -> list[str]:
  """Returns what may be wrong in the labels, before frames are written."""
  found = [*labels.left_out.warnings]
  guessed = [f"{path} for {n}" for n, path in labels.left_out.guessed.items()]
  if guessed:
    found.append(
      f"{len(guessed)} images found by another name: {_listed(guessed)}"
    )
  splits: dict[str, set[str]] = {}
  for image in labels.images:
    splits.setdefault(str(image.source), set()).add(image.split)
  shared = [path for path, names in splits.items() if len(names) > 1]
  if shared:
    found.append(
      f"{len(shared)} images are in several splits, so that validation scores "
      f"what training saw: {_listed(shared)}"
    )
  names = {n for c in labels.categories() for n in c.keypoints}
  classes = {category.name for category in labels.categories()}
  for kind, listed in (("keypoints", names), ("categories", classes)):
    for alike in _alike(listed):
      found.append(
        f"{kind} {', '.join(map(repr, alike))} differ in case or separators "
        "only: if they are one, rename it in the labelling tool"
      )
  return found


def _listed(names: Sequence[str]) -> str:
  more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
  return ", ".join(names[:_SHOWN]) + more


def _alike(names: Iterable[str]) -> list[list[str]]:
  groups: dict[str, list[str]] = {}
  for name in sorted(names):
    # A separator counts between digits: 1_1 is not 11.
    key = re.sub(r"(?<!\d)[\s._-]+|[\s._-]+(?!\d)", "", name.casefold())
    groups.setdefault(key, []).append(name)
  return [group for group in groups.values() if len(group) > 1]

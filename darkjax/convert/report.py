"""What a conversion prints: what was read, what was left out and why."""

import pathlib
from collections.abc import Mapping

from darkjax.convert.labels import Labels, number_labelled


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
  lines += [f"  {note}" for note in labels.notes]
  for reason, number in sorted(labels.left_out.items()):
    if number:
      lines.append(f"  left out: {number} {reason}")
  for split, path in paths.items():
    images = [image for image in labels.images if image.split == split]
    held = sum(len(image.people) for image in images)
    name = f"{split}: " if split else ""
    lines.append(f"  {name}{len(images)} images, {held} people in {path}")
  return "\n".join(lines)

"""What the names of keypoints tell: side, twin, and half of the body."""

import re
from collections.abc import Sequence

_LOWER_BODY_WORDS = ("hip", "knee", "ankle", "heel", "toe", "foot", "pelvis")


def guess_flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
  """(left, right) index pairs of names that differ only in their side.

  >>> guess_flip_pairs(["nose", "left_eye", "right_eye"])
  ((1, 2),)
  """
  index = {name.lower(): i for i, name in enumerate(names)}
  pairs = []
  for left, i in index.items():
    for right in _mirrored_spellings(left):
      if right in index and index[right] != i:
        pairs.append((i, index[right]))
        break
  return tuple(pairs)


def _mirrored_spellings(left: str) -> list[str]:
  """What the right twin of a left keypoint may be called."""
  spellings = [left.replace("left", "right")]
  if left.startswith(("l_", "l-", "l ")):
    spellings.append("r" + left[1:])
  if left.endswith(("_l", "-l", " l", ".l")):
    spellings.append(left[:-1] + "r")
  return [name for name in spellings if name != left]


def has_side(name: str) -> bool:
  """Whether a name says left or right as a word of its own.

  >>> has_side("left_eye"), has_side("Eye.R"), has_side("bright_eye")
  (True, True, False)
  """
  words = re.split(r"[^a-z0-9]+", name.lower())
  first, last = words[0], words[-1]
  return bool({"left", "right"} & {*words}) or (
    len(words) > 1 and bool({"l", "r"} & {first, last})
  )


def is_lower_body(name: str) -> bool:
  """Whether a name is of a hip or below.

  >>> is_lower_body("left_big_toe"), is_lower_body("neck")
  (True, False)
  """
  return any(word in name.lower() for word in _LOWER_BODY_WORDS)

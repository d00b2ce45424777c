"""Side, twin and half of the body, read from the names of keypoints.

A name is read as words, which end at anything but a letter or digit and where
the case changes: "LEye", "l_eye" and "l.eye" are (l, eye), "eyeL" and "Eye (L)"
are (eye, l). The side is a "left" or "right" anywhere in it, or an "l" or "r"
that is its first or last word.

"leye" has its side run together with the word, as "lip" has not. It is read as
a side only where the list has "reye" too, and either two such pairs or a part
of the body as the rest of the word.
"""

import re
from collections.abc import Sequence

_LOWER_BODY_WORDS = ("hip", "knee", "ankle", "heel", "toe", "foot", "pelvis")
# Enough to believe a single pair such as leye, reye.
_BODY_WORDS = (
  *_LOWER_BODY_WORDS,
  *("eye", "ear", "brow", "cheek", "shoulder", "arm", "elbow", "wrist", "hand"),
  *("thumb", "finger", "palm", "leg", "thigh", "shin", "paw", "hoof"),
)
# Between "l" and "Eye", "L" and "Eye", "eye" and "L".
_CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Shorter rests, as of "lip" and "rip", make pairs by accident.
_SHORTEST_REST = 3


def check(names: Sequence[str]) -> None:
  """Raises ValueError if there are no names, or names repeat or are no text."""
  wrong = [name for name in names if not isinstance(name, str)]
  texts = [name for name in names if isinstance(name, str)]
  repeated = {name for name in texts if texts.count(name) > 1}
  if wrong or repeated or not names:
    raise ValueError(
      "keypoint names must be unique texts, at least one, got "
      f"{len(names)} names, no texts: {wrong}, repeated: {sorted(repeated)}"
    )


def guess_flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
  """Returns (left, right) index pairs of names that differ in their side only.

  >>> guess_flip_pairs(["nose", "left_eye", "right_eye"])
  ((1, 2),)
  >>> guess_flip_pairs(["REye", "LEye", "Nose"])
  ((1, 0),)
  """
  index = {_words(name): i for i, name in enumerate(names)}
  pairs, free = [], dict(enumerate(names))
  for left, i in index.items():
    twins = [index.get(words) for words in _mirrored_words(left)]
    twin = next((j for j in twins if j in free), None)
    if i in free and twin is not None:
      pairs.append((i, twin))
      del free[i], free[twin]
  pairs += _run_together({name.lower(): i for i, name in free.items()})
  return tuple(sorted(pairs))


def _words(name: str) -> tuple[str, ...]:
  spaced = _CASE_CHANGE.sub(" ", name).lower()
  return tuple(word for word in re.split(r"[\W_]+", spaced) if word)


def _mirrored_words(left: tuple[str, ...]) -> list[tuple[str, ...]]:
  """What the right twin of a left keypoint may be called, in words."""
  spellings = [tuple(word.replace("left", "right") for word in left)]
  if len(left) > 1 and left[0] == "l":
    spellings.append(("r", *left[1:]))
  if len(left) > 1 and left[-1] == "l":
    spellings.append((*left[:-1], "r"))
  return [words for words in spellings if words != left]


def _run_together(index: dict[str, int]) -> list[tuple[int, int]]:
  """Pairs such as leye, reye among names in lower case."""
  rests = [name[1:] for name in index if name.startswith("l")]
  rests = [r for r in rests if len(r) >= _SHORTEST_REST and f"r{r}" in index]
  if len(rests) == 1 and not any(word in rests[0] for word in _BODY_WORDS):
    return []
  return [(index[f"l{rest}"], index[f"r{rest}"]) for rest in rests]


def has_side(name: str) -> bool:
  """Returns whether a name says left or right as a word of its own.

  >>> has_side("left_eye"), has_side("Eye.R"), has_side("bright_eye")
  (True, True, False)
  >>> has_side("LEye"), has_side("leye")
  (True, False)
  """
  words = _words(name)
  return bool({"left", "right"} & {*words}) or (
    len(words) > 1 and bool({"l", "r"} & {words[0], words[-1]})
  )


def is_lower_body(name: str) -> bool:
  """Returns whether a name is of a hip or below.

  >>> is_lower_body("left_big_toe"), is_lower_body("neck")
  (True, False)
  """
  return any(word in name.lower() for word in _LOWER_BODY_WORDS)

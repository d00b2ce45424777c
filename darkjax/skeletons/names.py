"""Side, twin and half of the body, read from the names of keypoints.

A name is read as words, which end at anything but a letter or digit, where the
case changes, and between letters and digits: "LEye", "l_eye" and "l.eye" are
(l, eye), "forelegL4" is (foreleg, l, 4). Two names are a pair if the one has
"left" where the other has "right", and nothing else differs but case and
separators. So "bright_eye" has no side: there is no "bleft_eye".

The sides are those of `_LANGUAGES`. Those of four letters and more also count
inside a word ("lefttip"); shorter ones are words of their own, and a single
letter needs another word of letters beside it: "L5" may be a vertebra. Where
the list also has "point_k", "point_l" is the twelfth point.

"leye" and "eyel" have their side run together with the word, as "lip" has not.
They are pairs only where two words end or begin so, or where the rest is a part
of the body. `lookalikes` names what is left out by these rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

Side = Literal["left", "right"]
Words = tuple[str, ...]
Index = Mapping[Words, int]  # positions of names

_LOWER_BODY_WORDS = ("hip", "knee", "ankle", "heel", "toe", "foot", "pelvis")
# Enough to believe a single pair such as leye, reye.
_BODY_WORDS = (
  *_LOWER_BODY_WORDS,
  *("eye", "ear", "brow", "cheek", "shoulder", "arm", "elbow", "wrist", "hand"),
  *("thumb", "finger", "palm", "leg", "thigh", "shin", "paw", "hoof"),
)
# "front left" and "left front", and so for hind, back, top, upper and middle.
_CODES = tuple(
  pair for c in "fhbtum" for pair in ((f"{c}l", f"{c}r"), (f"l{c}", f"r{c}"))
)
# (left, right) by language. English is believed of a name alone, the others of
# names in a list that has a pair of the language.
_LANGUAGES = (
  (("left", "right"), ("l", "r")),
  (("izquierda", "derecha"), ("izquierdo", "derecho"), ("izq", "der")),
  (
    *(("links", "rechts"), ("linke", "rechte"), ("linker", "rechter")),
    *(("linkes", "rechtes"), ("linken", "rechten")),  # German, Dutch
  ),
  (("gauche", "droite"), ("gauche", "droit")),
  (("sinistra", "destra"), ("sinistro", "destro"), ("sx", "dx")),
  (("esquerda", "direita"), ("esquerdo", "direito"), ("esq", "dir")),
  (("lt", "rt"),),
  # Lower and rear, which begin with the letters of sides.
  (*_CODES, ("ll", "lr"), ("ll", "rl"), ("rl", "rr"), ("lr", "rr")),
)
_SHORTEST_INSIDE = 4  # letters of a side that is read inside a word
# Between "l" and "Eye", "L" and "Eye", "eye" and "L"; letters and digits.
_BORDERS = re.compile(
  r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
  r"|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
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
  >>> guess_flip_pairs(["forelegR4", "forelegL4", "ojo_izq", "ojo_der"])
  ((1, 0), (2, 3))
  """
  return tuple(sorted((i, j) for i, j, _ in _pairs(names)))


def lookalikes(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
  """Returns index pairs that look like left and right and are not paired.

  >>> lookalikes(["L5", "R5", "left_eye", "right_eye", "lip", "rip"])
  ((0, 1),)
  """
  candidates = _run_together(_free(names, _pairs(names)))
  return tuple(
    (c.left, c.right) for c in candidates if len(c.rest) != len("ip")
  )


def sides(names: Sequence[str]) -> tuple[Side | None, ...]:
  """Returns the side that each name of a list says, None for those without.

  >>> sides(["nose", "LEye", "reye", "leye", "auge_links", "auge_rechts"])
  (None, 'left', 'right', 'left', 'left', 'right')
  """
  pairs = _pairs(names)
  found: dict[int, Side] = {}
  for left, right, _ in pairs:
    found |= {left: "left", right: "right"}
  languages = dict.fromkeys([_LANGUAGES[0], *(pair.language for pair in pairs)])
  index = _index(names)
  for i, name in enumerate(names):
    side = _side_alone(_words(name), languages, index)
    if side and i not in found:
      found[i] = side
  return tuple(found.get(i) for i in range(len(names)))


def pairs_with_sides(
  names: Sequence[str], pairs: Iterable[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
  """Returns those pairs whose names say which is left, as (left, right).

  >>> pairs_with_sides(["r_eye", "l_eye", "p_1", "p_2"], [(0, 1), (2, 3)])
  ((1, 0),)
  """
  said = sides(names)
  return tuple(
    pair if said[pair[0]] == "left" else pair[::-1]
    for pair in pairs
    if {said[i] for i in pair} == {"left", "right"}
  )


def is_lower_body(name: str) -> bool:
  """Returns whether a name is of a hip or below.

  >>> is_lower_body("left_big_toe"), is_lower_body("neck")
  (True, False)
  """
  return any(word in name.lower() for word in _LOWER_BODY_WORDS)


def without_side(name: str) -> Words:
  """Returns the words of a name, less those that say left or right in English.

  >>> without_side("left_big_toe"), without_side("BigToe.R")
  (('big', 'toe'), ('big', 'toe'))
  """
  words = _words(name)
  return tuple(w for w in words if w not in ("left", "right", "l", "r"))


class _Pair(NamedTuple):
  left: int
  right: int
  language: tuple = ()  # () where the side is run together with the word


def _pairs(names: Sequence[str]) -> list[_Pair]:
  index = _index(names)
  pairs: list[_Pair] = []
  paired: set[int] = set()
  for left, i in index.items():
    twins = ((index.get(words), lang) for words, lang in _twins(left, index))
    free = ((j, lang) for j, lang in twins if j is not None and j not in paired)
    j, language = next(free, (i, ()))
    if i not in paired and i != j:
      pairs.append(_Pair(i, j, language))
      paired |= {i, j}
  candidates = _run_together(_free(names, pairs))
  pairs += [
    _Pair(c.left, c.right) for c in candidates if c.believed(candidates)
  ]
  return pairs


def _words(name: str) -> Words:
  spaced = _BORDERS.sub(" ", name).lower()
  return tuple(word for word in re.split(r"[\W_]+", spaced) if word)


def _index(names: Sequence[str]) -> Index:
  index: dict[Words, int] = {}
  for i, name in enumerate(names):
    index.setdefault(_words(name), i)
  return index


def _free(names: Sequence[str], pairs: Iterable[_Pair]) -> Index:
  """The names in no pair."""
  paired = {i for pair in pairs for i in pair[:2]}
  return {words: i for words, i in _index(names).items() if i not in paired}


def _replace(words: Words, k: int, word: str) -> Words:
  return (*words[:k], word, *words[k + 1 :])


def _twins(left: Words, index: Index) -> Iterator[tuple[Words, tuple]]:
  """Yields what the right twin of a left name may be called, and the language.

  Where a name has a side twice, as "L_L3", one of them or both may be replaced.
  """
  for language in _LANGUAGES:
    for side, other in language:
      places = [k for k in range(len(left)) if _says(left, k, side, index)]
      for chosen in (*([k] for k in places), places if places[1:] else []):
        twin = left
        for k in chosen:
          twin = _replace(twin, k, twin[k].replace(side, other))
        if chosen:
          yield twin, language


def _says(words: Words, k: int, side: str, index: Index) -> bool:
  """Returns whether word k says a side."""
  if len(side) >= _SHORTEST_INSIDE:
    return side in words[k]
  if side != words[k] or len(side) > 1:
    return side == words[k]
  others = {*_replace(words, k, "")} - {"", "l", "r"}
  return any(map(str.isalpha, others)) and not _counts_by_letters(
    words, k, index
  )


def _counts_by_letters(words: Words, k: int, index: Index) -> bool:
  """Returns whether word k is a letter as of point_k, point_l, point_m."""
  return len(words[k]) == 1 and _replace(words, k, "k") in index


def _side_alone(
  words: Words, languages: Iterable[tuple], index: Index
) -> Side | None:
  for language in languages:
    for left, right in language:
      for k, word in enumerate(words):
        if word in (left, right) and _says(words, k, word, index):
          return "left" if word == left else "right"
  return None


class _Candidate(NamedTuple):
  """Two names that differ in the first or last letter of a word."""

  left: int
  right: int
  rest: str  # of the word: "eye" of leye and reye
  at_end: bool

  def believed(self, candidates: Sequence["_Candidate"]) -> bool:
    """Returns whether it is a pair, beside the other candidates."""
    alike = {c.rest for c in candidates if c.at_end == self.at_end}
    alike = {rest for rest in alike if len(rest) >= _SHORTEST_REST}
    is_part = any(word in self.rest for word in _BODY_WORDS)
    return self.rest in alike and (is_part or len(alike) > 1)


def _run_together(index: Index) -> list[_Candidate]:
  """Returns the candidates among names, each name in one of them at most."""
  candidates: list[_Candidate] = []
  used: set[int] = set()
  for words, i in index.items():
    for k, word in enumerate(words):
      twins = []
      if word.startswith("l"):
        twins.append(("r" + word[1:], word[1:], False))
      if word.endswith("l"):
        twins.append((word[:-1] + "r", word[:-1], True))
      for twin, rest, at_end in twins:
        j = index.get(_replace(words, k, twin))
        counted = _counts_by_letters(words, k, index)
        if j is not None and not {i, j} & used and not counted:
          candidates.append(_Candidate(i, j, rest, at_end))
          used |= {i, j}
  return candidates

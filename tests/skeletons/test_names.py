"""Sides of names: a property of every pair, and what only looks like one."""

import random
import re
import string

import pytest

from darkjax.skeletons import names as keypoint_names

# Parts of names, in which sides, letters that look like sides and digits meet.
PARTS = (
  *("left", "right", "L", "R", "l", "r", "izq", "der", "links", "rechts"),
  *(
    "bright",
    "lip",
    "rip",
    "ball",
    "tail",
    "rear",
    "alar",
    "eye",
    "Ear",
    "leg",
  ),
  *("leye", "reye", "pawl", "pawr", "fl", "fr", "1", "2", "001", "_", "-", "."),
)
# (left, right), each of which may stand for the other's place in a twin.
SIDES = (
  ("left", "right"), ("izq", "der"), ("links", "rechts"), ("fl", "fr"),
  ("l", "r"),
)  # fmt: skip


def letters(name: str) -> str:
  """The name without its case and separators."""
  return re.sub(r"[\W_]+", "", name).lower()


def is_mirror_twin(left: str, right: str) -> bool:
  """Whether putting right for left at one place, or everywhere, gives it."""
  left, right = letters(left), letters(right)
  for side, other in SIDES:
    places = [m.start() for m in re.finditer(side, left)]
    for k in places:
      if left[:k] + other + left[k + len(side) :] == right:
        return True
    if left.replace(side, other) == right:
      return True
  return False


@pytest.mark.parametrize("seed", range(20))
def test_pairs_of_random_names_are_mirror_twins(seed):
  rng = random.Random(seed)
  names = list(
    dict.fromkeys(
      "".join(rng.choices(PARTS, k=rng.randint(1, 4))) for _ in range(300)
    )
  )
  pairs = keypoint_names.guess_flip_pairs(names)
  assert pairs
  assert len({i for pair in pairs for i in pair}) == 2 * len(pairs)
  for i, j in pairs:
    assert is_mirror_twin(names[i], names[j]), (names[i], names[j])
    assert re.findall(r"\d+", names[i]) == re.findall(r"\d+", names[j])


@pytest.mark.parametrize(
  ("names", "sides"),
  [
    (["left_eye"], ["left"]),
    (["Eye.R", "forelegL4"], ["right", "left"]),
    (["point_56", "point_60"], [None, None]),
    (["bright_eye", "lip", "rear", "L5"], [None] * 4),
    (["leye"], [None]),
    (["leye", "reye"], ["left", "right"]),
    # German, and so the foot too; "links" alone may be a chain's.
    (["links_1"], [None]),
    (["fuss_links", "auge_links", "auge_rechts"], ["left", "left", "right"]),
    (["der_kopf"], [None]),
    (["left_eye", "left-eye", "right_eye"], ["left", "left", "right"]),
  ],
)
def test_sides_are_those_of_names_in_their_list(names, sides):
  assert keypoint_names.sides(names) == tuple(sides)


@pytest.mark.parametrize(
  ("names", "pairs"),
  [
    (["L5", "R5"], ((0, 1),)),
    (["lower", "tip", "rower"], ((0, 2),)),
    (["corner_lx", "corner_rx"], ((0, 1),)),
    (["lip", "rip", "lid", "rid"], ()),
    (["left_eye", "right_eye"], ()),
    (["leye", "reye"], ()),
    ([f"point_{letter}" for letter in string.ascii_lowercase], ()),
  ],
)
def test_what_looks_like_a_pair_is_named(names, pairs):
  assert keypoint_names.lookalikes(names) == pairs


def test_pairs_have_the_left_name_first_where_names_say_it():
  names = ["REye", "LEye", "point_1", "point_2", "left_hip", "right_knee"]
  pairs = [(0, 1), (2, 3), (4, 5)]
  assert keypoint_names.pairs_with_sides(names, pairs) == ((1, 0), (4, 5))


@pytest.mark.parametrize("name", ["{}", "point_{}", "point {} 2", "p{}"])
def test_letters_that_count_are_no_sides(name):
  names = [name.format(letter) for letter in string.ascii_uppercase]
  assert keypoint_names.guess_flip_pairs(names) == ()
  assert keypoint_names.sides(names) == (None,) * 26

"""Skeletons: the built-in ones, validation, and reading COCO categories."""

import dataclasses

import pytest

from darkjax import skeletons
from darkjax.skeletons import names as keypoint_names

BUILT_IN = [skeletons.COCO, skeletons.MPII, skeletons.LSP]


@pytest.mark.parametrize(
  ("skeleton", "count"), list(zip(BUILT_IN, (17, 16, 14), strict=True))
)
def test_counts_are_those_of_the_data_sets(skeleton, count):
  assert skeleton.num_keypoints == count
  assert len(skeleton.sigmas) == count


@pytest.mark.parametrize("skeleton", BUILT_IN)
def test_flip_trades_left_and_right_and_is_its_own_inverse(skeleton):
  names = skeleton.keypoint_names
  for k, flipped in enumerate(skeleton.flip_indices):
    side, other = ("left", "right") if "left" in names[k] else ("right", "left")
    assert names[flipped] == names[k].replace(side, other)
    assert skeleton.flip_indices[flipped] == k


@pytest.mark.parametrize("skeleton", BUILT_IN)
def test_upper_and_lower_body_part_the_keypoints(skeleton):
  both = (*skeleton.upper_body, *skeleton.lower_body)
  assert sorted(both) == list(range(skeleton.num_keypoints))


@pytest.mark.parametrize("skeleton", BUILT_IN)
def test_json_round_trip(skeleton):
  assert skeletons.from_json(skeleton.to_json()) == skeleton


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"keypoint_names": ("nose",) * 17}, "unique"),
    ({"flip_pairs": ((1, 2), (2, 3))}, "at most one flip pair"),
    ({"flip_pairs": ((1, 1),)}, "never to itself"),
    ({"limbs": ((0, 17),)}, "0..K-1"),
    ({"sigmas": (0.1,) * 16}, "K=17 positive sigmas"),
    ({"sigmas": (0.0,) * 17}, "positive"),
  ],
)
def test_contradictions_are_refused(change, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(skeletons.COCO, **change)


def test_category_of_coco_gives_the_built_in_skeleton():
  category = {
    "name": "coco",
    "keypoints": list(skeletons.COCO.keypoint_names),
    "skeleton": [[a + 1, b + 1] for a, b in skeletons.COCO.limbs],
  }
  assert skeletons.from_coco_category(category) == skeletons.COCO


@pytest.mark.parametrize(
  "names",
  [
    ["left_tip", "right_tip"],
    ["tip_left", "tip_right"],
    ["l_tip", "r_tip"],
    ["tip.L", "tip.R"],
    ["Left Tip", "Right Tip"],
    ["Lefttip", "Righttip"],
    ["LTip", "RTip"],
    ["lTip", "rTip"],
    ["tipL", "tipR"],
    ["tip1L", "tip1R"],
    ["tip (l)", "tip (r)"],
    ["[L] tip", "[R] tip"],
    ["LBigTip", "RBigTip"],
    ["lthumb", "rthumb"],
    ["LTHUMB", "RTHUMB"],
    ["thumbl", "thumbr"],
    ["leye2", "reye2"],
    ["forelegL4", "forelegR4"],
    ["L_Elbow2", "R_Elbow2"],
    ["hand.L.001", "hand.R.001"],
    ["left-ear", "right-ear"],
    ["left_eye", "Right Eye"],
    ["kp_1L", "kp_1R"],
    ["kp12_left_3", "kp12_right_3"],
    ["mixamorig:LeftArm", "mixamorig:RightArm"],
    ["upper_l_arm", "upper_r_arm"],
    ["L_L3_facet", "R_L3_facet"],  # the third lumbar vertebra
    ["FL_paw", "FR_paw"],
    ["paw_rl", "paw_rr"],
    ["lip_ll", "lip_lr"],
    ["lip_ll", "lip_rl"],
    ["LF_paw1", "RF_paw1"],
    ["ojo_izq", "ojo_der"],
    ["ojoIzquierdo", "ojoDerecho"],
    ["rodilla izquierda", "rodilla derecha"],
    ["auge_links", "auge_rechts"],
    ["linkesAuge", "rechtesAuge"],
    ["linker_fuss", "rechter_fuss"],
    ["main_gauche", "main_droite"],
    ["oeil_gauche", "oeil_droit"],
    ["mano_sx", "mano_dx"],
    ["piede_sinistro", "piede_destro"],
    ["olho_esquerdo", "olho_direito"],
  ],
)
def test_flip_pairs_are_guessed_from_names(names):
  assert keypoint_names.guess_flip_pairs(["palm", *names]) == ((1, 2),)


@pytest.mark.parametrize(
  "names",
  [
    ["lip", "rip", "tail"],  # "lip" becomes "rip" when l is read as a side
    ["lower", "rower", "tail"],  # one pair, and "ower" is no part of a body
    ["lip", "rip", "lid", "rid"],
    ["LIP", "RIP"],
    ["leye", "tail"],
    ["L5", "R5"],
    ["tail", "tair"],
    ["lower_1", "rower_1", "lower_2", "rower_2"],  # one word, twice
    ["kp_1L", "kp_2R"],
    ["hand.R.001", "hand.L.01"],
    ["bright_eye", "left_eye"],
    ["ball", "tail", "rear", "alar", "cleft"],
    ["der_kopf", "auge_izq"],
    ["left_ear", "r_ear"],
    ["left_eye", "right_ear"],
  ],
)
def test_names_that_only_look_sided_are_not_paired(names):
  assert keypoint_names.guess_flip_pairs(names) == ()


@pytest.mark.parametrize(
  "spell",
  [
    lambda side, part: side[0].upper() + part.capitalize(),  # OpenPose: LEye
    lambda side, part: side[0] + part,
    lambda side, part: (side[0] + part).upper(),
    lambda side, part: part + side[0].upper(),
    lambda side, part: f"{part} ({side[0]})",
  ],
)
def test_other_spellings_of_coco_have_its_pairs(spell):
  names = [
    spell(*name.split("_")) if "_" in name else name
    for name in skeletons.COCO.keypoint_names
  ]
  assert keypoint_names.guess_flip_pairs(names) == skeletons.COCO.flip_pairs, (
    names
  )


def test_two_pairs_of_unknown_words_are_believed():
  names = ["lfhd", "rfhd", "c7x", "lbhd", "rbhd"]  # heads of motion capture
  assert keypoint_names.guess_flip_pairs(names) == ((0, 1), (3, 4))


def test_a_keypoint_is_in_one_guessed_pair():
  names = ["l_left_tip", "l_right_tip", "r_right_tip"]
  assert keypoint_names.guess_flip_pairs(names) == ((0, 1),)


@pytest.mark.parametrize(
  ("category", "message"),
  [
    ({"name": "cat"}, "no 'keypoints'"),
    ({"name": "cat", "keypoints": ["a"], "sigmas": [1, 2]}, "K=1"),
    ({"name": "cat", "keypoints": ["a"], "skeleton": [[0, 1]]}, "from 1"),
  ],
)
def test_bad_categories_are_refused(category, message):
  with pytest.raises(ValueError, match=message):
    skeletons.from_coco_category(category)


def test_unknown_name_lists_the_known():
  with pytest.raises(ValueError, match="coco, mpii, lsp"):
    skeletons.get_skeleton("hand")


def test_categories_may_say_the_halves_of_the_body():
  category = {"name": "cat", "keypoints": ["ear", "paw", "hip"]}
  guessed = skeletons.from_coco_category(category)
  assert (guessed.upper_body, guessed.lower_body) == ((0, 1), (2,))
  said = skeletons.from_coco_category({**category, "lower_body": [1, 2]})
  assert (said.upper_body, said.lower_body) == ((0,), (1, 2))
  said = skeletons.from_coco_category(
    {**category, "upper_body": [0], "lower_body": []}
  )
  assert (said.upper_body, said.lower_body) == ((0,), ())


NAMES = ["ear", "left_eye", "right_eye", "tail"]
PAIRS = r"pairs \[a, b\] of keypoints, each by its name or its number, counted "


def from_fields(**fields) -> skeletons.Skeleton:
  return skeletons.from_coco_category(
    {"name": "cat", "keypoints": NAMES, **fields}
  )


@pytest.mark.parametrize(
  "limbs",
  [
    [[1, 4], [2, 3]],
    [["ear", "tail"], ["left_eye", "right_eye"]],
    [["1", "4"], [" 2 ", "3.0"]],
    [[1.0, 4.0], [2, 3]],
    [["Ear", 4], ("LEFT_EYE", "3")],
  ],
)
def test_limbs_are_read_by_name_and_by_number(limbs):
  assert from_fields(skeleton=limbs).limbs == ((0, 3), (1, 2))


@pytest.mark.parametrize("value", [None, [], "", {}])
def test_limbs_may_be_none(value):
  assert from_fields(skeleton=value).limbs == ()


def test_names_come_before_numbers_that_they_write():
  category = {"name": "cat", "keypoints": ["2", "1"], "skeleton": [["2", 2]]}
  assert skeletons.from_coco_category(category).limbs == ((0, 1),)


@pytest.mark.parametrize(
  "pairs", [[[1, 2]], [["left_eye", "right_eye"]], [["1", 2.0]]]
)
def test_flip_pairs_and_halves_are_read_by_name_and_by_number(pairs):
  read = from_fields(flip_pairs=pairs, lower_body=["tail"], upper_body=["0"])
  assert read.flip_pairs == ((1, 2),)
  assert (read.upper_body, read.lower_body) == ((0,), (3,))


def test_sigmas_may_be_text():
  assert from_fields(sigmas=["0.1", " .2", 1, 3e-1]).sigmas == (
    0.1,
    0.2,
    1,
    0.3,
  )


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    (
      "skeleton",
      [[1, 2, 3]],
      r"entry 1 of 1 is \[1, 2, 3\]; expected " + PAIRS,
    ),
    ("skeleton", [[1, 2, 3]], r"such as \[\[1, 2\], \[2, 3\]\]$"),
    (
      "skeleton",
      [1, 2, 2, 3],
      r"entry 1 of 4 is 1; .* \[\[1, 2\], \[2, 3\]\]$",
    ),
    ("skeleton", ["ear", "tail"], r"is 'ear'; .* as \[\['ear', 'tail'\]\]$"),
    ("skeleton", [[1, 2], [3]], r"entry 2 of 2 is \[3\]; .* as \[\[1, 2\]\]$"),
    ("skeleton", [[0, 1], [2, 3]], "where 0 is no keypoint.*from 1 to 4"),
    ("skeleton", [[0, 1], [2, 3]], "yours seem to count from 0: add 1 to"),
    ("skeleton", [[0, 4]], r"from 1 to 4, such as \[\[1, 2\]\]$"),  # neither
    ("skeleton", [[2, 5]], r"is \[2, 5\], where 5 is no keypoint"),
    ("skeleton", [[1, -1]], "where -1 is no keypoint"),
    ("skeleton", [[1, 2.5]], "where 2.5 is no keypoint"),
    ("skeleton", [[1, True]], "where True is no keypoint"),
    ("skeleton", [["ear", "nose"]], "where 'nose' is no keypoint"),
    ("skeleton", [[1, float("nan")]], "where nan is no keypoint"),
    ("skeleton", ["1-2"], "entry 1 of 1 is '1-2'; expected pairs"),
    ("skeleton", "1,2", "is '1,2'; expected pairs"),
    ("skeleton", {"edges": []}, "is {'edges': ..}; expected pairs"),
    ("flip_pairs", [[2, 3], [4, 1]], "from 0 to 3.*count from 1: subtract 1"),
    ("flip_pairs", ["left_eye", "right_eye"], "entry 1 of 2 is 'left_eye'"),
    ("lower_body", "tail", "is 'tail'; expected a list of keypoints, each by"),
    ("upper_body", [0, 4], "entry 2 of 2 is 4, where 4 is no keypoint"),
    ("sigmas", [0.1] * 3, "has 3 entries; expected K=4 positive sigmas"),
    ("sigmas", ["0,1"] * 4, "entry 1 of 4 is '0,1'; expected K=4"),
    ("sigmas", [1, 1, 0, 1], "entry 3 of 4 is 0; expected K=4"),
    ("sigmas", 0.1, "is 0.1; expected K=4"),
  ],
)
def test_what_cannot_be_read_is_named(field, value, message):
  with pytest.raises(ValueError, match=message) as raised:
    from_fields(**{field: value})
  assert str(raised.value).startswith(f"category 'cat': '{field}' ")


@pytest.mark.parametrize(
  ("name", "used", "other", "text"),
  [
    ("nose", 0.26, 0.026, "nose 0.26, not 0.026"),
    ("nose", 0.026, 0.02600001, ""),
    ("tip", 0.03, 0.04, "tip 0.03, not 0.04"),
    ("tip", 0.03, skeletons.DEFAULT_SIGMA, ""),
    ("tip", skeletons.DEFAULT_SIGMA, 0.03, "tip 0.079, not 0.03"),
    ("nose", 0.03, skeletons.DEFAULT_SIGMA, "nose 0.03, not 0.079"),
  ],
)
def test_sigmas_that_differ_are_named(name, used, other, text):
  one, two = (
    skeletons.from_coco_category({"keypoints": [name], "sigmas": [sigma]})
    for sigma in (used, other)
  )
  assert skeletons.compare_sigmas(one, two) == text

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

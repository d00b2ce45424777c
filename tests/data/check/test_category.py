"""Findings about names and sigmas of the category."""

import pytest

from darkjax import skeletons
from darkjax.data import whole_body
from darkjax.data.check import category
from darkjax.data.coco import reader


def findings(tmp_path, **fields):
  described = {"id": 1, "name": "person", **fields}
  content = reader.Content(
    tmp_path, described, [1], skeletons.from_coco_category(described), {}, []
  )
  return {f.rule: f for f in category.findings(content)}


def coco(factor: float, names=skeletons.COCO.keypoint_names) -> dict:
  sigmas = [factor * sigma for sigma in skeletons.COCO.sigmas]
  return {"keypoints": list(names), "sigmas": sigmas}


@pytest.mark.parametrize("factor", [0.5, 1, 2, 2.7])
def test_sigmas_near_the_known_ones_are_fine(tmp_path, factor):
  # 2 is k = 2σ; 2.7 times the hips' 0.107 is 0.29.
  assert not findings(tmp_path, **coco(factor))


@pytest.mark.parametrize("factor", [0.1, 3.1, 10])
def test_sigmas_far_from_the_known_ones_are_named(tmp_path, factor):
  found = findings(tmp_path, **coco(factor))["sigma-far"]
  assert "17 of 17" in found.text
  assert f"nose {factor * 0.026:g} (known: 0.026)" in found.text


def test_known_sigmas_are_found_by_other_spellings(tmp_path):
  sides = {"left": "L", "right": "R"}
  names = [
    "".join(sides.get(word, word.title()) for word in name.split("_"))
    for name in skeletons.COCO.keypoint_names
  ]
  assert "LAnkle" in names
  assert not findings(tmp_path, **coco(1, names))
  assert "LEye 0.25 (known: 0.025)" in (
    findings(tmp_path, **coco(10, names))["sigma-far"].text
  )


@pytest.mark.parametrize(
  ("name", "sigma", "text"),
  [
    ("antenna", 0.31, "antenna 0.31;"),
    ("antenna", 0.29, ""),
    ("antenna", 0.001, ""),
    ("neck", 0.02, ""),  # LSP's is our default
    ("pelvis", 0.03, "pelvis 0.03 (known: 0.107);"),
    # Of the body 0.062, of COCO-WholeBody's hand 0.029.
    ("wrist", 0.01, ""),
    ("thumb_4", 0.47, "thumb_4 0.47 (known: 0.047);"),
  ],
)
def test_one_sigma(tmp_path, name, sigma, text):
  found = findings(tmp_path, keypoints=["tip", name], sigmas=[0.1, sigma])
  assert ("sigma-far" in found) == bool(text)
  assert text in getattr(found.get("sigma-far"), "text", "")


@pytest.mark.parametrize(
  "described", [whole_body.category(), whole_body.hand_category()]
)
def test_official_sigmas_are_fine(tmp_path, described):
  assert not findings(tmp_path, **described)


def test_an_empty_list_of_pairs_answers_what_looks_like_one(tmp_path):
  names = ["L5", "R5"]
  assert (
    "L5/R5" in findings(tmp_path, keypoints=names)["pair-not-recognised"].text
  )
  assert not findings(tmp_path, keypoints=names, flip_pairs=[])

"""Hands and whole bodies: the category, and COCO-WholeBody's files."""

import json

import commands
import numpy as np
import pytest

from darkjax import skeletons
from darkjax.data import whole_body
from darkjax.data.coco import reader


def test_the_whole_body_is_coco_and_its_parts():
  skeleton = skeletons.from_coco_category(whole_body.category())
  names = skeleton.keypoint_names
  # 17 + 6 + 68 + 21 + 21.
  assert len(names) == 133
  assert names[:17] == skeletons.COCO.keypoint_names
  assert skeleton.sigmas[:17] == skeletons.COCO.sigmas
  assert (names[91], names[112]) == ("left_hand_wrist", "right_hand_wrist")
  assert skeleton.sigmas[91:112] == skeleton.sigmas[112:]
  # By the official code: outer corners of the eyes, chin, foot.
  assert skeleton.sigmas[23 + 36] == 0.017
  assert skeleton.sigmas[23 + 8] == 0.020
  assert skeleton.sigmas[17] == 0.068


def test_mirroring_keeps_the_middle_and_trades_the_sides():
  skeleton = skeletons.from_coco_category(whole_body.category())
  for k, flipped in enumerate(skeleton.flip_indices):
    name, other = skeleton.keypoint_names[k], skeleton.keypoint_names[flipped]
    if "left" in name:
      assert other == name.replace("left", "right")
  middle = [k for k, f in enumerate(skeleton.flip_indices) if k == f]
  # iBUG's middle line: chin, ridge and tip of the nose, lips.
  face = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
  assert middle == [0, *(23 + k for k in face)]
  # Limbs of one side are limbs of the other.
  limbs = {frozenset(limb) for limb in skeleton.limbs}
  flip = skeleton.flip_indices
  assert {frozenset(flip[k] for k in limb) for limb in limbs} == limbs


def test_a_hand_is_a_tree_from_the_wrist():
  skeleton = skeletons.from_coco_category(whole_body.hand_category())
  assert skeleton.num_keypoints == 21
  assert skeleton.flip_pairs == skeleton.lower_body == ()
  assert [b for _, b in skeleton.limbs] == list(range(1, 21))
  assert [a for a, _ in skeleton.limbs if a == 0] == [0] * 5


def official(**changes) -> dict:
  """An annotation with the fields of COCO-WholeBody's data_format.md."""
  parts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68}
  parts |= {"lefthand_kpts": 21, "righthand_kpts": 21}
  fields = {
    name: np.stack([np.full(n, i), np.arange(n), np.full(n, 2)], -1)
    for i, (name, n) in enumerate(parts.items(), start=1)
  }
  return {
    "id": 7,
    "image_id": 1,
    "category_id": 1,
    "iscrowd": 0,
    "bbox": [0, 0, 60, 70],
    "area": 2000.0,
    "num_keypoints": 17,
    "face_box": [0, 0, 9, 9],
    "face_valid": True,
    "lefthand_valid": False,
    "righthand_valid": True,
    "foot_valid": True,
    **{name: numbers.ravel().tolist() for name, numbers in fields.items()},
    **changes,
  }


def write(folder, annotation) -> str:
  path = folder / "coco_wholebody.json"
  names = list(skeletons.COCO.keypoint_names)
  content = {
    "images": [{"id": 1, "file_name": "1.jpg", "height": 80, "width": 90}],
    "annotations": [annotation],
    "categories": [{"id": 1, "name": "person", "keypoints": names}],
  }
  path.write_text(json.dumps(content))
  return path


def test_parts_are_joined_and_invalid_ones_left_out(tmp_path):
  content = whole_body.to_coco(write(tmp_path, official()))
  (person,) = content["annotations"]
  keypoints = np.array(person["keypoints"]).reshape(133, 3)
  expected = np.repeat([1, 2, 3, 0, 5], [17, 6, 68, 21, 21])
  np.testing.assert_array_equal(keypoints[:, 0], expected)
  np.testing.assert_array_equal(keypoints[:, 2] > 0, expected > 0)
  assert person["num_keypoints"] == 133 - 21
  assert person["bbox"] == [0, 0, 60, 70]
  path = tmp_path / "joined.json"
  path.write_text(json.dumps(content))
  assert reader.read_annotations(path).skeleton.num_keypoints == 133


def test_the_command_makes_the_folder_of_its_json(tmp_path):
  path, out = write(tmp_path, official()), tmp_path / "new" / "joined.json"
  done = commands.run(
    "data.whole_body", f"--annotations={path}", f"--out={out}"
  )
  assert done.returncode == 0, done.stderr
  assert reader.read_annotations(out).skeleton.num_keypoints == 133


def test_the_command_does_not_replace_what_it_reads(tmp_path):
  path = write(tmp_path, official())
  before = path.read_text()
  for name in ("whole_body", "mpii"):
    done = commands.run(
      f"data.{name}", f"--annotations={path}", f"--out={path}"
    )
    assert done.returncode != 0
    assert "is a file to read and would be replaced" in done.stderr
  assert path.read_text() == before


def test_ids_and_other_fields_stay(tmp_path):
  person = official(id="anna", image_id="im", is_filled=1, my_valid=0)
  path = write(tmp_path, person)
  labels = json.loads(path.read_text())
  labels["images"][0] |= {"id": "im", "is_filled": 2}
  path.write_text(json.dumps(labels))
  content = whole_body.to_coco(path)
  assert content["images"] == labels["images"]
  (merged,) = content["annotations"]
  parts = ("foot", "face", "lefthand", "righthand")
  gone = {f"{part}_{end}" for part in parts for end in ("kpts", "valid")}
  assert merged.keys() == person.keys() - gone
  same = merged.keys() - {"keypoints", "num_keypoints"}
  assert {k: merged[k] for k in same} == {k: person[k] for k in same}


@pytest.mark.parametrize("part", [[1, 2, 2], 5, [None] * 204, [[1, 2, 2]] * 68])
def test_parts_that_are_not_as_many_numbers_are_refused(tmp_path, part):
  path = write(tmp_path, official(face_kpts=part))
  with pytest.raises(ValueError, match=r"annotation 7.*68 times.*face_kpts"):
    whole_body.to_coco(path)

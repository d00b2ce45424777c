"""The weights that come with darkjax: there, small, and of some use."""

import json
import signal

import commands
import numpy as np
import pytest
from paths import ROOT

from darkjax import skeletons
from darkjax.inference.pose import PRETRAINED, Pose
from darkjax.metrics import pck

PHOTOGRAPH = ROOT / "docs" / "photographs" / "astronaut.jpg"


@pytest.fixture(scope="module")
def pose():
  return Pose.pretrained("small")


def test_file_is_small():
  assert PRETRAINED.stat().st_size < 8e6


def test_other_names_are_refused():
  with pytest.raises(ValueError, match="are named small, got 'large'"):
    Pose.pretrained("large")


def test_finds_the_face_of_the_astronaut(pose):
  (person,) = pose(PHOTOGRAPH, [[0, 0, 400, 900]])
  assert person.names == skeletons.COCO.keypoint_names
  result = dict(zip(person.names, person.keypoints_image, strict=True))
  scores = dict(zip(person.names, person.scores, strict=True))
  # px, by eye; a face is 100 px wide, of which we allow a fifth.
  seen = {"nose": (224, 122), "left_eye": (243, 104), "right_eye": (207, 103)}
  for name, point in seen.items():
    np.testing.assert_allclose(result[name], point, atol=20, err_msg=name)
    assert scores[name] > 0.5
  # Her legs are not to be seen.
  assert max(scores["left_ankle"], scores["right_ankle"]) < 0.3


def test_predict_uses_it_by_default(pose, tmp_path, caplog):
  before = signal.getsignal(signal.SIGTERM)
  boxes = PHOTOGRAPH.with_name("boxes.json")
  done = commands.run(
    "predict", PHOTOGRAPH, f"--boxes={boxes}", f"--out={tmp_path}"
  )
  signal.signal(signal.SIGTERM, before)
  assert done.returncode == 0, done.stderr
  assert "no --checkpoint" in caplog.text
  (result,) = json.loads((tmp_path / "results.json").read_text())
  (person,) = pose(PHOTOGRAPH, [[0, 0, 400, 900]])
  expected = person.keypoints_image
  # px: the command writes two digits and may run another XLA program.
  np.testing.assert_allclose(
    np.reshape(result["keypoints"], (-1, 3))[:, :2], expected, atol=0.05
  )


def test_finds_people_it_was_not_trained_on(pose, test_data):
  content = json.loads((test_data / "people17/lsp_test.json").read_text())
  names = {i["id"]: i["file_name"] for i in content["images"]}
  people = content["annotations"][:80]
  photographs = [
    test_data / "lsp/images" / names[p["image_id"]] for p in people
  ]
  result = pose(photographs, [[p["bbox"]] for p in people])
  labels = np.array([p["keypoints"] for p in people]).reshape(-1, 17, 3)
  truth, visible = labels[..., :2], labels[..., 2] > 0
  torso = pck.torso_length(truth, visible, skeletons.COCO)
  share = pck.pck(
    np.stack([person.keypoints_image for (person,) in result]),
    truth,
    visible,
    torso,
    threshold=0.2,
  )
  # All 800 give 77.5 % (assets/README.md). For a share of these 80 people's
  # 960 labels, 4 % below that is three standard deviations.
  assert share.mean > 0.73

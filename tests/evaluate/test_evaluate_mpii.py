"""MPII's PCKh in the scores: head boxes come from the json, by id."""

import json

import numpy as np
import pytest

from darkjax import skeletons
from darkjax.evaluate import scores

MPII = skeletons.MPII
WRISTS = [MPII.keypoint_names.index(f"{s}_wrist") for s in ("left", "right")]
HIDDEN = [MPII.keypoint_names.index(name) for name in ("pelvis", "thorax")]
IDS = (7, 3, 5)
# 0.6 of the diagonals 50, 50 and 100 px is 30, 30 and 60 px.
HEADBOXES = {7: [0, 0, 30, 40], 3: [5, 5, 35, 45], 5: [0, 0, 60, 80]}


def truth() -> np.ndarray:
  """[3, 16, 2] keypoints, image px."""
  return np.random.default_rng(2).uniform(20, 200, (3, MPII.num_keypoints, 2))


def write(path, headboxes):
  """A json as data/mpii.py makes them, its people in another order."""
  points = dict(zip(IDS, truth(), strict=True))
  annotations = [
    {
      "id": i,
      "image_id": 1,
      "category_id": 1,
      "iscrowd": 0,
      "bbox": [0, 0, 220, 220],
      "area": 2.0e4,
      "num_keypoints": MPII.num_keypoints,
      "keypoints": np.insert(points[i], 2, 2, axis=1).ravel().tolist(),
    }
    | ({"headbox": headboxes[i]} if i in headboxes else {})
    for i in sorted(IDS)
  ]
  category = {"id": 1, "name": "person", "keypoints": MPII.keypoint_names}
  content = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": annotations,
    "categories": [category],
  }
  path.write_text(json.dumps(content))
  return path


def people() -> scores.DatasetPredictions:
  """Off by 3.2, 2 and 20 px, the last one's wrists by 40 px."""
  offset = np.zeros((3, MPII.num_keypoints, 2))
  offset[:, :, 0] = np.array([3.2, 2.0, 20.0])[:, None]
  offset[2, WRISTS, 0] = 40.0
  offset[1, HIDDEN, 1] = 500.0  # is not scored
  return scores.DatasetPredictions(
    image_ids=np.ones(3, np.int64),
    annotation_ids=np.array(IDS),
    box_scores=np.ones(3),
    box_areas=np.full(3, 220.0**2),
    truth=truth(),
    visible=np.ones((3, MPII.num_keypoints)),
    keypoint_scores=np.ones((3, MPII.num_keypoints)),
    keypoints={"argmax": truth() + offset, "dark": truth()},
    covariances={},
  )


def test_pckh_by_hand(tmp_path):
  path = write(tmp_path / "mpii.json", HEADBOXES)
  metrics = scores.score(people(), path, MPII)

  def pckh(name, method="argmax"):
    return metrics[f"{method}/PCKh@{name}/gt_boxes"]

  # Limits: 15, 15 and 30 px; both wrists of one person of three are wrong.
  assert pckh("0.5/Head") == pytest.approx(100)
  assert pckh("0.5/Wrist") == pytest.approx(200 / 3)
  assert pckh("0.5") == pytest.approx(100 * (3 * 14 - 2) / (3 * 14))
  # 3, 3 and 6 px: the second person alone. 3.3, 3.3 and 6.6 px: the first too.
  assert pckh("0.1") == pytest.approx(100 / 3)
  assert pckh("0.11") == pytest.approx(200 / 3)
  assert pckh("0.11/Ankle") == pytest.approx(200 / 3)
  assert pckh("0.1", method="dark") == pytest.approx(100)


def test_without_head_boxes_there_is_no_pckh(tmp_path):
  metrics = scores.score(people(), write(tmp_path / "mpii.json", {}), MPII)
  assert "argmax/AP/gt_boxes" in metrics
  assert not [name for name in metrics if "PCKh" in name]


def test_some_head_boxes_are_refused(tmp_path):
  path = write(tmp_path / "mpii.json", {7: HEADBOXES[7], 3: HEADBOXES[3]})
  with pytest.raises(ValueError, match=r"1 have none, among them ids \[5\]"):
    scores.score(people(), path, MPII)


def test_parts_have_tables_of_their_own():
  parts = {"": 90.6, "/Head": 97.2, "/Ankle": 84.0}
  numbers = {f"dark/PCKh@0.5{part}/gt_boxes": n for part, n in parts.items()}
  text = scores.table({"dark/AP/gt_boxes": 68.4} | numbers)
  assert text.split("\n") == [
    "         AP  PCKh@0.5",
    "dark  68.40     90.60",
    "      PCKh@0.5/Head  PCKh@0.5/Ankle",
    "dark          97.20           84.00",
    "boxes: gt_boxes",
  ]

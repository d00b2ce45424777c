"""What `check` says becomes of people that are labelled but cannot be used."""

import check_folder
import pytest

from darkjax.data.check import report as check
from darkjax.metrics import coco


def findings(folder, labels) -> dict:
  report = check.check(check_folder.write(folder, labels))
  return {finding.rule: finding for finding in report.findings}


def without_first(labels) -> float:
  """AP where everybody but the first person is found as labelled."""
  results = [
    {
      "image_id": person["image_id"],
      "category_id": 1,
      "score": 1.0,
      "keypoints": person["keypoints"],
    }
    for person in labels["annotations"][1:]
  ]
  sigmas = labels["categories"][0]["sigmas"]
  return coco.average_precision(labels, results, sigmas=sigmas)["AP/gt_boxes"]


@pytest.mark.parametrize(
  ("field", "value", "rule"),
  [
    ("area", 0, "area-zero"),
    ("bbox", [60, 60, 0, 90], "box-without-size"),
    ("bbox", [400, 60, 50, 90], "box-outside-image"),
  ],
)
def test_people_left_out_of_training_count_as_missed(
  tmp_path, field, value, rule
):
  labels = check_folder.content()
  labels["annotations"][0][field] = value
  assert (
    "left out of training; AP counts them as missed, PCK leaves them out"
    in findings(tmp_path, labels)[rule].text
  )
  # 79 of 80 people: recall 0.9875, so that the last of COCO's 101 points of
  # recall, 0.99 and 1, have no precision.
  assert without_first(labels) == pytest.approx(100 * 99 / 101, abs=1e-9)


def test_no_number_of_labels_is_like_no_field(tmp_path):
  labels = check_folder.content()
  for person in labels["annotations"]:
    person["num_keypoints"] = None
  assert findings(tmp_path, labels) == {}


@pytest.mark.parametrize("number", [[1], {}, "x", 10**20, 1.5])
def test_odd_numbers_of_labels_are_found(tmp_path, number):
  labels = check_folder.content()
  labels["annotations"][0]["num_keypoints"] = number
  assert findings(tmp_path, labels)["num-keypoints"].ids == (101,)

"""Sigmas from repeated labels: the formula by hand, and a way back."""

import json

import check_folder
import numpy as np
import pytest

from darkjax.data.check import report as check
from darkjax.data.check import sigmas
from darkjax.metrics import oks as similarity


def test_two_people_by_hand():
  first = np.zeros((2, 3, 3))
  first[..., 2] = 2
  second = first.copy()
  second[0, 0, :2] = (3, 4)  # d² = 25, s² = 100
  second[1, 0, :2] = (0, 1)  # d² = 1, s² = 4
  second[1, 1, :2] = (2, 0)  # d² = 4, s² = 4
  second[0, 1, 2] = 0
  second[:, 2, 2] = 0
  estimate = sigmas.estimate_sigmas(first, second, np.array([100.0, 4.0]))
  # sqrt((25/100 + 1/4) / 2) = 0.5, sqrt(4/4) = 1.
  np.testing.assert_allclose(estimate.sigmas, [0.5, 1.0, np.nan])
  assert estimate.counts.tolist() == [2, 1, 0]
  # The median of both is their mean here, and ln 2 the median of an
  # exponential variable of mean 1.
  np.testing.assert_allclose(
    estimate.robust, np.array([0.5, 1.0, np.nan]) / np.sqrt(np.log(2))
  )


def test_flip_pairs_share_a_sigma():
  first = np.zeros((1, 3, 3))
  first[..., 2] = 1
  second = first.copy()
  second[0, :, 0] = [0, 1, 7]
  area = np.array([2.0])
  estimate = sigmas.estimate_sigmas(first, second, area, flip_pairs=((1, 2),))
  # sqrt((1 + 49) / 2 / 2) of both sides.
  np.testing.assert_allclose(estimate.sigmas, [0, 12.5**0.5, 12.5**0.5])
  assert estimate.counts.tolist() == [1, 2, 2]


def test_known_sigmas_are_found_again_and_give_cocos_oks():
  rng = np.random.default_rng(7)
  true, count = np.array([0.03, 0.08]), 20_000
  area = rng.uniform(1e3, 1e5, count)
  first = np.full((count, 2, 3), 2.0)
  # Both labels are off by σ/√2 in all, σ/2 along each axis.
  spread = (true / 2)[:, None] * np.sqrt(area)[:, None, None]
  second = first.copy()
  first[..., :2] += rng.normal(size=(count, 2, 2)) * spread
  second[..., :2] += rng.normal(size=(count, 2, 2)) * spread
  estimate = sigmas.estimate_sigmas(first, second, area)
  # Four standard errors.
  limit = 4 * estimate.relative_error[0]
  np.testing.assert_allclose(estimate.sigmas, true, rtol=limit)
  np.testing.assert_allclose(estimate.robust, true, rtol=2 * limit)
  # One sigma off is an OKS of exp(-1/8), whatever the area.
  moved = np.full((1, 1, 2), 0.03 * 50.0) / np.sqrt(2)
  (oks,) = similarity.oks(
    moved, np.zeros((1, 1, 2)), np.ones((1, 1)), np.array([2500.0]), [0.03]
  )[0]
  assert oks == pytest.approx(np.exp(-1 / 8))


def test_outliers_move_the_mean_and_not_the_median():
  rng = np.random.default_rng(8)
  first = np.full((1000, 1, 3), 2.0)
  second = first.copy()
  second[..., :2] += rng.normal(size=(1000, 1, 2))
  second[:20, 0, 0] += 100  # swapped, in two of a hundred
  estimate = sigmas.estimate_sigmas(first, second, np.ones(1000))
  assert estimate.sigmas[0] > 5
  # σ² = 2 for a unit normal along both axes.
  assert estimate.robust[0] == pytest.approx(2**0.5, rel=0.1)


@pytest.fixture
def repeated(tmp_path):
  """Two jsons of the same people; the second moved by 2 % of the scale."""
  labels = check_folder.content()
  del labels["categories"][0]["sigmas"]
  (tmp_path / "a").mkdir()
  first = check_folder.write(tmp_path / "a", labels)
  for person in labels["annotations"]:
    flat = np.array(person["keypoints"]).reshape(-1, 3)
    flat[flat[:, 2] > 0, 0] += 0.02 * person["area"] ** 0.5
    person["keypoints"] = flat.ravel().tolist()
  labels["annotations"].pop()
  return first, labels, tmp_path


def test_the_check_estimates_from_two_files(repeated):
  first, labels, folder = repeated
  report = check.check(first, repeated=check_folder.write(folder, labels))
  assert report.findings == ()
  np.testing.assert_allclose(report.summary["category"]["sigmas"], 0.02)
  # 79 people; both shoulders count for each; 39 noses.
  assert report.estimate.counts.tolist() == [39, 158, 158, 158, 158]
  assert '"sigmas": [0.02, 0.02, 0.02, 0.02, 0.02]' in report.text()
  assert json.dumps(report.to_json()["estimated_sigmas"])


def test_ids_that_are_text_are_matched_in_any_order(repeated):
  first, labels, folder = repeated
  again = check_folder.write(folder, labels)
  content = json.loads(first.read_text())
  content["images"][0]["width"] = 10  # nobody is inside this one
  first.write_text(json.dumps(content))
  expected = check.check(first, repeated=again).estimate
  for path in (first, again):
    content = json.loads(path.read_text())
    for image in content["images"]:
      image["id"] = f"im{image['id']}"
    for person in content["annotations"]:
      person["id"] = f"p{person['id']}"
      person["image_id"] = f"im{person['image_id']}"
    if path == again:
      content["annotations"].reverse()
      content["images"].reverse()
      for image in content["images"]:
        del image["width"]  # then the first file's counts
    path.write_text(json.dumps(content))
  estimate = check.check(first, repeated=again).estimate
  np.testing.assert_allclose(estimate.sigmas, expected.sigmas)
  assert estimate.counts.tolist() == expected.counts.tolist()


def test_a_keypoint_labelled_once_keeps_its_sigma(repeated):
  first, labels, folder = repeated
  for person in labels["annotations"]:
    person["keypoints"][:3] = 0, 0, 0
  report = check.check(first, repeated=check_folder.write(folder, labels))
  sigmas = report.summary["category"]["sigmas"]
  assert sigmas[1:] == [0.02] * 4
  assert sigmas[0] > 0
  assert f'"sigmas": {sigmas}' in report.text()


def other_names(labels):
  labels["categories"][0]["keypoints"][0] = "chin"


def other_image(labels):
  labels["annotations"][0]["image_id"] = 2


def other_ids(labels):
  for person in labels["annotations"]:
    person["id"] += 1000


@pytest.mark.parametrize(
  ("edit", "message"),
  [
    (other_names, "same keypoints in the same order"),
    (other_image, r"annotations \[101\] are in other images"),
    (other_ids, "no annotation id in common"),
  ],
)
def test_files_that_do_not_fit_are_refused(repeated, edit, message):
  first, labels, folder = repeated
  edit(labels)
  with pytest.raises(ValueError, match=message):
    check.check(first, repeated=check_folder.write(folder, labels))


def test_the_same_labels_twice_are_refused(repeated):
  first, _, _ = repeated
  with pytest.raises(ValueError, match="the same labels"):
    check.check(first, repeated=first)


def test_shapes_are_checked():
  with pytest.raises(ValueError, match=r"\[N, K, 3\] twice"):
    sigmas.estimate_sigmas(np.zeros((2, 3, 3)), np.zeros((2, 4, 3)), [1, 1])

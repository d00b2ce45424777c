"""PCK and PCKh against slow loops and real predictions on MPII."""

import metrics_reference
import numpy as np
import pytest

from darkjax import skeletons
from darkjax.metrics import pck


@pytest.fixture(scope="module")
def mpii(test_data):
  """Labels and two models' predictions of MPII's validation people."""
  h5py = pytest.importorskip("h5py")
  scipy_io = pytest.importorskip("scipy.io")
  labels = scipy_io.loadmat(test_data / "mpii" / "detections_our_format.mat")
  hourglass = test_data / "mpii" / "valid_predictions_hourglass.h5"
  with h5py.File(hourglass) as file:
    predicted = file["preds"][:]
  corners = labels["headboxes_src"].transpose(2, 0, 1)  # [N, corner, xy]
  return {
    "hourglass": predicted,
    "pos_pred_src": labels["pos_pred_src"].transpose(2, 0, 1),
    "truth": labels["pos_gt_src"].transpose(2, 0, 1),
    "visible": 1 - labels["jnt_missing"].T,
    "corners": corners,
    "head_sizes": pck.head_size(corners.reshape(-1, 4)),
  }


def _random_people(rng, count, num_keypoints):
  truth = rng.uniform(0, 100, (count, num_keypoints, 2))
  predicted = truth + rng.normal(0, 5, truth.shape)
  visible = rng.integers(0, 3, (count, num_keypoints))
  return predicted, truth, visible, rng.uniform(10, 40, count)


def test_pck_equals_loop(rng):
  people = _random_people(rng, 30, 7)
  got = pck.pck(*people, threshold=0.2)
  right, labelled = metrics_reference.correct_counts(*people, 0.2)
  np.testing.assert_array_equal(
    got.per_keypoint, np.array(right) / np.array(labelled)
  )
  assert got.mean == sum(right) / sum(labelled)
  assert 0.2 < got.mean < 0.9  # neither everything nor nothing is correct


def test_pck_counts_a_distance_equal_to_the_limit():
  truth = np.zeros((1, 2, 2))
  predicted = np.array([[[3.0, 4.0], [3.0, 4.01]]])  # 5 and 5.008 px
  got = pck.pck(predicted, truth, [[1, 1]], [10.0], 0.5)
  assert got.per_keypoint.tolist() == [1.0, 0.0]
  assert got.mean == 0.5


def test_pck_leaves_out_the_unlabelled():
  truth = np.zeros((2, 3, 2))
  visible = [[1, 1, 0], [1, 0, 0]]
  lengths = [10.0, np.nan]  # the second person has no torso
  predicted = truth + np.array([[9.0, 0], [1.0, 0], [1.0, 0]])
  got = pck.pck(predicted, truth, visible, lengths, 0.2)
  np.testing.assert_array_equal(got.per_keypoint, [0.0, 1.0, np.nan])
  assert got.mean == 0.5


def test_pck_of_nobody_is_nan():
  nobody = np.zeros((0, 4, 2))
  got = pck.pck(nobody, nobody, np.zeros((0, 4)), np.zeros(0), 0.2)
  assert np.isnan(got.mean)
  assert np.isnan(got.per_keypoint).all()
  assert np.isnan(pck.mean_error(nobody, nobody, np.zeros((0, 4))))


def test_pck_rejects_shapes_that_do_not_fit():
  points = np.zeros((2, 4, 2))
  with pytest.raises(ValueError, match="expects shapes"):
    pck.pck(points, points, np.ones((2, 4)), np.ones(3), 0.2)


def test_mean_error_counts_labelled_keypoints_once():
  truth = np.zeros((1, 3, 2))
  predicted = np.array([[[3.0, 4.0], [0.0, 1.0], [np.nan, 0.0]]])
  # (5 + 1) / 2; the third is not labelled.
  assert pck.mean_error(predicted, truth, [[2, 1, 0]]) == 3.0


def test_reference_lengths():
  truth = np.zeros((2, 14, 2))
  truth[:, 9] = [3.0, 4.0]  # LSP: left shoulder 9, right hip 2
  visible = np.ones((2, 14))
  visible[1, 2] = 0
  torso = pck.torso_length(truth, visible, skeletons.LSP)
  np.testing.assert_array_equal(torso, [5.0, np.nan])
  assert pck.box_length([[7, 8, 20, 30]]).tolist() == [30.0]
  # 0.6 of the diagonal of 30 by 40.
  assert pck.head_size([[10, 10, 40, 50]]).tolist() == [30.0]


def test_torso_needs_shoulder_and_hip():
  hand = skeletons.from_coco_category({"name": "hand", "keypoints": ["palm"]})
  with pytest.raises(ValueError, match="right_hip"):
    pck.torso_length(np.zeros((1, 1, 2)), np.ones((1, 1)), hand)


def test_pckh_leaves_out_pelvis_and_thorax_and_averages_the_sides():
  truth = np.zeros((2, 16, 2))
  predicted = truth.copy()
  predicted[:, 6:8] = 100.0  # pelvis, thorax: wrong, and not scored
  predicted[0, 0] = 100.0  # one right ankle of two
  visible = np.ones((2, 16))
  visible[1, 5] = 0  # one left ankle of one, correct
  got = pck.pckh(predicted, truth, visible, [10.0, 10.0])
  assert got["Ankle"] == 75.0  # (50 + 100) / 2
  assert got["Hip"] == got["Head"] == 100.0
  # 27 labels without pelvis and thorax, one of them missed.
  assert got["Mean"] == pytest.approx(100 * 26 / 27, abs=1e-12)


def test_pckh_names_have_the_threshold():
  truth = np.zeros((1, 16, 2))
  predicted = truth + np.array(
    [1.05, 0.0]
  )  # between 0.1 and 0.11 of the head size
  table = pck.pckh_table(predicted, truth, np.ones((1, 16)), [10.0])
  assert table["PCKh@0.5"] == table["PCKh@0.11"] == 100.0
  assert table["PCKh@0.1"] == table["PCKh@0.1/Wrist"] == 0.0
  assert len(table) == 3 * 8


def test_mpii_hourglass_gives_the_published_numbers(mpii):
  """Values computed by others from the same file, printed to 2 or 3 digits."""
  table = pck.pckh_table(
    mpii["hourglass"], mpii["truth"], mpii["visible"], mpii["head_sizes"]
  )
  assert round(table["PCKh@0.5"], 3) == 88.035
  assert round(table["PCKh@0.1"], 3) == 28.647
  known = {
    "Head": 95.94, "Shoulder": 94.68, "Elbow": 88.53, "Wrist": 83.38,
    "Hip": 87.48, "Knee": 83.09, "Ankle": 79.05,
  }  # fmt: skip
  assert {k: round(table[f"PCKh@0.5/{k}"], 2) for k in known} == known


@pytest.mark.parametrize("model", ["hourglass", "pos_pred_src"])
@pytest.mark.parametrize("threshold", [0.5, 0.1, 0.11])
def test_mpii_equals_loop(mpii, model, threshold):
  heads = [
    0.6 * float(np.hypot(*(high - low))) for low, high in mpii["corners"]
  ]
  people = (mpii[model], mpii["truth"], mpii["visible"])
  got = pck.pckh(*people, mpii["head_sizes"], threshold)
  lists = [array.tolist() for array in people]
  want = metrics_reference.mpii_pckh(*lists, heads, threshold)
  # A hundred times a ratio of integers, rounded twice: 1e-12 percent.
  assert got == pytest.approx(want, abs=1e-12)


def test_the_normalized_mean_error_is_a_mean_of_peoples_means():
  truth = np.zeros((5, 3, 2))
  # Distances 5, 1 and 100; of the first person two are labelled.
  predicted = np.tile([[3.0, 4.0], [0.0, 1.0], [100.0, 0.0]], (5, 1, 1))
  visible = [[2, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]]
  lengths = [10.0, 2.0, 10.0, np.nan, 53.0]
  got = pck.normalized_mean_error(predicted, truth, visible, lengths)
  # By hand: 3 / 10, 1 / 2, nobody, no length, 106 / 3 / 53.
  np.testing.assert_allclose(got, (0.3 + 0.5 + 2 / 3) / 3, rtol=1e-12)
  assert np.isnan(
    pck.normalized_mean_error(predicted[2:3], truth[2:3], [[0, 0, 0]], [1.0])
  )


def test_a_length_between_keypoints_needs_both_labels():
  truth = np.array([[[0, 0], [9, 9], [3, 4]]] * 2)
  face = skeletons.from_coco_category(
    {"name": "face", "keypoints": ["left_eye", "nose", "right_eye"]}
  )
  corners = ("left_eye", "right_eye")
  got = pck.length_between(truth, [[1, 0, 2], [1, 1, 0]], face, corners)
  np.testing.assert_array_equal(got, [5.0, np.nan])
  with pytest.raises(ValueError, match=r"needs the keypoints \['ear'\]"):
    pck.length_between(truth, [[1, 1, 1]] * 2, face, ("nose", "ear"))


def test_people_of_no_length_are_left_out_of_the_normalized_mean_error():
  truth, predicted = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
  predicted[..., 0] = [[1, 1], [3, 5], [9, 9]]
  visible = np.ones((3, 2))
  error = pck.normalized_mean_error(predicted, truth, visible, [2.0, 8.0, 0.0])
  # Means of 1 and 4 px: (1/2 + 4/8) / 2.
  assert error == 0.5
  none = pck.normalized_mean_error(truth[:1], truth[:1], visible[:1], [0.0])
  assert np.isnan(none)


def test_a_part_of_pckh_is_one_side_where_the_other_is_never_labelled():
  names = skeletons.MPII.keypoint_names
  truth, visible = np.zeros((2, 16, 2)), np.ones((2, 16))
  visible[:, names.index("left_knee")] = 0
  visible[:, [names.index(f"{side}_hip") for side in ("left", "right")]] = 0
  predicted = truth.copy()
  predicted[0, names.index("right_knee")] = 100
  got = pck.pckh(predicted, truth, visible, [10.0, 10.0])
  assert got["Knee"] == 50
  assert got["Elbow"] == 100
  assert np.isnan(got["Hip"])

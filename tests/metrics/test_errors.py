"""Kinds of errors on poses made by hand."""

import numpy as np
import pytest

from darkjax.metrics import errors

# A nose, and two hands 40 px apart; k = 2 sigma and an area of 100² px² make
# the scale of each keypoint s k = 10 px.
SIGMAS = (0.05, 0.05, 0.05)
TWINS = (0, 2, 1)
TRUTH = np.array([[[50.0, 10.0], [30.0, 60.0], [70.0, 60.0]]] * 2)
TRUTH[1, :, 0] += 200  # another person to the right
# px at which the similarity exp(-d² / 200) is 0.85 and 0.5.
GOOD, NEAR = 5.7012, 11.7741


def classify(changes, visible=None, image_ids=(1, 1)):
  keypoints = TRUTH.copy()
  for (person, part), place in changes.items():
    keypoints[person, part] = place
  kinds = errors.classify(
    keypoints,
    TRUTH,
    np.ones((2, 3)) if visible is None else visible,
    np.full(2, 1e4),
    np.array(image_ids),
    sigmas=SIGMAS,
    flip_indices=TWINS,
  )
  return [[errors.KINDS[k] if k >= 0 else None for k in row] for row in kinds]


def test_the_truth_is_good():
  assert classify({}) == [["good"] * 3] * 2


@pytest.mark.parametrize(
  ("place", "kind"),
  [
    ((50, 10 - GOOD + 1e-3), "good"),
    ((50, 10 - GOOD - 1e-3), "jitter"),
    ((50, 10 - NEAR + 1e-3), "jitter"),
    ((50, 10 - NEAR - 1e-3), "miss"),
    ((250, 10 - NEAR + 1e-3), "swap"),  # the other's nose
    ((230, 60), "miss"),  # the other's hand is no nose
    ((30, 60), "miss"),  # nor is one's own
  ],
)
def test_a_keypoint_without_twin(place, kind):
  assert classify({(0, 0): place})[0] == [kind, "good", "good"]


@pytest.mark.parametrize(
  ("place", "kind"),
  [
    ((70, 60), "inversion"),
    ((70 + NEAR - 1e-3, 60), "inversion"),
    ((70 + NEAR + 1e-3, 60), "miss"),
    ((230, 60), "swap"),  # the other's left hand
    ((270, 60), "swap"),  # and right
    ((50, 10), "miss"),
  ],
)
def test_a_hand(place, kind):
  assert classify({(0, 1): place})[0] == ["good", kind, "good"]


def test_people_of_other_images_are_not_swapped():
  kinds = classify({(0, 0): (250, 10)}, image_ids=(1, 2))
  assert kinds[0][0] == "miss"


def test_what_is_not_labelled_has_no_kind_and_attracts_nothing():
  visible = np.ones((2, 3))
  visible[0, 2] = visible[1, 0] = 0
  kinds = classify({(0, 1): (70, 60), (0, 0): (250, 10)}, visible)
  assert kinds == [["miss", "miss", None], [None, "good", "good"]]


def test_similarity_is_the_closeness_of_oks():
  one = errors.similarity(
    TRUTH + np.array([3.0, 4.0]), TRUTH, np.full(2, 1e4), SIGMAS
  )
  np.testing.assert_allclose(one, np.exp(-25 / 200))


def test_each_twin_has_its_own_constant():
  # The twin's scale is 20 px, the keypoint's own 10: 20 px beside the twin.
  kinds = errors.classify(
    np.array([[[0.0, 0.0], [120.0, 0.0]]]),
    np.array([[[0.0, 0.0], [300.0, 0.0]]]) * [[[1.0, 1.0]]],
    np.ones((1, 2)),
    np.array([1e4]),
    np.array([1]),
    sigmas=(0.05, 0.1),
    flip_indices=(1, 0),
  )
  assert kinds.tolist() == [[0, 4]]
  kinds = errors.classify(
    np.array([[[280.0, 0.0], [300.0, 0.0]]]),
    np.array([[[0.0, 0.0], [300.0, 0.0]]]),
    np.ones((1, 2)),
    np.array([1e4]),
    np.array([1]),
    sigmas=(0.05, 0.1),
    flip_indices=(1, 0),
  )
  assert [errors.KINDS[k] for k in kinds[0]] == ["inversion", "good"]

"""`People`: arrays of any number of people, and what they are made of."""

import copy
import pickle

import numpy as np
import pytest
from some_people import CALIBRATION, IMAGE, make_people, make_person

from darkjax.inference.people import People


@pytest.mark.parametrize("count", [0, 1, 3])
def test_arrays_have_a_row_for_each_person(count):
  people = make_people(count, calibration=CALIBRATION)
  shapes = {
    "keypoints": (3, 2),
    "scores": (3,),
    "covariances": (3, 2, 2),
    "boxes": (4,),
    "box_scores": (),
    "probabilities": (3,),
    "errors": (3,),
  }
  for name, shape in shapes.items():
    array = getattr(people, name)
    assert array.shape == (count, *shape), name
    kind = np.float64 if name.startswith("box") else np.float32
    assert array.dtype == kind, name
  for n, person in enumerate(people):
    pairs = [
      (people.keypoints, person.keypoints_image),
      (people.scores, person.scores),
      (people.covariances, person.covariances),
      (people.boxes, person.bbox),
      (people.probabilities, person.probabilities),
      (people.errors, person.errors),
    ]
    for stacked, own in pairs:
      np.testing.assert_array_equal(stacked[n], own)
  assert people.names == ("red", "green", "blue")


def test_box_scores_are_one_where_there_was_no_detector():
  people = People([make_person(), make_person(box_score=0.25)], IMAGE)
  np.testing.assert_array_equal(people.box_scores, [1.0, 0.25])


def test_track_ids_are_there_if_everyone_has_one():
  tracked = [make_person(track_id=7), make_person(track_id=4)]
  assert People(tracked, IMAGE).track_ids.tolist() == [7, 4]
  assert People([tracked[0], make_person()], IMAGE).track_ids is None


def test_probabilities_and_errors_are_the_calibration_s():
  person = make_person(calibration=CALIBRATION)
  # By hand for the first: u = log 9, and √2.5 px of 30.
  width = np.log(np.sqrt(2.5) / 30 / 0.05)
  logit = 0.5 + 1.5 * np.log(9) - width
  np.testing.assert_allclose(
    person.probabilities[0], 1 / (1 + np.exp(-logit)), rtol=1e-5
  )
  error = 30 * np.exp(-3.5 - 0.5 * np.log(9) + 0.7 * width)
  np.testing.assert_allclose(person.errors[0], error, rtol=1e-5)
  plain = make_person()
  assert plain.probabilities is plain.errors is None
  assert People([person, plain], IMAGE).probabilities is None


@pytest.mark.parametrize("count", [0, 2])
def test_slices_copies_and_pickles_keep_image_and_skeleton(count):
  people = make_people(count)
  for other in (
    people[:],
    people.copy(),
    copy.deepcopy(people),
    pickle.loads(pickle.dumps(people)),
  ):
    assert isinstance(other, People)
    np.testing.assert_array_equal(other.keypoints, people.keypoints)
    assert other.image is not None
    assert other.keypoints.shape == (count, 3, 2)
  assert people[:0].keypoints.shape == (0, 3, 2)


def test_nobody_without_a_skeleton_has_no_keypoints():
  nobody = People([], IMAGE)
  assert nobody.keypoints.shape == (0, 0, 2)
  assert nobody.skeleton is None
  assert nobody.to_coco(1) == []


def test_coco_records_are_best_first():
  people = People([make_person(0, box_score=0.5), make_person(1)], IMAGE)
  records = people.to_coco("a.jpg", category_id=3)
  for record, person, box_score in zip(
    records, people[::-1], (1.0, 0.5), strict=True
  ):
    assert record["image_id"] == "a.jpg"
    assert record["category_id"] == 3
    # COCO's rule: the mean of the scores above 0.2, times the box's.
    np.testing.assert_allclose(record["score"], 0.7 * box_score, rtol=1e-6)
    triples = np.reshape(record["keypoints"], (3, 3))
    np.testing.assert_array_equal(triples[:, :2], person.keypoints_image)
    np.testing.assert_array_equal(triples[:, 2], person.scores)
  assert make_people(0).to_coco(5) == []


def test_coco_records_keep_duplicates():
  assert len(People([make_person()] * 2, IMAGE).to_coco(1)) == 2


def test_coco_refuses_numbers_that_are_not_finite():
  person = make_person()
  person.scores[0] = np.nan
  with pytest.raises(ValueError, match="infinite keypoint_scores"):
    People([person], IMAGE).to_coco(5)

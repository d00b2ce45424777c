"""`Pose` with a detector: boxes found, given, or the whole photograph."""

import logging
import multiprocessing
import pickle
import threading
import types

import colours
import detector_files
import numpy as np
import pytest

from darkjax.inference.pose import Pose
from darkjax.inference.predictor import Predictor

SIZE = (120, 160)
LEFT = np.array([[40.3, 25.8], [30.0, 60.4], [52.7, 90.1]])
RIGHT = np.array([[121.6, 40.0], [110.2, 71.3], [128.5, 97.9]])
BOXES = np.array([[15.0, 10.0, 50.0, 100.0], [95.0, 25.0, 50.0, 90.0]])
SCORES = np.array([0.75, 0.5])
NOBODY = np.zeros((0, 4)), np.zeros(0)


def find_red_halves(image):
  """The box of each half in which something is red."""
  red = [(image[:, :80, 0] > 99).any(), (image[:, 80:, 0] > 99).any()]
  return BOXES[red], SCORES[red]


def _make(detector, batch_size=4):
  convention = colours.make_convention()
  predictor = Predictor(colours.Colours(convention), {}, convention)
  return Pose(predictor, detector=detector, batch_size=batch_size)


@pytest.fixture(scope="module")
def pose():
  return _make(find_red_halves)


@pytest.fixture(scope="module")
def photo():
  return colours.paint(SIZE, LEFT, RIGHT)


def _assert_found(people, expected, scores):
  assert [person.box_score for person in people] == scores
  for person, keypoints in zip(people, expected, strict=True):
    # px; see test_pose.py.
    np.testing.assert_allclose(person.keypoints_image, keypoints, atol=0.05)


def test_the_detector_finds_the_people(pose, photo):
  people = pose(photo)
  _assert_found(people, [LEFT, RIGHT], [0.75, 0.5])
  np.testing.assert_array_equal(people[0].bbox, BOXES[0])


def test_boxes_that_are_given_win(pose, photo):
  _assert_found(pose(photo, BOXES[1:]), [RIGHT], [1.0])
  assert pose(photo, []) == []


def test_photographs_without_people_are_empty(pose, photo):
  empty = np.zeros((*SIZE, 3), np.uint8)
  assert pose(empty) == []
  left = colours.paint(SIZE, LEFT)
  found = pose(
    [empty, photo, empty, left, photo], [None, None, [], None, BOXES]
  )
  expected = ([], [LEFT, RIGHT], [], [LEFT], [LEFT, RIGHT])
  scores = ([], [0.75, 0.5], [], [0.75], [1.0, 1.0])
  for people, keypoints, some in zip(found, expected, scores, strict=True):
    _assert_found(people, keypoints, some)


def test_boxes_of_supervision_are_taken(photo):
  xyxy = np.concatenate([BOXES[:, :2], BOXES[:, :2] + BOXES[:, 2:]], axis=1)
  boxes = types.SimpleNamespace(
    xyxy=xyxy, confidence=SCORES, class_id=np.array([0, 0]), data={}
  )
  _assert_found(_make(None)(photo, boxes), [LEFT, RIGHT], [0.75, 0.5])


def test_without_boxes_and_detector_one_line_says_so(photo, caplog):
  pose = _make(None)
  pose(photo, BOXES)
  assert not caplog.records
  with caplog.at_level(logging.WARNING):
    for _ in range(2):
      (person,) = pose(photo)
  np.testing.assert_array_equal(person.bbox, [0, 0, 160, 120])
  assert len(caplog.records) == 1
  assert "no boxes and no detector: each whole photograph" in caplog.text


def test_detection_runs_ahead_in_another_thread():
  threads, third = [], threading.Event()

  def detector(image):
    threads.append(threading.current_thread())
    if len(threads) == 3:
      third.set()
    return NOBODY

  image = np.zeros((*SIZE, 3), np.uint8)
  stream = _make(detector, batch_size=1).stream((image, None) for _ in range(9))
  assert next(stream) == []
  # The first two are a batch each; nobody has asked for the third.
  assert third.wait(60)
  for n, _ in enumerate(stream, 1):
    assert len(threads) <= n + 4
  assert len(threads) == 9
  assert threading.current_thread() not in threads


def test_what_a_detector_raises_ends_the_stream(photo):
  def detector(image):
    raise OSError("the camera is gone")

  with pytest.raises(OSError, match="the camera is gone"):
    _make(detector)(photo)


def test_a_file_is_a_detector_and_travels_by_its_path(photo, tmp_path):
  # The input has the size of the photograph.
  corners = np.concatenate([BOXES[:, :2], BOXES[:, :2] + BOXES[:, 2:]], axis=1)
  rows = np.column_stack([corners, SCORES, [0, 0]])[None].astype(np.float32)
  path = detector_files.save(
    tmp_path / "a.onnx", {"out": rows}, shape=(1, 3, *SIZE)
  )
  pose = _make(str(path))
  _assert_found(pose(photo), [LEFT, RIGHT], [0.75, 0.5])
  _assert_found(
    pickle.loads(pickle.dumps(pose))(photo), [LEFT, RIGHT], [0.75, 0.5]
  )
  with multiprocessing.get_context("spawn").Pool(1) as pool:
    people = pool.apply(pose, (photo,))
  _assert_found(people, [LEFT, RIGHT], [0.75, 0.5])
  with pytest.raises(ValueError, match="order is one of"):
    _make(f"{path}?order=x")


def test_a_function_that_cannot_be_pickled_is_named():
  with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
    pickle.dumps(_make(lambda image: NOBODY))

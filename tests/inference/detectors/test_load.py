"""Specifications, options, callables, and what comes of wrong ones."""

import concurrent.futures
import contextlib
import copy
import pickle
import sys
import types

import detector_files
import numpy as np
import pytest

import darkjax
from darkjax.inference.detectors import options, people
from darkjax.inference.detectors.load import from_flags, load_detector

IMAGE = np.zeros((50, 60, 3), np.uint8)
BOXES = np.array([[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 7.0, 8.0]])


@pytest.fixture
def path(tmp_path):
  rows = [[0, 0, 40, 60, 0.5, 0], [30, 0, 96, 64, 0.25, 0]]
  return detector_files.save(
    tmp_path / "a.onnx", {"out": np.array([rows], np.float32)}
  )


def test_options_follow_a_question_mark_and_arguments_go_first(path):
  assert len(load_detector(path)(IMAGE).boxes) == 1  # a score of 0.3 or more
  assert len(load_detector(f"{path}?min_score=0.2")(IMAGE).boxes) == 2
  low = f"{path}?min_score=0.2&threads=1"
  assert len(load_detector(low, min_score=0.6)(IMAGE).boxes) == 0


def test_a_file_with_a_question_mark_in_its_name_is_a_file(path):
  odd = path.rename(path.with_name("b?size=3.onnx"))
  assert len(load_detector(odd)(IMAGE).boxes) == 1


@pytest.mark.parametrize(
  ("text", "match"),
  [
    ("?sise=3", r"options are size, fit, order, .* got 'sise'"),
    ("?size=big", r"number of pixels or height x width .* 'big'"),
    ("?size=1x2x3", "height x width"),
    ("?size=0", "1 px or more"),
    ("?order=gbr", r"order is one of \['rgb', 'bgr'\], got 'gbr'"),
    ("?fit=crop", "fit is one of"),
    ("?values=0-2", "values is one of"),
    ("?min_score=high", r"min_score is a number \(float\), got 'high'"),
    ("?min_score=nan", "min_score is between 0 and 1, got nan"),
    ("?nms=1.5", "nms is between 0 and 1, got 1.5"),
    ("?threads=-1", "threads is between 0 and"),
    ("?person_class=person", r"person_class is a number \(int\)"),
    ("?min_score", r"name=value, joined by &, got 'min_score'"),
  ],
)
def test_wrong_options_are_named(path, text, match):
  with pytest.raises(ValueError, match=match):
    load_detector(f"{path}{text}")


def test_sizes_are_numbers_texts_or_pairs():
  for size in (640, "640", (640, 640), "640x640"):
    assert options.Options(size=size).size == (640, 640)
  assert options.Options(size="480x640").size == (480, 640)


def test_what_is_no_detector_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"no detector .*none\.onnx"):
    load_detector(tmp_path / "none.onnx")
  with pytest.raises(FileNotFoundError, match=r"no detector .*a\?b.none\.onnx"):
    load_detector(tmp_path / "a?b" / "none.onnx")
  text = tmp_path / "text.onnx"
  text.write_text("not a network")
  with pytest.raises(ValueError, match=r"text\.onnx: not a network that ONNX"):
    load_detector(text)
  with pytest.raises(ValueError, match="or a function of an image, got int"):
    load_detector(5)
  two = detector_files.save(
    tmp_path / "two.onnx",
    {"out": np.zeros((1, 1, 6), np.float32)},
    shape=(1, 4, 64, 96),
  )
  with pytest.raises(
    ValueError, match=r"takes one image .* got images .*4, 64"
  ):
    load_detector(two)


def test_a_score_of_boxes_needs_a_detector(path):
  assert from_flags(None, None) is None
  detector = from_flags(str(path), 0.2)
  assert len(detector(IMAGE).boxes) == 2
  with pytest.raises(ValueError, match=r"min_box_score=0\.5 .*--detector"):
    from_flags(None, 0.5)


def test_a_missing_package_is_named(path, monkeypatch):
  monkeypatch.setitem(sys.modules, "onnxruntime", None)
  with pytest.raises(ImportError, match=r"onnxruntime: .*darkjax\[detect\]"):
    load_detector(path)
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(ImportError, match="pip install torchvision"):
    load_detector("torchvision:ssd300_vgg16")


def test_detectors_of_files_can_be_pickled_and_copied(path):
  detector = load_detector(path, min_score=0.2)
  expected = detector(IMAGE)
  for other in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
    np.testing.assert_array_equal(other(IMAGE).boxes, expected.boxes)
    np.testing.assert_array_equal(other(IMAGE).scores, expected.scores)


def test_threads_share_a_detector(path):
  detector = load_detector(path)
  images = [np.zeros((10 + n, 60, 3), np.uint8) for n in range(30)]
  expected = [detector(image).boxes for image in images]
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for found, boxes in zip(pool.map(detector, images), expected, strict=True):
      np.testing.assert_array_equal(found.boxes, boxes)


def test_callables_return_boxes_or_boxes_and_scores():
  boxes, scores = darkjax.load_detector(lambda image: BOXES)(IMAGE)
  np.testing.assert_array_equal(boxes, BOXES)
  np.testing.assert_array_equal(scores, [1, 1])
  detector = load_detector(lambda image: (BOXES.tolist(), [0.25, 0.5]))
  boxes, scores = detector(IMAGE)
  np.testing.assert_array_equal(boxes, BOXES[::-1])  # best first
  np.testing.assert_array_equal(scores, [0.5, 0.25])
  assert load_detector(detector) is detector
  assert len(load_detector(detector, min_score=0.3)(IMAGE).boxes) == 1
  assert load_detector(lambda image: [])(IMAGE).boxes.shape == (0, 4)


@pytest.mark.parametrize(
  ("result", "match"),
  [
    (None, r"returns boxes \[N, 4\]"),
    ("boxes", r"returns boxes \[N, 4\] .* got str"),
    ([1, 2, 3, 4], r"got boxes of shape \(4,\)"),
    ([[1, 2, 3, np.nan]], r"finite numbers, got \[1.0, 2.0, 3.0, nan\]"),
    ((BOXES, [0.5]), r"each of its 2 boxes, got scores of shape \(1,\)"),
    ((BOXES, [0.5, np.nan]), "a finite score"),
  ],
)
def test_results_that_are_no_boxes_are_refused(result, match):
  with pytest.raises(ValueError, match=match):
    load_detector(lambda image: result)(IMAGE)


def _supervision(**fields):
  """As supervision.Detections 0.30."""
  xyxy = np.array([[1, 2, 31, 42], [5, 6, 12, 14]], np.float32)
  defaults = {"xyxy": xyxy, "confidence": None, "class_id": None, "data": {}}
  return types.SimpleNamespace(**(defaults | fields))


def test_detections_of_supervision_are_read():
  for found in (
    _supervision(),
    types.SimpleNamespace(xyxy=_supervision().xyxy),
  ):
    boxes, scores = load_detector(lambda image, found=found: found)(IMAGE)
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(scores, [1, 1])
  found = _supervision(
    confidence=np.array([0.5, 0.75]),
    class_id=np.array([7, 3]),
    data={"class_name": np.array(["Person", "dog"])},
  )
  for options_, expected, score in (
    ({}, BOXES[:1], 0.5),
    ({"person_class": 3}, BOXES[1:], 0.75),
  ):
    detector = load_detector(lambda image: found, **options_)
    boxes, scores = detector(IMAGE)
    np.testing.assert_array_equal(boxes, expected)
    np.testing.assert_array_equal(scores, [score])
  found = _supervision(class_id=np.array([7, 3]))
  with pytest.raises(ValueError, match=r"classes \[3, 7\] without names"):
    load_detector(lambda image: found)(IMAGE)


def test_boxes_are_cut_at_the_border_and_those_outside_left_out():
  given = [[-5, -5, 20, 20], [50, 40, 99, 99], [70, 0, 5, 5], [0, 0, 9, 0.5]]
  boxes, _ = load_detector(lambda image: given)(IMAGE)
  np.testing.assert_array_equal(boxes, [[0, 0, 15, 15], [50, 40, 10, 10]])


def test_of_duplicates_the_best_is_kept():
  # By hand: the second overlaps the first by 90 of 110, the third by 50 of 150.
  corners = [[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10]]
  found = people.select(corners, [0.5, 0.9, 0.7], (50, 50), nms=0.8)
  np.testing.assert_array_equal(found.scores, [0.9, 0.7])
  found = people.select(corners, [0.5, 0.9, 0.7], (50, 50), nms=0.82)
  np.testing.assert_array_equal(found.scores, [0.9, 0.7, 0.5])
  found = people.select(corners, [0.5, 0.9, 0.7], (50, 50), min_score=0.6)
  np.testing.assert_array_equal(found.scores, [0.9, 0.7])


class _Tensor(np.ndarray):
  """What of a tensor is used."""

  def numpy(self):
    return np.asarray(self)


def _fake_torchvision(monkeypatch):
  """Modules torch and torchvision with one network; returns its inputs."""

  inputs = []

  def network(images):
    inputs.extend(images)
    return [
      {
        "boxes": np.array([[1, 2, 31, 42.0], [0, 0, 9, 9]]).view(_Tensor),
        "labels": np.array([1, 18]).view(_Tensor),
        "scores": np.array([0.5, 0.9]).view(_Tensor),
      }
    ]

  weights = types.SimpleNamespace(
    DEFAULT=types.SimpleNamespace(
      meta={"categories": ["__background__", "person"]}
    )
  )
  model = types.SimpleNamespace(eval=lambda: network)
  models = types.SimpleNamespace(
    detection="detection",
    list_models=lambda module: ["ssd300_vgg16"],
    get_model_weights=lambda name: weights,
    get_model=lambda name, weights: model,
  )
  torch = types.SimpleNamespace(
    inference_mode=contextlib.nullcontext, from_numpy=lambda array: array
  )
  monkeypatch.setitem(sys.modules, "torch", torch)
  monkeypatch.setitem(
    sys.modules, "torchvision", types.SimpleNamespace(models=models)
  )
  return inputs


def test_networks_of_torchvision_are_run(monkeypatch):
  inputs = _fake_torchvision(monkeypatch)
  detector = load_detector("torchvision:ssd300_vgg16")
  image = np.full((50, 60, 3), (51, 102, 204), np.uint8)
  boxes, scores = detector(image)
  np.testing.assert_array_equal(boxes, BOXES[:1])
  np.testing.assert_array_equal(scores, [0.5])
  assert inputs[0].shape == (3, 50, 60)
  np.testing.assert_allclose(inputs[0][:, 0, 0], [0.2, 0.4, 0.8])
  other = pickle.loads(pickle.dumps(detector))
  np.testing.assert_array_equal(other(image).boxes, boxes)
  assert not len(
    load_detector("torchvision:ssd300_vgg16?min_score=0.6")(image).boxes
  )
  with pytest.raises(ValueError, match=r"one of \['ssd300_vgg16'\], got nope"):
    load_detector("torchvision:nope")

"""Each form of outputs against boxes put into it by hand."""

import detector_files
import numpy as np
import pytest

from darkjax.inference.detectors.load import load_detector

# A photograph of 60 x 30 px in an input of 96 x 64: 1.6 times larger, with 16
# rows left over, or stretched by 1.6 and 64/30.
IMAGE = np.zeros((30, 60, 3), np.uint8)
PERSON, OTHER = [10.0, 5.0, 20.0, 20.0], [2.0, 1.0, 30.0, 10.0]  # image px
# (x0, y0, x1, y1), px of the input, by hand.
CORNER = np.array([[16, 8, 48, 40], [3.2, 1.6, 51.2, 17.6]])
CENTER = CORNER + np.array([0, 8, 0, 8])
STRETCHED = np.array(
  [[16, 32 / 3, 48, 160 / 3], [3.2, 32 / 15, 51.2, 352 / 15]]
)
SCORES = np.array([0.75, 0.875])  # of the person, of the other
CELLS = 8 * 12 + 4 * 6 + 2 * 3  # of strides 8, 16 and 32


def _rows(corners, columns, each=1):
  """[cells, columns] with (x, y, w, h) of the two in rows 30 and 100."""
  rows = np.zeros((each * CELLS, columns), np.float32)
  rows[:, 2:4] = 8
  low, high = corners[:, :2], corners[:, 2:]
  rows[[30, 100], :2] = (low + high) / 2
  rows[[30, 100], 2:4] = high - low
  return rows


def _with_objectness(corners, each=1):
  rows = _rows(corners, 5 + 3, each)
  rows[[30, 100], 4] = 0.9375  # × the class
  rows[30, 5] = SCORES[0] / 0.9375
  rows[100, 6] = SCORES[1] / 0.9375
  return rows


def _yolox_decoded():
  rows = _with_objectness(CORNER)
  x, y = np.meshgrid(np.arange(12) * 8.0, np.arange(8) * 8.0)
  others = np.delete(np.arange(96), 30)
  centers = np.stack([x.ravel(), y.ravel()], 1) + 4
  rows[others, :2] = centers[others]
  return rows


def _yolox():
  """Row 30 is cell (6, 2) of stride 8; row 100 cell (4, 0) of stride 16."""
  rows = _with_objectness(CORNER)
  boxes = rows[[30, 100], :4].copy()
  rows[:, :4] = (0.5, 0.5, 0, 0)
  rows[30, :4] = [
    *(boxes[0, :2] / 8 - (6, 2)),
    *np.log(boxes[0, 2:] / 8),
  ]
  rows[100, :4] = [
    *(boxes[1, :2] / 16 - (4, 0)),
    *np.log(boxes[1, 2:] / 16),
  ]
  return rows


def _yolov8():
  rows = _rows(CENTER, 4 + 3)
  rows[30, 4], rows[100, 5] = SCORES
  return rows.T


def _listed(corners, *columns):
  """[2, 4 + columns] of the two."""
  return np.column_stack([corners, *columns]).astype(np.float32)


def _logits():
  logits = np.full((2, 91), -9, np.float32)
  # Class 0 is nobody in COCO's 91.
  logits[0, 1], logits[1, 18] = np.log(SCORES / (1 - SCORES))
  return logits


def _parts(corners):
  return corners / (96, 64, 96, 64)


def _centered(corners):
  low, high = corners[:, :2], corners[:, 2:]
  return np.concatenate([(low + high) / 2, high - low], 1).astype(np.float32)


FORMS = {
  "YOLOX": {"output": _yolox()[None]},
  "YOLOX with --decode_in_inference": {"output": _yolox_decoded()[None]},
  "YOLOv5, YOLOv7": {"output0": _with_objectness(CENTER, each=3)[None]},
  "YOLOv8 and later": {"output0": _yolov8()[None]},
  "YOLO with nms=True, YOLOv10, YOLO26": {
    "output0": _listed(CENTER, SCORES, [0, 16])[None]
  },
  "YOLOv7 with --end2end": {
    "output": np.insert(_listed(CENTER, [0, 16], SCORES), 0, 0, axis=1)
  },
  "RT-DETR, D-FINE": {
    "labels": np.array([[0, 16]]),
    "boxes": _parts(STRETCHED)[None].astype(np.float32),
    "scores": SCORES[None].astype(np.float32),
  },
  "RF-DETR": {
    "dets": _centered(_parts(STRETCHED))[None],
    "labels": _logits()[None],
  },
  "MMDeploy": {
    "dets": _listed(CORNER, SCORES)[None],
    "labels": np.array([[0, 16]]),
  },
  "torchvision": {
    "boxes": CORNER.astype(np.float32),
    "labels": np.array([1, 18]),
    "scores": SCORES.astype(np.float32),
  },
}


def _save(path, name):
  return detector_files.save(
    path,
    FORMS[name],
    shape=(3, 64, 96) if name == "torchvision" else (1, 3, 64, 96),
    with_sizes=name == "RT-DETR, D-FINE",
  )


@pytest.mark.parametrize("name", FORMS)
def test_the_person_is_found_and_nothing_else(name, tmp_path):
  detector = load_detector(_save(tmp_path / "a.onnx", name))
  assert detector._form.networks == name
  boxes, scores = detector(IMAGE)
  # px and 1, float32.
  np.testing.assert_allclose(boxes, [PERSON], atol=1e-4)
  np.testing.assert_allclose(scores, [SCORES[0]], atol=1e-6)


@pytest.mark.parametrize(
  ("name", "person_class"),
  [
    ("YOLOX", 1),
    ("YOLOX with --decode_in_inference", 1),
    ("YOLOv5, YOLOv7", 1),
    ("YOLOv8 and later", 1),
    ("YOLO with nms=True, YOLOv10, YOLO26", 16),
    ("YOLOv7 with --end2end", 16),
    ("RT-DETR, D-FINE", 16),
    ("RF-DETR", 18),
    ("MMDeploy", 16),
    ("torchvision", 18),
  ],
)
def test_another_class_can_be_people(name, person_class, tmp_path):
  path = _save(tmp_path / "a.onnx", name)
  boxes, scores = load_detector(path, person_class=person_class)(IMAGE)
  np.testing.assert_allclose(boxes, [OTHER], atol=1e-4)
  np.testing.assert_allclose(scores, [SCORES[1]], atol=1e-6)


@pytest.mark.parametrize("name", ["YOLOX", "YOLOv8 and later", "RF-DETR"])
def test_a_class_that_is_not_there_is_refused(name, tmp_path):
  detector = load_detector(_save(tmp_path / "a.onnx", name), person_class=99)
  with pytest.raises(ValueError, match=r"classes, from 0 on, got 99"):
    detector(IMAGE)


def test_a_photograph_without_people_has_no_boxes(tmp_path):
  rows = np.zeros((1, 0, 6), np.float32)
  detector = load_detector(
    detector_files.save(tmp_path / "a.onnx", {"output0": rows})
  )
  boxes, scores = detector(IMAGE)
  assert boxes.shape == (0, 4)
  assert scores.shape == (0,)


def test_keypoints_and_masks_beside_the_boxes_are_left_out(tmp_path):
  more = np.zeros((2, 51))
  masks = np.zeros((1, 32, 16, 24), np.float32)
  rows = _listed(CENTER, SCORES, [0, 16], more)[None]
  for task in ("pose", "segment"):
    path = detector_files.save(
      tmp_path / f"{task}.onnx",
      {"output0": rows, "output1": masks},
      metadata={"task": task},
    )
    np.testing.assert_allclose(
      load_detector(path)(IMAGE).boxes, [PERSON], atol=1e-4
    )


def test_halves_are_read(tmp_path):
  path = detector_files.save(
    tmp_path / "a.onnx",
    {"output0": _listed(CENTER, SCORES, [0, 16])[None].astype(np.float16)},
    dtype="float16",
  )
  # px: half precision at 48.
  np.testing.assert_allclose(
    load_detector(path)(IMAGE).boxes, [PERSON], atol=0.03
  )


@pytest.mark.parametrize(
  "outputs",
  [
    {"logits": np.zeros((1, 100, 92), np.float32)},
    {
      "boxes": np.zeros((1, CELLS, 4), np.float32),
      "scores": np.zeros((1, CELLS, 80), np.float32),
    },
    {"labels": np.zeros((1, 5), np.int64)},
    {"output": np.zeros((1, 7), np.int64)},
    {"heatmaps": np.zeros((1, 17, 16, 24), np.float32)},
  ],
)
def test_an_unknown_form_lists_its_shapes_and_the_known(outputs, tmp_path):
  path = detector_files.save(tmp_path / "a.onnx", outputs)
  name, array = next(iter(outputs.items()))
  shape = str(list(array.shape)).replace("[", r"\[").replace("]", r"\]")
  with pytest.raises(
    ValueError, match=rf"a\.onnx: .*{name} {array.dtype} {shape}"
  ) as e:
    load_detector(path)
  assert "at an input of 64 x 96 px" in str(e.value)
  for known in FORMS:
    assert f"{known}: " in str(e.value)


@pytest.mark.parametrize(
  ("name", "count"),
  [
    ("YOLOX", 1),
    ("YOLOv5, YOLOv7", 1),
    ("YOLOv8 and later", 1),
    ("YOLO with nms=True, YOLOv10, YOLO26", 2),
  ],
)
def test_duplicates_are_removed_where_the_network_leaves_them(
  name, count, tmp_path
):
  ((key, array),) = FORMS[name].items()
  array = array.copy()
  if name == "YOLOv8 and later":
    array[0, :, 31] = array[0, :, 30]
  elif count == 1:
    array[0, 31] = array[0, 30]
    if name == "YOLOX":
      array[0, 31, 0] -= 1  # of the cell to its right
  else:
    array[0, 1] = array[0, 0]
  path = detector_files.save(tmp_path / "a.onnx", {key: array})
  boxes, _ = load_detector(path)(IMAGE)
  np.testing.assert_allclose(boxes, [PERSON] * count, atol=1e-4)
  assert len(load_detector(path, nms=1)(IMAGE).boxes) == 2

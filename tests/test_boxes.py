"""Boxes from json files."""

import json
import logging

import numpy as np
import pytest

from darkjax import boxes


def _write(tmp_path, content):
  path = tmp_path / "boxes.json"
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def test_detections_are_known_by_id_or_name(tmp_path):
  path = _write(
    tmp_path,
    [
      {"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1},
      {"file_name": "photos/a.jpg", "bbox": [5, 6, 7, 8]},
      {"image_id": 7, "bbox": [9, 9, 9, 9], "score": 0.25},
      {"image_id": 7, "bbox": [0, 0, 1, 1], "score": 0.9, "category_id": 18},
    ],
  )
  read = boxes.read(path)
  found, scores = read.of("unknown.jpg", 7)
  np.testing.assert_array_equal(found, [[1, 2, 3, 4], [9, 9, 9, 9]])
  np.testing.assert_array_equal(scores, [0.5, 0.25])
  found, scores = read.of("a.jpg", 123)
  np.testing.assert_array_equal(found, [[5, 6, 7, 8]])
  np.testing.assert_array_equal(scores, [1])
  found, scores = read.of("b.jpg", 8)
  assert found.shape == (0, 4)
  assert scores.shape == (0,)


def test_the_category_need_not_be_cocos_person(tmp_path):
  hand = {"image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 3}
  arm = {"image_id": 7, "bbox": [5, 6, 7, 8], "category_id": 4}
  nobody = (0, 4)
  found, _ = boxes.read(_write(tmp_path, [hand])).of("a.jpg", 7)
  np.testing.assert_array_equal(found, [hand["bbox"]])
  found, _ = boxes.read(_write(tmp_path, [hand, arm])).of("a.jpg", 7)
  assert found.shape == nobody  # which of them is not told
  content = {
    "images": [{"id": 7, "file_name": "a.jpg"}],
    "annotations": [hand, arm],
    "categories": [{"id": 4, "keypoints": ["elbow"]}, {"id": 3}],
  }
  found, _ = boxes.read(_write(tmp_path, content)).of("a.jpg", 7)
  np.testing.assert_array_equal(found, [arm["bbox"]])


def test_low_scores_can_be_left_out(tmp_path):
  path = _write(
    tmp_path,
    [
      {"image_id": 0, "bbox": [1, 2, 3, 4], "score": score}
      for score in (0.1, 0.3, 0.9)
    ],
  )
  _, scores = boxes.read(path, min_score=0.3).of("", 0)
  np.testing.assert_array_equal(scores, [0.3, 0.9])


def test_annotations_tell_names_and_ids(tmp_path):
  path = _write(
    tmp_path,
    {
      "images": [
        {"id": 5, "file_name": "val/b.jpg"},
        {"id": 6, "file_name": "c.jpg"},
      ],
      "annotations": [
        {"image_id": 5, "bbox": [1, 2, 3, 4], "category_id": 1, "iscrowd": 0},
        {"image_id": 5, "bbox": [0, 0, 99, 99], "iscrowd": 1},
      ],
    },
  )
  read = boxes.read(path)
  assert read.image_ids == {"b.jpg": 5, "c.jpg": 6}
  np.testing.assert_array_equal(read.of("b.jpg", -1)[0], [[1, 2, 3, 4]])
  assert read.of("c.jpg", 6)[0].shape == (0, 4)


def test_boxes_without_a_size_are_left_out_aloud(tmp_path, caplog):
  path = _write(
    tmp_path,
    [
      {"image_id": 0, "bbox": [1, 2, 0, 4]},
      {"image_id": 0, "bbox": [1, 2, 3, 4]},
    ],
  )
  with caplog.at_level(logging.WARNING):
    read = boxes.read(path)
  assert len(read.of("", 0)[0]) == 1
  assert "1 boxes without a size" in caplog.text


def test_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.json"):
    boxes.read(tmp_path / "none.json")


@pytest.mark.parametrize(
  ("content", "match"),
  [
    ("{", "is not json"),
    ({"boxes": []}, r"got dict with \['boxes'\]"),
    ("3", "got int"),
    ([{"image_id": 1}], "as person 0"),
    ([{"bbox": [1, 2, 3, 4]}], "image_id or file_name"),
    ([{"image_id": 1, "bbox": [1, 2, 3]}], "as person 0"),
  ],
)
def test_other_files_are_refused(tmp_path, content, match):
  with pytest.raises(ValueError, match=match):
    boxes.read(_write(tmp_path, content))

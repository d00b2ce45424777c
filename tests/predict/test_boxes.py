"""Boxes from json files."""

import json
import logging
import pathlib

import numpy as np
import pytest
from coco_folder import DOLL

from darkjax.predict import boxes

KEYPOINTS = [10.0, 10.0, 2, 20.0, 20.0, 2, 30.0, 30.0, 1]


def read_boxes(path, **options):
  return boxes.read(path, skeleton=DOLL, **options)


def labels(images, people, categories=None):
  """A COCO-format file of dolls; people are numbered from 1."""
  annotated = [
    {"id": n, "category_id": 1, "keypoints": KEYPOINTS, **person}
    for n, person in enumerate(people, start=1)
  ]
  category = {"id": 1, "name": "doll", "keypoints": [*DOLL.keypoint_names]}
  return {
    "images": images,
    "annotations": annotated,
    "categories": categories or [category],
  }


def _write(tmp_path, content):
  path = tmp_path / "boxes.json"
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def test_detections_are_found_by_id_or_name(tmp_path):
  path = _write(
    tmp_path,
    [
      {"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1},
      {"file_name": "photos/a.jpg", "bbox": [5, 6, 7, 8]},
      {"image_id": 7, "bbox": [9, 9, 9, 9], "score": 0.25},
      {"image_id": 7, "bbox": [0, 0, 1, 1], "score": 0.9, "category_id": 18},
    ],
  )
  read = read_boxes(path)
  found, scores = read.of(7)
  np.testing.assert_array_equal(found, [[1, 2, 3, 4], [9, 9, 9, 9]])
  np.testing.assert_array_equal(scores, [0.5, 0.25])
  found, scores = read.of("photos/a.jpg")
  np.testing.assert_array_equal(found, [[5, 6, 7, 8]])
  np.testing.assert_array_equal(scores, [1])
  found, scores = read.of(8)
  assert found.shape == (0, 4)
  assert scores.shape == (0,)


def test_the_category_need_not_be_cocos_person(tmp_path):
  hand = {"image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 3}
  arm = {"image_id": 7, "bbox": [5, 6, 7, 8], "category_id": 4}
  found, _ = read_boxes(_write(tmp_path, [hand])).of(7)
  np.testing.assert_array_equal(found, [hand["bbox"]])
  with pytest.raises(ValueError, match=r"of category 1; .* are \[3, 4\]"):
    read_boxes(_write(tmp_path, [hand, arm]))  # which of them is not told
  read = read_boxes(_write(tmp_path, [hand, arm]), category="4")
  np.testing.assert_array_equal(read.of(7)[0], [arm["bbox"]])
  assert read.category == 4
  with pytest.raises(ValueError, match=r"of category 5; .*--category"):
    read_boxes(_write(tmp_path, [hand, arm]), category="5")


def test_detectors_that_count_from_0_are_noticed(tmp_path, caplog):
  person = {"image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 0}
  bicycle = {"image_id": 7, "bbox": [5, 6, 7, 8], "category_id": 1}
  path = _write(tmp_path, [person, person, bicycle])
  np.testing.assert_array_equal(read_boxes(path).of(7)[0], [bicycle["bbox"]])
  assert "2 boxes of category 0 are left out, 1 of category 1" in caplog.text
  assert len(read_boxes(path, category="0").of(7)[0]) == 2


def test_labels_are_of_the_categories_that_training_reads(tmp_path):
  man, woman = (
    {"id": i, "name": n, "keypoints": [*DOLL.keypoint_names]}
    for i, n in enumerate(("man", "woman"), start=1)
  )
  hand = {"id": 7, "name": "hand", "keypoints": ["a", "b"]}
  ball = {"id": 8, "name": "ball"}
  people = [
    {"image_id": 5, "bbox": [n, 2, 3, 4], "category_id": n} for n in (1, 2)
  ]
  others = [
    {"image_id": 5, "bbox": [7, 2, 3, 4], "category_id": 7, "keypoints": None},
    {"image_id": 5, "bbox": [None] * 4, "category_id": 8, "keypoints": None},
  ]
  images = [{"id": 5, "file_name": "a.jpg"}]
  path = _write(
    tmp_path, labels(images, others + people, [hand, ball, man, woman])
  )
  read = read_boxes(path)
  assert read.of(5)[0][:, 0].tolist() == [1, 2]
  assert read.category == 1
  for name in ("woman", "2"):
    assert read_boxes(path, category=name).of(5)[0][:, 0].tolist() == [2]
  with pytest.raises(ValueError, match=r"no category 'cat'; .*\(7, 'hand'\)"):
    read_boxes(path, category="cat")


def test_labels_of_boxes_alone_are_read(tmp_path):
  images = [{"id": 5, "file_name": "a.jpg"}]
  categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
  people = [
    {"image_id": 5, "bbox": [c, 2, 3, 4], "category_id": c, "keypoints": None}
    for c in (18, 1)
  ]
  read = read_boxes(_write(tmp_path, labels(images, people, categories)))
  assert read.of(5)[0][:, 0].tolist() == [1]


@pytest.mark.parametrize(
  ("person", "match"),
  [
    ({"iscrowd": "false"}, "annotation 1: 'iscrowd' must be 0 or 1"),
    ({"bbox": [1, 2, 3]}, "annotation 1: 'bbox' must be four"),
    ({"image_id": "5"}, r"image_id '5' \(text\) is not among"),
    ({"keypoints": [1, 2, 3] * 3}, "annotation 1: visibility must"),
    ({"id": None}, "annotation number 0: needs an 'id'"),
    ({"category_id": "1"}, r"category_id '1' \(text\); the category's is 1"),
  ],
)
def test_labels_that_training_refuses_are_refused(tmp_path, person, match):
  images = [{"id": 5, "file_name": "a.jpg"}]
  people = [{"image_id": 5, "bbox": [1, 2, 3, 4]} | person]
  with pytest.raises(ValueError, match=match):
    read_boxes(_write(tmp_path, labels(images, people)))


@pytest.mark.parametrize(
  ("content", "ids"),
  [
    (
      labels(
        [
          {"id": i, "file_name": f"{n}.jpg"} for n, i in enumerate(["a", 2**70])
        ],
        [{"image_id": i, "bbox": [1, 2, 3, 4]} for i in ("a", 2**70)],
      ),
      ["a", 2**70],
    ),
    (
      [
        {"image_id": "x", "file_name": "0.jpg", "bbox": [1, 2, 3, 4]},
        {"image_id": 9, "file_name": "1.jpg", "bbox": [1, 2, 3, 4]},
      ],
      ["x", 9],
    ),
  ],
  ids=["labels", "detections"],
)
def test_the_ids_of_the_file_are_kept_for_results(tmp_path, content, ids):
  read = read_boxes(_write(tmp_path, content))
  keys = [read.key(pathlib.Path(f"{n}.jpg")) for n in (0, 1)]
  assert [read.image_id(key) for key in keys] == ids


def test_fractions_of_the_image_are_noticed(tmp_path, caplog):
  path = _write(tmp_path, [{"image_id": 1, "bbox": [0.1, 0.2, 0.5, 0.7]}])
  read_boxes(path)
  assert "1 of 1 boxes lie in 0..1" in caplog.text


def test_low_scores_can_be_left_out(tmp_path):
  path = _write(
    tmp_path,
    [
      {"image_id": 0, "bbox": [1, 2, 3, 4], "score": score}
      for score in (0.1, 0.3, 0.9)
    ],
  )
  _, scores = read_boxes(path, min_score=0.3).of(0)
  np.testing.assert_array_equal(scores, [0.3, 0.9])


def test_annotations_have_names_and_ids(tmp_path):
  images = [
    {"id": 5, "file_name": "val/b.jpg"},
    {"id": 6, "file_name": "c.jpg"},
  ]
  people = [
    {"image_id": 5, "bbox": [1, 2, 3, 4]},
    {"image_id": 5, "bbox": [0, 0, 99, 99], "iscrowd": 1},
  ]
  read = read_boxes(_write(tmp_path, labels(images, people)))
  assert read.key(pathlib.Path("elsewhere/b.jpg")) == 5
  assert read.key(pathlib.Path("c.jpg")) == 6
  assert read.key(pathlib.Path("6.jpg")) is None
  np.testing.assert_array_equal(read.of(5)[0], [[1, 2, 3, 4]])
  assert read.of(6)[0].shape == (0, 4)
  assert read.hint(pathlib.Path("c.jpg")) == (
    "the json has the image, but no box in it"
  )


def test_of_files_of_one_name_the_folder_decides(tmp_path):
  person = {"bbox": [1, 2, 3, 4]}
  images = [
    {"id": 7, "file_name": "cam1/a.jpg"},
    {"id": 8, "file_name": "cam2\\a.jpg"},  # as Windows writes it
  ]
  people = [person | {"image_id": image["id"]} for image in images]
  annotations = read_boxes(_write(tmp_path, labels(images, people)))
  detections = read_boxes(
    _write(tmp_path, [person | {"file_name": i["file_name"]} for i in images])
  )
  both = read_boxes(
    _write(tmp_path, [person | i | {"image_id": i["id"]} for i in images])
  )
  for read, keys in (
    (annotations, [7, 8]),
    (detections, ["cam1/a.jpg", "cam2/a.jpg"]),
    (both, [7, 8]),
  ):
    given = [pathlib.Path(f"any/{folder}/a.jpg") for folder in ("cam1", "cam2")]
    assert [read.key(path) for path in given] == keys
    assert all(len(read.of(key)[0]) == 1 for key in keys)
    with pytest.raises(ValueError, match=r"any of \['cam1/a\.jpg', 'cam2"):
      read.key(pathlib.Path("cam3/a.jpg"))


@pytest.mark.parametrize("named", [False, True])
def test_detectors_may_name_files_by_their_stem(tmp_path, named):
  # As Ultralytics: the stem, a number where it is one, lately the name too.
  person = {"bbox": [1, 2, 3, 4]}
  ids = {"IMG_1.jpg": "IMG_1", "007.png": 7, "a.b.jpg": "a.b"}
  records = [
    person | {"image_id": i} | ({"file_name": name} if named else {})
    for name, i in ids.items()
  ]
  read = read_boxes(_write(tmp_path, records))
  for name in ids:
    key = read.key(pathlib.Path(f"photos/{name}"))
    assert len(read.of(key)[0]) == 1
  assert read.key(pathlib.Path("IMG_2.jpg")) is None
  assert "the nearest name is IMG_1" in read.hint(pathlib.Path("IMG_2.jpg"))


def test_photographs_are_found_by_the_names_of_images(tmp_path):
  content = labels(
    [{"id": 5, "file_name": "val\\b.jpg", "width": 9, "height": 8}],
    [{"image_id": 5.0, "bbox": [1, 2, 3, 4]}],
  )
  read = read_boxes(_write(tmp_path, content))
  assert read.key(pathlib.Path("b.JPG")) == 5
  assert len(read.of(5)[0]) == 1
  assert read.sizes == {5: (8, 9)}


def test_without_names_photographs_are_named_by_their_id(tmp_path):
  read = read_boxes(_write(tmp_path, [{"image_id": 1, "bbox": [1, 2, 3, 4]}]))
  assert read.key(pathlib.Path("000000000001.jpg")) == 1
  assert read.key(pathlib.Path("alice.jpg")) is None


def test_boxes_without_a_size_are_left_out_with_a_warning(tmp_path, caplog):
  path = _write(
    tmp_path,
    [
      {"image_id": 0, "bbox": [1, 2, 0, 4]},
      {"image_id": 0, "bbox": [1, 2, 3, 4]},
    ],
  )
  with caplog.at_level(logging.WARNING):
    read = read_boxes(path)
  assert len(read.of(0)[0]) == 1
  assert "1 boxes without a size" in caplog.text


def test_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.json"):
    read_boxes(tmp_path / "none.json")


@pytest.mark.parametrize(
  ("content", "match"),
  [
    ("{", "not valid json in line 1, column 2"),
    ({"boxes": []}, r"got dict with \['boxes'\]"),
    ({"images": {}}, "'images' must be a list"),
    (
      [{"image_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": "no"}],
      "'iscrowd' must",
    ),
    ("3", "got int"),
    ([{"image_id": 1}], r"box 0 has no \['bbox'\]"),
    ([{"bbox": [1, 2, 3, 4]}], r"image_id \(or file_name\)"),
    ([{"image_id": 1, "bbox": [1, 2, 3]}], "box 0: 'bbox' must"),
    (
      [{"image_id": 1.5, "bbox": [1, 2, 3, 4]}],
      "'image_id' must be an integer or a text, got 1.5",
    ),
    ([{"image_id": 1, "bbox": [1, 2, 3, 4], "score": "x"}], "'score' must"),
    ([1, 2], "box 0 has no .* got 1;"),
    (
      {"images": [{"id": 1}], "annotations": [], "categories": []},
      "image 1 needs an 'id' .* and a 'file_name'",
    ),
  ],
)
def test_other_files_are_refused(tmp_path, content, match):
  with pytest.raises(ValueError, match=match):
    read_boxes(_write(tmp_path, content))

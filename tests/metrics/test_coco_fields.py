"""One reading of each field of a json, whatever type a tool wrote."""

import json
import math

import pytest

from darkjax.metrics import coco_annotations, coco_fields, coco_problems

IMAGES = {1: {"id": 1, "file_name": "1.jpg"}}
PERSON = {
  "id": 7,
  "image_id": 1,
  "category_id": 1,
  "bbox": [10.0, 20.0, 30.0, 40.5],
  "area": 600.5,
  "iscrowd": 0,
  "num_keypoints": 2,
  "keypoints": [12.5, 30.0, 2, 0, 0, 0, 20, 40, 1],
}
NAN = float("nan")


def read(**changes):
  return coco_fields.read_annotation({**PERSON, **changes})


def problems(**changes):
  found = coco_problems.find_problems(read(**changes), 3, IMAGES)
  return [problem.rule for problem in found]


@pytest.mark.parametrize(
  "changes",
  [
    {"bbox": ["10", "20.0", "30", "40.5"], "area": " 600.5 "},
    {"keypoints": ["12.5", "30", "2", "0", "0", "0", "20", "40", "1.0"]},
    {"keypoints": [[12.5, 30.0, 2], [0, 0, 0], [20, 40, 1]]},
    {"keypoints": [[12.5, "30", 2], [0, 0, 0], [20, 40, "1"]]},
    {"keypoints": [12.5, 30.0, 2, None, None, 0, 20, 40, 1]},
    {"keypoints": [12.5, 30.0, 2, NAN, NAN, NAN, 20, 40, 1]},
    {"keypoints": [12.5, 30.0, 2, NAN, NAN, 0.0, 20, 40, 1]},
    {"iscrowd": "0"},
    {"iscrowd": False},
    {"iscrowd": None},
    {"iscrowd": 0.0},
    {"id": 7.0, "image_id": 1.0, "category_id": 1.0},
    {"num_keypoints": "2"},
    {"score": None},
  ],
  ids=str,
)
def test_what_means_the_same_reads_the_same(changes):
  assert read(**changes) == PERSON
  assert problems(**changes) == []


@pytest.mark.parametrize(
  ("changes", "rule"),
  [
    ({"bbox": ["wide", 1, 2, 3]}, "box"),
    ({"bbox": [True, 1, 2, 3]}, "box"),
    ({"bbox": [None, 1, 2, 3]}, "box"),
    ({"bbox": {"x": 1}}, "box"),
    ({"bbox": ["4_1", 1, 2, 3]}, "box"),
    ({"bbox": [0, 0, 10**400, 5], "area": None}, "box"),
    ({"keypoints": [10**400, 1, 2] * 3}, "keypoints"),
    ({"bbox": "10, 20, 30, 40"}, "box"),
    ({"area": [600.5]}, "area"),
    ({"area": True}, "area"),
    ({"area": NAN}, "area"),
    ({"area": "nan"}, "area"),
    ({"area": -1}, "area"),
    ({"iscrowd": 2}, "crowd"),
    ({"iscrowd": "no"}, "crowd"),
    ({"iscrowd": [0]}, "crowd"),
    ({"id": None}, "id"),
    ({"id": 7.5}, "id"),
    ({"id": True}, "id"),
    ({"image_id": "1"}, "image"),
    ({"image_id": True}, "image"),
    ({"image_id": None}, "image"),
    ({"image_id": [1]}, "image"),
    ({"keypoints": [1, 1, 2] * 2}, "keypoints"),
    ({"keypoints": [1, 1] * 3}, "keypoints"),
    ({"keypoints": [1, 1, True] * 3}, "keypoints"),
    ({"keypoints": [1, None, 2] * 3}, "keypoints"),
    ({"keypoints": [1, NAN, 2] * 3}, "keypoints"),
    ({"keypoints": ["x", 1, 2] * 3}, "keypoints"),
    ({"keypoints": "1 1 2"}, "keypoints"),
    ({"keypoints": {"nose": [1, 1, 2]}}, "keypoints"),
    ({"keypoints": [[1, 1]] * 3}, "keypoints"),
    ({"keypoints": [1, 1, 3] * 3}, "visibility"),
    ({"keypoints": [1, 1, 0.87] * 3}, "visibility"),
    ({"keypoints": [1, 1, -1] * 3}, "visibility"),
    ({"score": "high"}, "score"),
    ({"score": True}, "score"),
  ],
  ids=str,
)
def test_what_has_no_meaning_is_named(changes, rule):
  assert problems(**changes) == [rule]


@pytest.mark.parametrize("value", [None, []])
def test_people_without_keypoints_are_unlabelled(value):
  assert read(keypoints=value)["keypoints"] == []
  assert problems(keypoints=value) == []


@pytest.mark.parametrize("value", [None, "none"])
def test_missing_boxes_and_areas_are_filled_in(value):
  person = {**PERSON, "bbox": None, "area": None}
  if value:
    del person["bbox"], person["area"]
  filled = coco_fields.read_annotation(person)
  # Keypoints span 12.5..20 and 30..40; a tenth of 10 px is 1 px.
  assert filled["bbox"] == [11.5, 29.0, 9.5, 12.0]
  assert math.isclose(filled["area"], 0.53 * 9.5 * 12.0)
  assert filled["filled"] == ["bbox", "area"]
  assert coco_fields.read_annotation(filled) == filled
  assert read()["area"] == PERSON["area"]
  assert "filled" not in read()


def test_the_box_of_nobody_is_empty():
  assert read(bbox=None, keypoints=[])["bbox"] == [0, 0, 0, 0]


def content(image_ids, annotation_ids, image_id_of):
  return {
    "images": [{"id": i, "file_name": f"{i}.jpg"} for i in image_ids],
    "annotations": [
      {**PERSON, "id": a, "image_id": i}
      for a, i in zip(annotation_ids, image_id_of, strict=True)
    ],
    "categories": [{"id": 1, "name": "doll", "keypoints": ["a", "b", "c"]}],
  }


def test_ids_that_are_no_64_bit_integers_are_numbered():
  file = content(["a", 0, 2**70], ["p", 1], ["a", 2**70])
  read = coco_annotations.read_sections(file)
  assert [image["id"] for image in read["images"]] == [1, 0, 2]
  assert [p["image_id"] for p in read["annotations"]] == [1, 2]
  assert [p["id"] for p in read["annotations"]] == [0, 1]
  images, people = read["images"], read["annotations"]
  assert [*map(coco_fields.id_in_file, images)] == ["a", 0, 2**70]
  assert [*map(coco_fields.id_in_file, people)] == ["p", 1]
  assert coco_annotations.read_sections(read) == read


def test_a_category_id_used_twice_is_refused():
  file = content([1], [1], [1])
  file["categories"].append({"id": 1, "name": "dog"})
  with pytest.raises(ValueError, match="category id 1 is used 2 times"):
    coco_annotations.read_sections(file)


def test_lists_with_something_else_are_named():
  file = content([1], [1], [1])
  file["images"].append(None)
  with pytest.raises(ValueError, match="got a list with None in it"):
    coco_annotations.read_sections(file)


def test_integer_ids_stay():
  file = content([5, 3], [9, 1], [3, 5])
  read = coco_annotations.read_sections(file)
  assert [image["id"] for image in read["images"]] == [5, 3]
  assert not any("id_in_file" in image for image in read["images"])


@pytest.mark.parametrize(
  ("image_ids", "image_id_of", "message"),
  [
    ([1, 2], "1", r"'1' \(text\) is not among .* first is 1 \(number\)"),
    (["1", "2"], 1, r"1 \(number\) is not among .* first is '1' \(text\)"),
    (["0", "1"], 0, r"0 \(number\) is not among .* first is '0' \(text\)"),
  ],
)
def test_ids_of_two_types_do_not_match(image_ids, image_id_of, message):
  read = coco_annotations.read_sections(content(image_ids, [1], [image_id_of]))
  images = coco_annotations.index_images(read["images"], None)
  with pytest.raises(ValueError, match=message):
    coco_annotations.check_annotations(read["annotations"], 3, images, None)


@pytest.mark.parametrize("ids", [[1, 1], ["a", "a"]])
def test_ids_of_two_images_are_refused(ids):
  read = coco_annotations.read_sections(content(ids, [1], [ids[0]]))
  with pytest.raises(ValueError, match=f"image id {ids[0]!r} is used 2 times"):
    coco_annotations.index_images(read["images"], None)


@pytest.mark.parametrize(
  ("width", "problem"),
  [("48", False), (48.0, False), (None, False), ("wide", True), (4.5, True)],
)
def test_sizes_are_read_or_refused(width, problem):
  file = content([1], [1], [1])
  file["images"][0] |= {"width": width, "height": 64}
  images = coco_annotations.read_sections(file)["images"]
  if problem:
    with pytest.raises(ValueError, match="'width' must be a whole number"):
      coco_annotations.index_images(images, None)
  else:
    index = coco_annotations.index_images(images, None)
    assert index[1]["width"] == (48 if width else None)


def test_the_file_ids_of_images_are_kept_for_results(tmp_path):
  path = tmp_path / "a.json"
  path.write_text(json.dumps(content(["x", "y"], [1], ["y"])))
  assert coco_annotations.image_ids_in_file(path) == {0: "x", 1: "y"}


@pytest.mark.parametrize("bbox", [[1, 2, -5, 5], [1, 2, 5, -5], [1, 2, -5, -5]])
def test_no_area_is_made_of_a_box_with_negative_sides(bbox):
  assert read(bbox=bbox, area=None)["area"] is None
  assert problems(bbox=bbox, area=None) == ["box"]

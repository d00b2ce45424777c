"""`check` explains what it cannot use: no file and no option makes it crash."""

import json

import check_folder
import commands
import numpy as np
import pytest

from darkjax import skeletons
from darkjax.data.check import report as check
from darkjax.data.check.rules import ERROR
from darkjax.data.coco import reader


def findings(folder, labels, **options) -> dict:
  report = check.check(check_folder.write(folder, labels), **options)
  assert isinstance(report.text(), str)
  json.dumps(report.to_json(), allow_nan=False)
  return {finding.rule: finding for finding in report.findings}


@pytest.mark.parametrize(
  ("field", "value", "rule"),
  [
    ("id", [1], "id-refused"),
    ("id", float("nan"), "id-refused"),
    ("image_id", [1], "image-refused"),
    ("image_id", {}, "image-refused"),
    ("image_id", float("nan"), "image-refused"),
    ("score", "x", "score-refused"),
    ("score", [1], "score-refused"),
    ("score", {}, "score-refused"),
    ("score", float("nan"), "score-refused"),
    ("bbox", [1, 1, 10**400, 1], "box-refused"),
    ("bbox", [1, 1, 1e39, 1], "box-refused"),  # infinite as float32
    ("area", 1e39, "area-refused"),
    ("keypoints", [1e300, 1e300, 2] * 5, "keypoints-refused"),
  ],
)
@pytest.mark.parametrize("files", [False, True])
def test_odd_people_are_refused(tmp_path, field, value, rule, files):
  labels = check_folder.content(2)
  images = check_folder.write_images(tmp_path, labels) if files else None
  labels["annotations"][0][field] = value
  assert findings(tmp_path, labels, images=images)[rule].severity == ERROR


def test_a_json_without_annotations_is_reported(tmp_path):
  labels = check_folder.content(2)
  labels["annotations"] = []
  assert [*findings(tmp_path, labels)] == ["nobody-to-train-on"]


@pytest.mark.parametrize("new_id", [10**20, "a"])
def test_ids_may_be_text_or_larger_than_64_bits(tmp_path, new_id):
  labels = check_folder.content()
  before = findings(tmp_path, labels)
  labels["images"][0]["id"] = new_id
  for person in labels["annotations"][:2]:
    person["image_id"] = new_id
  assert findings(tmp_path, labels) == before


@pytest.mark.parametrize("value", [10**20, 0, -1])
@pytest.mark.parametrize("field", ["width", "height"])
def test_sizes_that_no_image_has_are_refused(tmp_path, field, value):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  labels["images"][1][field] = value
  for options in ({}, {"images": images}):
    found = findings(tmp_path, labels, **options)
    assert [*found] == ["image-size-refused"]
    assert found["image-size-refused"].ids == (2,)


def test_file_names_may_be_numbers(tmp_path):
  labels = check_folder.content(2)
  images = check_folder.write_images(tmp_path, labels)
  labels["images"][0]["file_name"] = 7
  found = findings(tmp_path, labels, images=images)
  assert found["image-missing"].ids == ("7",)


@pytest.mark.parametrize(
  ("values", "message"),
  [
    ({"keypoints": [1, 2, 3, 4, 5]}, "names must be unique texts"),
    ({"keypoints": [1, "a", "b", "c", "d"]}, "no texts: [1]"),
    ({"flip_pairs": [[1]]}, "'flip_pairs' entry 1 of 1 is [1]; expected"),
    ({"flip_pairs": [[1, 2], [2, 3]]}, "at most one flip pair"),
    ({"flip_pairs": "x"}, "'flip_pairs' is 'x'; expected pairs [a, b]"),
    ({"lower_body": ["x"]}, "'lower_body' entry 1 of 1 is 'x', where 'x' is"),
    ({"skeleton": [[0, 1]]}, "yours seem to count from 0: add 1"),
    ({"sigmas": ["0.1"] * 4}, "'sigmas' has 4 entries; expected K=5 positive"),
  ],
)
def test_odd_categories_are_refused(tmp_path, values, message):
  labels = check_folder.content(2)
  labels["categories"][0].update(values)
  assert message in findings(tmp_path, labels)["json-refused"].text


@pytest.mark.parametrize("value", [[], [1], {}, None])
def test_odd_ids_of_categories_are_refused(tmp_path, value):
  labels = check_folder.content(2)
  labels["categories"][0]["id"] = value
  assert "needs an 'id'" in findings(tmp_path, labels)["json-refused"].text


@pytest.mark.parametrize("value", [[1], {}])
def test_odd_categories_of_annotations_are_refused(tmp_path, value):
  labels = check_folder.content(2)
  labels["annotations"][0]["category_id"] = value
  text = findings(tmp_path, labels)["json-refused"].text
  assert "annotation 101: 'category_id' must be an integer" in text


@pytest.mark.parametrize(
  ("value", "message"),
  [
    (1.5, "needs an 'id' and a list"),
    ("nose", "needs an 'id' and a list"),
    ([[1], [2]], "no texts: [[1], [2]]"),
  ],
)
def test_odd_keypoints_of_categories_are_refused(tmp_path, value, message):
  labels = check_folder.content(2)
  labels["categories"][0]["keypoints"] = value
  assert message in findings(tmp_path, labels)["json-refused"].text


def test_ids_of_categories_may_be_of_two_kinds(tmp_path):
  labels = check_folder.content()
  labels["categories"].append({**labels["categories"][0], "id": "two"})
  labels["annotations"][0]["category_id"] = "two"
  assert (
    "ids [1, 'two']" in findings(tmp_path, labels)["several-categories"].text
  )


@pytest.mark.parametrize(
  ("option", "message"),
  [
    ("--crop=256", "height x width in px, such as 256x192"),
    ("--crop=0x0", "height x width in px, such as 256x192"),
    ("--crop=256x192x3", "height x width in px, such as 256x192"),
    ("--crop=", "height x width in px, such as 256x192"),
    ("--padding=-1", "a factor above 0"),
    ("--padding=0", "a factor above 0"),
    ("--padding=nan", "a factor above 0"),
  ],
)
def test_odd_options_are_refused(tmp_path, option, message):
  path = check_folder.write(tmp_path, check_folder.content(2))
  done = commands.run("data.check", path, option)
  assert done.returncode == 2
  assert message in done.stderr
  assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"crop_size": (256,)}, "crop_size is"),
    ({"crop_size": (0, 0)}, "crop_size is"),
    ({"padding": -1.0}, "padding is"),
    ({"padding": float("nan")}, "padding is"),
  ],
)
def test_odd_crops_are_refused(tmp_path, options, message):
  path = check_folder.write(tmp_path, check_folder.content(2))
  with pytest.raises(ValueError, match=message):
    check.check(path, **options)


def test_json_has_null_for_sigmas_that_are_not_known(tmp_path):
  labels = check_folder.content()
  path = check_folder.write(tmp_path, labels)
  again = tmp_path / "again"
  again.mkdir()
  rng = np.random.default_rng(1)
  for person in labels["annotations"]:
    flat = np.reshape(person["keypoints"], (-1, 3))
    flat[:, :2] += rng.normal(size=(5, 2))
    flat[0] = 0.0  # nobody's nose is labelled twice
    person["keypoints"] = flat.ravel().tolist()
  repeated = check_folder.write(again, labels)
  done = commands.run("data.check", path, f"--repeated={repeated}", "--json")

  def refuse(constant):
    raise AssertionError(f"{constant} is not json")

  content = json.loads(done.stdout, parse_constant=refuse)
  nose, *others = content["estimated_sigmas"]["sigmas"]
  assert nose is None
  assert all(sigma > 0 for sigma in others)


@pytest.mark.parametrize(
  ("field", "attribute"),
  [("flip_pairs", "flip_pairs"), ("lower_body", "lower_body")],
)
def test_an_empty_list_counts_where_the_names_are_known(
  tmp_path, field, attribute
):
  content = check_folder.content(2)
  names = list(skeletons.LSP.keypoint_names)
  category = {"id": 1, "name": "person", "keypoints": names, field: []}
  content["categories"] = [category]
  content["annotations"] = []
  path = tmp_path / "labels.json"
  path.write_text(json.dumps(content))
  assert getattr(reader.read_content(path).skeleton, attribute) == ()


def test_ids_that_are_text_are_those_of_the_file(tmp_path):
  labels = check_folder.content()
  for image in labels["images"]:
    image["id"] = f"im{image['id']}"
  people = labels["annotations"]
  for person in people:
    person["id"], person["image_id"] = f"p{person['id']}", "im2"
  people[1]["id"] = people[0]["id"]
  people[2]["area"] = 0
  swapped = np.array(people[3]["keypoints"]).reshape(-1, 3)[[0, 2, 1, 3, 4]]
  people[3]["keypoints"] = swapped.ravel().tolist()
  del labels["images"][0]["width"]
  found = findings(tmp_path, labels)
  assert found["id-repeated"].ids == ("p101",)
  assert found["area-zero"].ids == ("p103",)
  assert found["person-twisted"].ids == ("p104",)
  assert found["many-people"].ids == ("im2",)
  assert found["image-size-unknown"].ids == ("im1",)
  labels["images"][0]["width"] = 3
  check_folder.write_images(tmp_path, labels)
  labels["images"][0]["width"] = 4
  found = findings(tmp_path, labels, images=tmp_path / "images")
  assert found["image-size"].ids == ("im1",)

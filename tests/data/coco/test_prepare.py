"""COCO-format files: what is kept, what is dropped, what is refused."""

import io
import json

import coco_folder
import numpy as np
import PIL.Image
import pytest

from darkjax import skeletons
from darkjax.data.coco import prepare
from darkjax.metrics import coco


def load(folder, what=None, **options):
  annotations, images = coco_folder.write(folder, what)
  return prepare.load(
    annotations, images, cache_dir=folder / "cache", **options
  )


def test_a_record_is_an_image_as_it_came_with_all_its_people(tmp_path):
  what = coco_folder.content(num_images=2)
  crowd = coco_folder.person(900_100_000_000, 2, iscrowd=1, keypoints=[0] * 9)
  what["annotations"].append(crowd)
  source = load(tmp_path, what)
  records = list(source.dataset().as_numpy_iterator())
  assert [r["file_name"] for r in records] == [b"1.jpg", b"2.jpg"]
  assert records[1]["image"] == (tmp_path / "images/2.jpg").read_bytes()
  assert (records[1]["height"], records[1]["width"]) == (64, 48)
  people = records[1]["people"]
  assert people["annotation_id"].tolist() == [102, 900_100_000_000]
  assert people["iscrowd"].tolist() == [False, True]
  assert people["num_keypoints"].tolist() == [3, 0]
  np.testing.assert_array_equal(people["bbox"][0], [8.0, 4.5, 30.0, 50.0])
  np.testing.assert_array_equal(
    people["keypoints"][0], [[20.25, 10.5, 2], [12, 30, 1], [31.5, 33, 2]]
  )


def test_people_without_usable_labels_are_left_out(tmp_path):
  what = coco_folder.content(num_images=1)
  person = coco_folder.person
  what["annotations"] += [
    person(201, 1, iscrowd=1),
    person(202, 1, keypoints=[5, 5, 0] * 3),
    person(203, 1, bbox=[8, 4, 0, 50]),
    person(204, 1, bbox=[48, 4, 20, 50]),  # the image is 48 px wide
    person(205, 1, bbox=[-30, 4, 30, 50]),  # ends at its left edge
    person(206, 1, area=0),
    person(207, 1, bbox=[-29, 4, 30, 50], keypoints=[1, 5, 1, *[0] * 6]),
  ]
  source = load(tmp_path, what)
  assert source.num_people == 2
  assert source.people.annotation_id.tolist() == [101, 207]
  assert source.num_images == 1


def test_images_without_people_are_kept_on_demand(tmp_path):
  what = coco_folder.content(num_images=3)
  del what["annotations"][1]
  source = load(tmp_path, what)
  assert (source.num_images, source.num_people) == (2, 2)
  assert source.people.record.tolist() == [0, 1]
  kept = load(tmp_path, what, keep_empty_images=True)
  assert (kept.num_images, kept.num_people) == (3, 2)
  assert kept.people.record.tolist() == [0, 2]


def test_prepared_once_and_again_when_the_json_changes(tmp_path):
  load(tmp_path)
  records = sorted((tmp_path / "cache").rglob("*array_record*"))
  made = [path.stat().st_mtime_ns for path in records]
  load(tmp_path)
  assert sorted((tmp_path / "cache").rglob("*array_record*")) == records
  assert [path.stat().st_mtime_ns for path in records] == made
  what = coco_folder.content()
  what["annotations"][0]["bbox"][0] = 9.5
  assert load(tmp_path, what).people.bbox[0, 0] == 9.5


def test_a_record_outlives_its_image_file(tmp_path):
  annotations, images = coco_folder.write(tmp_path)
  prepare.load(annotations, images, cache_dir=tmp_path)
  (images / "1.jpg").unlink()
  source = prepare.load(annotations, images, cache_dir=tmp_path)
  assert next(source.dataset().as_numpy_iterator())["image"][:2] == b"\xff\xd8"


def test_a_failed_build_leaves_nothing_behind(tmp_path):
  annotations, images = coco_folder.write(tmp_path)
  data = (images / "3.jpg").read_bytes()
  (images / "3.jpg").write_bytes(data[:300])
  with pytest.raises(ValueError, match=r"3\.jpg"):
    prepare.load(annotations, images, cache_dir=tmp_path / "cache")
  assert not list((tmp_path / "cache").rglob("*array_record*"))
  (folder,) = (tmp_path / "cache" / "coco_keypoints").iterdir()
  version = str(prepare.CocoKeypoints.VERSION)
  (
    folder / f"incomplete.AB12_{version}"
  ).mkdir()  # a killed process leaves this
  (images / "3.jpg").write_bytes(data)
  assert prepare.load(
    annotations, images, cache_dir=tmp_path / "cache"
  ).num_people
  assert [path.name for path in folder.iterdir()] == [version]


def test_the_default_cache_is_in_the_home(tmp_path, monkeypatch):
  monkeypatch.delenv("DARKJAX_CACHE", raising=False)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
  annotations, images = coco_folder.write(tmp_path)
  prepare.load(annotations, images, cache_dir="")
  assert list((tmp_path / "home" / "darkjax").rglob("people.npz"))


def test_skeletons_are_the_built_in_ones_where_the_names_agree(tmp_path):
  assert load(tmp_path / "doll").skeleton.flip_pairs == ((1, 2),)
  what = coco_folder.content(num_images=1)
  what["categories"][0]["keypoints"] = list(skeletons.LSP.keypoint_names)
  what["annotations"][0]["keypoints"] = [20.0, 20.0, 2] * 14
  assert load(tmp_path / "lsp", what).skeleton == skeletons.LSP
  what["categories"][0]["sigmas"] = [0.05] * 14
  own = load(tmp_path / "own", what).skeleton
  assert own.keypoint_names == skeletons.LSP.keypoint_names
  assert own.sigmas == (0.05,) * 14
  assert own.limbs == skeletons.LSP.limbs
  what["categories"][0]["skeleton"] = [[1, 2]]
  assert load(tmp_path / "drawn", what).skeleton.limbs == ((0, 1),)


def test_the_category_with_keypoints_is_read(tmp_path):
  what = coco_folder.content(num_images=1)
  what["categories"].append({"id": 7, "name": "ball"})
  ball = {"id": 5, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9]}
  what["annotations"].append(ball)
  assert load(tmp_path, what).num_people == 1
  what["categories"][1]["keypoints"] = ["top", "bottom"]
  with pytest.raises(ValueError, match=r"several categories.*category="):
    load(tmp_path, what)
  assert load(tmp_path, what, category="doll").skeleton.num_keypoints == 3


def test_categories_of_other_keypoints_are_a_choice(tmp_path):
  what = coco_folder.with_balls(coco_folder.content())
  ball = load(tmp_path, what, category="ball")
  assert (ball.category_ids, ball.num_people) == ((7,), 2)
  assert ball.people.annotation_id.tolist() == [301, 302]
  doll = load(tmp_path, what, category="doll")
  assert (doll.category_ids, doll.num_people) == ((1,), 3)
  # A checkpoint's keypoints decide where nothing is said, and only there.
  assert load(tmp_path, what, skeleton=ball.skeleton).category_ids == (7,)
  assert load(tmp_path, what, skeleton=doll.skeleton).category_ids == (1,)
  named = load(tmp_path, what, category="doll", skeleton=ball.skeleton)
  assert named.category_ids == (1,)
  with pytest.raises(ValueError, match=r"'doll', 3.*'ball', 2.*checkpoint"):
    load(tmp_path, what, skeleton=skeletons.COCO)


def test_a_skeleton_without_a_choice_finds_the_same_records(tmp_path):
  doll = load(tmp_path).skeleton
  load(tmp_path, skeleton=doll)
  load(tmp_path, category="", skeleton=skeletons.COCO)
  assert len(list((tmp_path / "cache" / "coco_keypoints").iterdir())) == 1


def encoded(kind: str, mode: str) -> bytes:
  image = PIL.Image.fromarray(coco_folder.image(64, 48)).convert(mode)
  buffer = io.BytesIO()
  image.save(buffer, kind)
  return buffer.getvalue()


@pytest.mark.parametrize(
  ("kind", "mode"),
  [
    ("jpeg", "L"),
    ("jpeg", "CMYK"),
    ("png", "P"),
    ("png", "RGBA"),
    ("png", "1"),
  ],
)
def test_other_images_are_taken(tmp_path, kind, mode):
  annotations, images = coco_folder.write(tmp_path)
  (images / "2.jpg").write_bytes(encoded(kind, mode))
  source = prepare.load(annotations, images, cache_dir=tmp_path)
  assert source.num_images == coco_folder.content()["images"][-1]["id"]


def drop(*keys):
  def change(what):
    for key in keys[:-1]:
      what = what[key]
    del what[keys[-1]]

  return change


def put(*path_and_value):
  def change(what):
    *path, last, value = path_and_value
    for key in path:
      what = what[key]
    what[last] = value

  return change


PERSON = ("annotations", 1)

BAD_JSON = {
  "no categories": (drop("categories"), "'categories' must be a list"),
  "no keypoint names": (drop("categories", 0, "keypoints"), "person_keypoints"),
  "repeated names": (
    put("categories", 0, "keypoints", ["a", "a", "b"]),
    "must be unique",
  ),
  "far limb": (
    put("categories", 0, "skeleton", [[1, 9]]),
    r"'skeleton' entry 1 of 1 is \[1, 9\], where 9 is no keypoint",
  ),
  "K mismatch": (
    put(*PERSON, "keypoints", [1, 1, 2] * 4),
    r"annotation 102.*K=3 keypoints \(9 numbers\), got 12",
  ),
  "words": (put(*PERSON, "keypoints", ["x"] * 9), "annotation 102.*keypoints"),
  "NaN": (put(*PERSON, "keypoints", 3, float("nan")), "annotation 102.*NaN"),
  "visibility": (
    put(*PERSON, "keypoints", 2, 3),
    "annotation 102.*2 .visible., got",
  ),
  "NaN box": (put(*PERSON, "bbox", 0, float("nan")), "annotation 102.*'bbox'"),
  "short box": (put(*PERSON, "bbox", [1, 2, 3]), "annotation 102.*'bbox'"),
  "odd area": (put(*PERSON, "area", [5]), r"annotation 102.*'area'.*0\.53"),
  "unknown image": (put(*PERSON, "image_id", 77), "annotation 102.*77"),
  "repeated id": (put(*PERSON, "id", 101), "annotation id 101 is used 2 times"),
  "repeated image": (put("images", 1, "id", 1), "image id 1 is used 2 times"),
  "no file name": (
    drop("images", 1, "file_name"),
    "image 2 needs.*'file_name'",
  ),
  "wrong size": (
    put("images", 1, "width", 50),
    r"image 2\.jpg should be",
  ),
  "nobody": (put("annotations", []), "annotates nobody"),
  "no images": (lambda w: w.update(images=[], annotations=[]), "nobody"),
  "only crowds": (
    lambda w: [a.update(iscrowd=1) for a in w["annotations"]],
    "nobody to train on or to score: of 3 people left out: 3 crowds",
  ),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_annotations_are_refused(tmp_path, name):
  change, message = BAD_JSON[name]
  annotations, images = coco_folder.write(tmp_path)
  what = json.loads(annotations.read_text())
  change(what)
  annotations.write_text(json.dumps(what))
  with pytest.raises(ValueError, match=f"(?s)annotations.json.*{message}"):
    prepare.load(annotations, images, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
  "name",
  [
    "K mismatch",
    "words",
    "NaN",
    "visibility",
    "NaN box",
    "short box",
    "odd area",
    "unknown image",
    "repeated image",
  ],
)
def test_scoring_refuses_annotations_in_the_same_words(tmp_path, name):
  annotations, images = coco_folder.write(tmp_path)
  what = json.loads(annotations.read_text())
  BAD_JSON[name][0](what)
  annotations.write_text(json.dumps(what))
  with pytest.raises(ValueError, match=r"annotations\.json") as training:
    prepare.load(annotations, images, cache_dir=tmp_path / "cache")
  with pytest.raises(ValueError, match=r"annotations\.json") as scoring:
    coco.average_precision(annotations, [], sigmas=[0.05] * 3)
  assert str(scoring.value) == str(training.value)


def test_all_bad_annotations_are_counted(tmp_path):
  what = coco_folder.content(num_images=8)
  for annotation in what["annotations"]:
    annotation["bbox"] = "wide"
  with pytest.raises(ValueError, match=r"8 problem(?s:.*)102(?s:.*)and 3 more"):
    load(tmp_path, what)


@pytest.mark.parametrize(
  ("text", "message"),
  [("{", "not valid json"), ("[]", "must hold a dictionary"), ("\xff", "json")],
)
def test_malformed_json_is_refused(tmp_path, text, message):
  annotations, images = coco_folder.write(tmp_path)
  annotations.write_text(text, encoding="latin-1")
  with pytest.raises(ValueError, match=f"annotations.json.*{message}"):
    prepare.load(annotations, images, cache_dir=tmp_path)


def test_missing_files_are_named(tmp_path):
  annotations, images = coco_folder.write(tmp_path)
  (images / "2.jpg").unlink()
  with pytest.raises(FileNotFoundError, match=r"2\.jpg"):
    prepare.load(annotations, images, cache_dir=tmp_path)
  annotations.unlink()
  with pytest.raises(FileNotFoundError, match=r"annotations\.json"):
    prepare.load(annotations, images, cache_dir=tmp_path)


def bomb() -> bytes:
  """A PNG that claims 30000 x 30000 pixels."""
  data = bytearray(encoded("png", "RGB"))
  data[16:24] = (30_000).to_bytes(4, "big") * 2
  return bytes(data)


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (b"hello", "not an image"),
    (b"", "not an image"),
    (encoded("jpeg", "RGB")[:700], "truncated"),
    (encoded("jpeg", "RGB")[:-2], "truncated"),
    (encoded("png", "RGB")[:-40], "truncated"),
    (bomb(), "not an image|more than the limit"),
  ],
  ids=["text", "empty", "jpeg", "jpeg end", "png", "bomb"],
)
def test_bad_images_are_refused(tmp_path, data, message):
  annotations, images = coco_folder.write(tmp_path)
  (images / "2.jpg").write_bytes(data)
  with pytest.raises(ValueError, match=rf"2\.jpg.*({message})"):
    prepare.load(annotations, images, cache_dir=tmp_path)


# Counts of the README beside the data; of the 14 people of coco_detections 2
# have no labelled keypoint.
@pytest.mark.parametrize(
  ("annotations", "images", "counts"),
  [
    (
      "coco/annotations/person_keypoints_train2017.json",
      "coco/train2017",
      (45, 261),
    ),
    (
      "coco_detections/person_keypoints.json",
      "coco_detections/images",
      (4, 12),
    ),
  ],
)
def test_real_data(test_data, tmp_path, annotations, images, counts):
  source = prepare.load(
    test_data / annotations, test_data / images, cache_dir=tmp_path
  )
  assert (source.num_images, source.num_people) == counts
  assert source.skeleton == skeletons.COCO

"""`check`: no findings in clean data, and each flaw gives its own."""

import json

import check_folder
import numpy as np
import PIL.Image
import pytest
from check_command import run

from darkjax.data.check import report as check
from darkjax.data.check.rules import ERROR, NOTE, WARNING


def find_rules(folder, labels, **options) -> dict[str, tuple]:
  """(severity, ids) by rule."""
  report = check.check(check_folder.write(folder, labels), **options)
  return {f.rule: (f.severity, f.ids) for f in report.findings}


def test_a_clean_data_set_gives_nothing(tmp_path):
  labels = check_folder.content()
  path = check_folder.write(tmp_path, labels)
  report = check.check(path, check_folder.write_images(tmp_path, labels))
  assert report.findings == ()
  assert report.exit_status == 0
  assert "0 errors, 0 warnings, 0 notes: ready to train on" in report.text()


def test_counts_are_those_of_the_data(tmp_path):
  path = check_folder.write(tmp_path, check_folder.content())
  summary = check.check(path).summary
  # 40 images with a medium and a large person; the medium one has no nose.
  assert summary["images"] == {"all": 40, "with_people": 40, "most_people": 2}
  assert summary["people"]["to_train_on"] == 80
  assert summary["areas"] == {"small": 0, "medium": 40, "large": 40}
  nose, left, *_, hip = summary["keypoints"]
  assert (nose["labelled"], left["labelled"], hip["hidden"]) == (40, 80, 80)
  assert (nose["partner"], left["partner"]) == (None, "right_shoulder")
  assert (nose["sigma"], nose["sigma_is_default"]) == (0.03, False)
  # Crops of the smaller half are enlarged: about 123 px of 1.25 · 106 px high.
  assert (summary["boxes"]["enlarged"], summary["boxes"]["keypoints"]) == (
    40,
    360,
  )
  assert summary["boxes"]["keypoints_outside_box"] == 0
  assert summary["boxes"]["size_unknown"] == 0


def change(**values):
  """Sets fields of the first person."""
  return lambda labels: labels["annotations"][0].update(values)


def everybody(edit):
  """Applies an edit to every annotation."""
  return lambda labels: [edit(person) for person in labels["annotations"]]


def keypoint(k: int, values, person: int = 0):
  """Sets (x, y, visibility) of keypoint k of a person."""

  def edit(labels):
    labels["annotations"][person]["keypoints"][3 * k : 3 * k + 3] = values

  return edit


def category(**values):
  return lambda labels: labels["categories"][0].update(values)


def in_everybody(k: int, values):
  def edit(person):
    person["keypoints"][3 * k : 3 * k + 3] = values
    del person["num_keypoints"]

  return everybody(edit)


def divide(person):
  flat = np.array(person["keypoints"]).reshape(-1, 3)
  flat[:, :2] /= [check_folder.WIDTH, check_folder.HEIGHT]
  person["keypoints"] = flat.ravel().tolist()
  person["bbox"] = (np.array(person["bbox"]) / check_folder.WIDTH).tolist()


def to_corners(person):
  x, y, w, h = person["bbox"]
  person["bbox"] = [x, y, x + w, y + h]


def flags(value):
  def edit(person):
    flat = np.array(person["keypoints"]).reshape(-1, 3)
    flat[flat[:, 2] > 0, 2] = value
    person["keypoints"] = flat.ravel().tolist()

  return edit


def swap(a: int, b: int):
  """Two keypoints trade places in a person."""

  def edit(person):
    flat = np.array(person["keypoints"]).reshape(-1, 3)
    flat[[a, b]] = flat[[b, a]]
    person["keypoints"] = flat.ravel().tolist()

  return edit


def add_twin(labels):
  twin = {**labels["annotations"][1], "id": 999}
  flat = np.array(twin["keypoints"]).reshape(-1, 3)
  flat[:, 0] += 1.0  # one pixel of 200
  labels["annotations"].append({**twin, "keypoints": flat.ravel().tolist()})


def add_crowd(labels):
  labels["annotations"].append(
    {**labels["annotations"][1], "id": 999, "iscrowd": 1}
  )


def one_image(labels):
  for person in labels["annotations"][:21]:
    person["image_id"] = 1
    shift = 3.0 * (person["id"] - 101)
    flat = np.array(person["keypoints"]).reshape(-1, 3)
    flat[flat[:, 2] > 0, 1] += shift
    person["keypoints"] = flat.ravel().tolist()
    person["bbox"][1] += shift


def second_category(labels):
  labels["categories"].append(
    {**labels["categories"][0], "id": 2, "name": "bear"}
  )
  labels["annotations"][5]["category_id"] = 2


def rare_nose(labels):
  for person in labels["annotations"][1:60]:
    person["keypoints"][:3] = [0, 0, 0]
    del person["num_keypoints"]


FIRST = (101,)
EVERYBODY = tuple(range(101, 181))

# flaw: (edit, rule, severity, ids or None where the finding names nobody)
FLAWS = {
  "no id": (change(id=None), "id-refused", ERROR, ("number 0",)),
  "id twice": (change(id=102), "id-repeated", ERROR, (102,)),
  "unknown image": (change(image_id=77), "image-refused", ERROR, FIRST),
  "no box": (change(bbox=None), "bbox-missing", WARNING, FIRST),
  "no area": (change(area=None), "area-missing", WARNING, FIRST),
  "odd box": (change(bbox=[1, 2, 3]), "box-refused", ERROR, FIRST),
  "odd area": (change(area=-1), "area-refused", ERROR, FIRST),
  "odd crowd": (change(iscrowd=2), "crowd-refused", ERROR, FIRST),
  "K": (change(keypoints=[1, 1, 2]), "keypoints-refused", ERROR, FIRST),
  "NaN": (
    keypoint(1, [float("nan"), 1, 2]),
    "keypoints-refused",
    ERROR,
    FIRST,
  ),
  "flag": (keypoint(1, [70, 70, 3]), "visibility-refused", ERROR, FIRST),
  "origin": (keypoint(1, [0, 0, 2]), "labelled-at-origin", WARNING, FIRST),
  "v=0": (keypoint(0, [90, 50, 0]), "unlabelled-with-place", NOTE, FIRST),
  "v=0 often": (
    in_everybody(0, [90, 50, 0]),
    "unlabelled-with-place",
    WARNING,
    EVERYBODY,
  ),
  "never": (in_everybody(0, [0, 0, 0]), "keypoint-never-labelled", WARNING, ()),
  "rarely": (rare_nose, "keypoint-rarely-labelled", NOTE, ()),
  "beside": (keypoint(2, [-30, 70, 2]), "keypoint-outside-image", NOTE, FIRST),
  "outside crop": (
    keypoint(2, [250, 70, 2]),
    "keypoint-outside-crop",
    NOTE,
    FIRST,
  ),
  "shares": (everybody(divide), "coordinates-normalised", WARNING, EVERYBODY),
  "never 1": (everybody(flags(2)), "visibility-never-1", NOTE, ()),
  "never 2": (everybody(flags(1)), "visibility-never-2", NOTE, ()),
  "flat box": (
    change(bbox=[60, 60, 0, 90]),
    "box-without-size",
    WARNING,
    FIRST,
  ),
  "box beside": (
    change(bbox=[400, 60, 50, 90]),
    "box-outside-image",
    WARNING,
    FIRST,
  ),
  "box over": (change(bbox=[-5, 30, 140, 110]), "box-over-edge", NOTE, FIRST),
  "corners": (everybody(to_corners), "box-corners", WARNING, None),
  "area 0": (change(area=0), "area-zero", WARNING, FIRST),
  "area": (change(area=90000.0), "area-above-box", WARNING, FIRST),
  "area of box": (
    everybody(lambda p: p.update(area=p["bbox"][2] * p["bbox"][3])),
    "area-of-box",
    NOTE,
    (),
  ),
  "nobody medium": (
    lambda w: w.update(annotations=w["annotations"][1::2]),
    "no-medium-people",
    NOTE,
    (),
  ),
  "nobody large": (
    lambda w: w.update(annotations=w["annotations"][::2]),
    "no-large-people",
    NOTE,
    (),
  ),
  "nobody": (
    everybody(lambda p: p.update(keypoints=[0] * 15, num_keypoints=0)),
    "nobody-to-train-on",
    ERROR,
    (),
  ),
  "categories": (second_category, "several-categories", NOTE, ()),
  "count": (change(num_keypoints=0), "num-keypoints", WARNING, FIRST),
  "other count": (change(num_keypoints=3), "num-keypoints", WARNING, FIRST),
  "twice": (add_twin, "person-twice", WARNING, (999,)),
  "crowd": (add_crowd, "crowd-with-labels", WARNING, (999,)),
  "many": (one_image, "many-people", NOTE, (1,)),
  "names": (
    category(keypoints=["nose", "left_a", "right_b", "left_hip", "right_hip"]),
    "side-without-partner",
    WARNING,
    (),
  ),
  "no sides": (
    category(keypoints=list("abcde")),
    "no-flip-pairs",
    WARNING,
    (),
  ),
  "no sides, null": (
    category(keypoints=list("abcde"), flip_pairs=None),
    "no-flip-pairs",
    WARNING,
    (),
  ),
  "a side alone": (
    category(keypoints=["nose", "LAnkle", "RKnee", "left_hip", "right_hip"]),
    "side-without-partner",
    WARNING,
    (),
  ),
  "looks like a pair": (
    category(keypoints=["nose", "L5", "R5", "left_hip", "right_hip"]),
    "pair-not-recognised",
    WARNING,
    (),
  ),
  "pairs": (
    category(flip_pairs=[[1, 4], [3, 2]]),
    "flip-pairs-against-names",
    WARNING,
    (),
  ),
  "swapped names": (everybody(swap(3, 4)), "pair-swapped", WARNING, ()),
  "swapped hips": (
    lambda w: swap(3, 4)(w["annotations"][1]),
    "person-twisted",
    NOTE,
    (102,),
  ),
  "sigmas": (
    lambda w: w["categories"][0].update(
      sigmas=None, keypoints=["tip", *check_folder.NAMES[1:]]
    ),
    "sigma-default",
    NOTE,
    (),
  ),
  "sigmas of 1": (category(sigmas=["1"] * 5), "sigma-far", WARNING, ()),
  "file twice": (
    lambda w: w["images"][1].update(file_name="1.png"),
    "file-name-repeated",
    WARNING,
    ("1.png",),
  ),
  "no sizes": (
    lambda w: w["images"][1].pop("width"),
    "image-size-unknown",
    NOTE,
    (2,),
  ),
}

# What a flaw brings with it besides its own finding.
ALSO = {
  "origin": {"keypoint-outside-crop", "person-twisted"},
  "v=0 often": {"keypoint-never-labelled"},
  "beside": {"keypoint-outside-crop"},
  "outside crop": {"person-twisted"},
  "shares": {"area-above-box"},
  "corners": {"box-over-edge"},
  "nobody large": {"keypoint-never-labelled"},
  "many": {"person-twice"},
  "pairs": {"pair-swapped"},
}


@pytest.mark.parametrize("name", FLAWS)
def test_each_flaw_gives_its_finding(tmp_path, name):
  edit, rule, severity, ids = FLAWS[name]
  labels = check_folder.content()
  edit(labels)
  rules = find_rules(tmp_path, labels)
  assert rule in rules
  assert rules[rule][0] == severity
  assert ids is None or rules[rule][1] == ids
  assert set(rules) - {rule} == ALSO.get(name, set())


def test_an_empty_list_of_pairs_says_that_there_are_none(tmp_path):
  labels = check_folder.content()
  category(keypoints=list("abcde"), flip_pairs=[])(labels)
  assert find_rules(tmp_path, labels) == {}


@pytest.mark.parametrize(
  "names",
  [("a", "b", "c", "d", "e"), ("nose", "point_56", "point_60", "p", "q")],
)
def test_pairs_by_number_have_no_direction(tmp_path, names):
  labels = check_folder.content()
  category(keypoints=list(names), flip_pairs=[[1, 2], [4, 3]])(labels)
  assert find_rules(tmp_path, labels) == {}
  # In one of 80, which pairs with sides would call twisted.
  swap(3, 4)(labels["annotations"][1])
  assert find_rules(tmp_path, labels) == {}


def test_pairs_by_name_may_stand_in_any_order(tmp_path):
  labels = check_folder.content()
  category(flip_pairs=[[2, "left_shoulder"], ["left_hip", "right_hip"]])(labels)
  assert find_rules(tmp_path, labels) == {}
  everybody(swap(3, 4))(labels)
  assert set(find_rules(tmp_path, labels)) == {"pair-swapped"}


def test_errors_and_warnings_set_the_exit_status(tmp_path):
  for edit, _, severity, _ in (FLAWS["K"], FLAWS["origin"], FLAWS["never 1"]):
    labels = check_folder.content()
    edit(labels)
    report = check.check(check_folder.write(tmp_path, labels))
    assert report.exit_status == (severity != NOTE)


def test_image_files_are_compared_with_the_json(tmp_path):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  (images / "1.png").unlink()
  (images / "2.png").write_text("no picture")
  PIL.Image.new("L", (300, 400)).save(images / "3.png")  # turned
  labels["annotations"] = labels["annotations"][2:]  # nobody is in image 1
  rules = find_rules(tmp_path, labels, images=images)
  assert rules == {
    "image-missing": (NOTE, ("1.png",)),
    "image-unreadable": (ERROR, (2,)),
    "image-size": (ERROR, (3,)),
  }
  (images / "4.png").unlink()
  rules = find_rules(tmp_path, labels, images=images)
  assert rules["image-missing"] == (ERROR, ("4.png",))


def test_files_of_other_names_are_found_or_hinted_at(tmp_path):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  path = check_folder.write(tmp_path, labels)
  (found,) = check.check(path, tmp_path).findings
  assert (found.rule, found.severity) == ("file-name-guessed", NOTE)
  assert "40 image files are found by another name" in found.text
  assert "images/1.png for 1.png" in found.text
  for entry in labels["images"]:
    entry["file_name"] = ".\\" + entry["file_name"]
  path = check_folder.write(tmp_path, labels)
  assert not check.check(path, images).findings
  labels["images"][4]["file_name"] = "five.png"
  path = check_folder.write(tmp_path, labels)
  (missing,) = check.check(path, images).findings
  assert "of five.png the nearest name is " in missing.text
  with pytest.raises(FileNotFoundError, match="no folder of images"):
    check.check(path, tmp_path / "nowhere")


def test_turned_photographs_are_warned_of(tmp_path):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  for n, orientation in ((3, 6), (4, 3), (5, 8)):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.new("L", (400, 300)).save(images / f"{n}.png", exif=exif)
  path = check_folder.write(tmp_path, labels)
  (turned,) = check.check(path, images).findings
  assert (turned.rule, turned.severity) == ("image-turned", WARNING)
  assert turned.ids == ("3.png", "4.png", "5.png")
  # By hand: of 6 and 8 the json has the size as stored, of 3 both are alike.
  assert "3 image files" in turned.text
  assert "1 of 3, 1 of 6, 1 of 8" in turned.text
  assert "of 1 no size in the json says" in turned.text
  assert not check.check(path, images, upright=False).findings
  (wrong,) = check.check(path, images, upright=True).findings
  assert (wrong.rule, wrong.ids) == ("image-size", (3, 5))
  assert "--stored" in wrong.text
  for n in (2, 4):
    labels["images"][n].update(width=300, height=400)
  path = check_folder.write(tmp_path, labels)
  wrong, *_ = check.check(path, images).findings
  assert wrong.rule == "image-size"
  assert "should be 300x400 px, the file is 400x300" in wrong.text
  assert "give --upright" in wrong.text
  found = check.check(path, images, upright=True).findings
  assert not [f.rule for f in found if f.rule.startswith("image")]


def test_animations_are_noted(tmp_path):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  frames = [PIL.Image.new("L", (400, 300), n) for n in range(3)]
  frames[0].save(
    images / "7.png", "GIF", save_all=True, append_images=frames[1:]
  )
  rules = find_rules(tmp_path, labels, images=images)
  assert rules == {"image-animated": (NOTE, ("7.png",))}


def test_sizes_are_read_from_the_files_where_the_json_has_none(tmp_path):
  labels = check_folder.content()
  images = check_folder.write_images(tmp_path, labels)
  for entry in labels["images"]:
    del entry["width"], entry["height"]
  assert find_rules(tmp_path, labels, images=images) == {}
  keypoint(2, [-30, 70, 2])(labels)
  rules = find_rules(tmp_path, labels, images=images)
  assert rules["keypoint-outside-image"] == (NOTE, FIRST)


def test_someone_labelled_from_the_viewers_side_is_found(tmp_path):
  # Everybody faces the camera, as whoever shows both eyes does; one does not.
  labels = check_folder.content()
  for person in labels["annotations"]:
    flat = np.array(person["keypoints"]).reshape(-1, 3)
    if flat[1, 0] < flat[2, 0]:  # seen from behind
      flat[[1, 2, 3, 4]] = flat[[2, 1, 4, 3]]
    person["keypoints"] = flat.ravel().tolist()
  assert find_rules(tmp_path, labels) == {}
  swap(1, 2)(labels["annotations"][6])
  swap(3, 4)(labels["annotations"][6])
  # 1 of 80 is more than one in a hundred.
  assert find_rules(tmp_path, labels) == {"person-mirrored": (WARNING, (107,))}


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}'])
def test_a_file_of_another_kind_is_a_finding(tmp_path, text):
  path = tmp_path / "annotations.json"
  path.write_text(text)
  report = check.check(path)
  assert [f.rule for f in report.findings] == ["json-refused"]
  assert report.exit_status == 1
  assert "ERROR json-refused" in report.text()
  assert json.loads(json.dumps(report.to_json()))["exit_status"] == 1
  with pytest.raises(FileNotFoundError, match="no annotation file"):
    check.check(tmp_path / "none.json")


def test_limbs_and_pairs_are_suggested_and_written(tmp_path):
  labels = check_folder.content()
  del labels["categories"][0]["skeleton"]
  report = check.check(check_folder.write(tmp_path, labels))
  category = report.summary["category"]
  # By hand: the nose is nearest to the shoulders, these to the hips, the hips
  # to each other.
  assert [1, 2] in category["skeleton"]
  assert [1, 3] in category["skeleton"]
  assert [4, 5] in category["skeleton"]
  assert category["flip_pairs"] == [[1, 2], [3, 4]]
  assert '"skeleton": [[1, 2], [1, 3]' in report.text().replace("\n", "")
  completed = tmp_path / "completed.json"
  check.write_completed(report, completed)
  content = json.loads(completed.read_text())
  assert content["categories"] == [category]
  assert content["annotations"] == labels["annotations"]
  assert check.check(completed).findings == ()


def test_the_completed_json_does_not_replace_the_one_it_is_of(tmp_path):
  path = check_folder.write(tmp_path, check_folder.content())
  before = path.read_text()
  done = run(path, f"--write={tmp_path / 'new' / '..' / path.name}")
  assert done.returncode == 2
  assert "is a file to read and would be replaced" in done.stderr
  assert path.read_text() == before
  out = tmp_path / "new" / "completed.json"
  assert run(path, f"--write={out}").returncode == 0
  assert check.check(out).findings == ()


def test_the_command_prints_text_or_json(tmp_path):
  labels = check_folder.content()
  path = check_folder.write(tmp_path, labels)
  images = check_folder.write_images(tmp_path, labels)
  done = run(path, "--images", images)
  assert done.returncode == 0
  assert "to train on: 80" in done.stdout
  assert done.stderr.strip() == "set()"  # neither JAX nor TensorFlow
  change(area=-1)(labels)
  check_folder.write(tmp_path, labels)
  done = run(path, "--json")
  assert done.returncode == 1
  content = json.loads(done.stdout)
  assert [f["rule"] for f in content["findings"]] == ["area-refused"]
  assert content["people"]["refused"] == 1


# Exit status of the real files; what the notes say was looked at by eye.
@pytest.mark.parametrize(
  ("annotations", "images", "rules"),
  [
    (
      "coco/annotations/person_keypoints_val2017.json",
      "coco/val2017",
      {"keypoint-outside-crop"},
    ),
    (
      "lspet/annotations/person_keypoints_train.json",
      "lspet/images",
      {"visibility-never-1", "person-twisted"},
    ),
    ("coco_detections/person_keypoints.json", "coco_detections/images", set()),
    (
      "faces68/annotations/person_keypoints_test.json",
      "faces68/images",
      {"visibility-never-1", "box-over-edge", "area-of-box", "sigma-default"},
    ),
  ],
)
def test_real_data_is_ready(test_data, annotations, images, rules):
  report = check.check(test_data / annotations, test_data / images)
  assert {f.rule for f in report.findings} == rules
  assert report.exit_status == 0

"""Every format, from a project in the form that its tool writes."""

import commands
import label_projects as projects
import numpy as np
import pytest
from label_projects import ALONE, FIRST, SECOND, flat

from darkjax.convert import recognise

# Of the formats' numbers, px: CVAT writes 2 decimals, YOLO 6 of a share of the
# image.
TOLERANCE = {"cvat": 0.005, "yolo": 1e-4}


def convert(source, out, *more):
  """The jsons that are written, and the finished command."""
  done = commands.run("convert", source, f"--out={out}", *more)
  assert done.returncode in (0, 1), done.stderr
  assert not done.stderr
  jsons = {p.name: projects.read_json(p) for p in out.parent.glob("*.json")}
  return jsons, done


def check_people(content, expected, atol=1e-6):
  """Compares the people of each image with what was labelled."""
  found = projects.keypoints(content)
  assert list(found) == list(expected)
  for name, people in expected.items():
    assert len(found[name]) == len(people)
    for points, right in zip(found[name], people, strict=True):
      np.testing.assert_allclose(points, right, atol=atol, rtol=0)


def test_deeplabcut(tmp_path):
  source = projects.deeplabcut(tmp_path / "project")
  jsons, done = convert(source, tmp_path / "project" / "train.json")
  content = jsons["train.json"]
  check_people(
    content,
    {
      "labeled-data/one/img001.png": [flat(FIRST)],
      "labeled-data/one/img002.png": [flat(ALONE)],
    },
  )
  (category,) = content["categories"]
  assert category["keypoints"] == list(projects.NAMES)
  assert category["skeleton"] == [[1, 2]]  # the config's other has no tail
  assert "flip_pairs" not in category
  # The extent is 39.75 x 39.5, a tenth of the longer side on each side.
  box = [10.25 - 3.975, 20.5 - 3.975, 39.75 + 7.95, 39.5 + 7.95]
  np.testing.assert_allclose(content["annotations"][0]["bbox"], box, atol=1e-6)
  # One keypoint: a square of the other's longer side, by hand 39.75 + 7.95.
  box = [60 - 23.85, 45 - 23.85, 47.7, 47.7]
  np.testing.assert_allclose(content["annotations"][1]["bbox"], box, atol=1e-6)
  assert "deeplabcut, 2 images, 2 people, 4 labelled keypoints" in done.stdout
  assert "warnings" in done.stdout  # of data.check


def test_deeplabcut_of_several_animals(tmp_path):
  source = projects.deeplabcut_several(tmp_path)
  jsons, _ = convert(source, tmp_path / "train.json")
  content = jsons["train.json"]
  check_people(
    content,
    {
      "labeled-data/one/img001.png": [
        flat(FIRST),
        flat(SECOND),
        flat([[5.0, 6.0]]),
      ],
      "labeled-data/two/img001.png": [flat(ALONE)],
    },
  )
  names = [(c["name"], c["keypoints"]) for c in content["categories"]]
  assert names == [("animal", list(projects.NAMES)), ("single", ["nest"])]


def test_a_frame_that_another_video_has_too(tmp_path):
  source = projects.deeplabcut(tmp_path)
  frame = tmp_path / "labeled-data" / "one" / "img002.png"
  projects.image(tmp_path / "labeled-data" / "two" / frame.name)
  frame.unlink()
  jsons, _ = convert(source, tmp_path / "train.json")
  assert len(jsons["train.json"]["images"]) == 1
  (tmp_path / "labeled-data" / "one").rename(tmp_path / "labeled-data" / "new")
  jsons, _ = convert(source, tmp_path / "train.json", "--overwrite")
  (image,) = jsons["train.json"]["images"]
  assert image["file_name"] == "labeled-data/new/img001.png"


def test_frames_of_one_name_in_two_videos_are_not_mixed_up(tmp_path):
  source = projects.deeplabcut_several(tmp_path)
  (tmp_path / "labeled-data" / "two" / "img001.png").unlink()
  jsons, done = convert(source, tmp_path / "train.json")
  names = [image["file_name"] for image in jsons["train.json"]["images"]]
  assert names == ["labeled-data/one/img001.png"]
  assert "left out: 1 images not found" in done.stdout


@pytest.mark.parametrize(
  "part",
  [
    "config.yaml",
    "labeled-data",
    "labeled-data/one",
    "labeled-data/one/CollectedData_Ann.csv",
  ],
)
def test_deeplabcut_by_parts_of_its_project(tmp_path, part):
  source = projects.deeplabcut(tmp_path)
  other = source / "labeled-data" / "one" / "CollectedData_Zoe.csv"
  other.write_text("scorer,Zoe\n")  # of nobody that the config names
  if part in ("labeled-data", "labeled-data/one"):
    other.unlink()
  jsons, done = convert(source / part, tmp_path / "train.json")
  assert "deeplabcut, 2 images, 2 people" in done.stdout
  path = "labeled-data/one/img001.png"
  assert jsons["train.json"]["images"][0]["file_name"] == path
  # Limbs are in the config, which is found from a file upwards.
  limbs = jsons["train.json"]["categories"][0]["skeleton"]
  assert limbs == [[1, 2]]


def test_lightning_pose(tmp_path):
  source = projects.lightning_pose(tmp_path / "data")
  assert recognise.recognise(source.parent)[0] == "lightning-pose"
  jsons, done = convert(source, tmp_path / "data" / "train.json")
  check_people(
    jsons["train.json"],
    {
      "labeled-data/one/img01.png": [flat(FIRST)],
      "labeled-data/one/img02.png": [flat(SECOND)],
    },
  )
  assert "lightning-pose, 2 images" in done.stdout


def test_lightning_pose_keeps_new_sessions_apart(tmp_path):
  source = projects.lightning_pose(tmp_path)
  text = source.read_text().replace("img01", "img03").splitlines()[:4]
  (tmp_path / "CollectedData_new.csv").write_text("\n".join(text))
  projects.image(tmp_path / "labeled-data" / "one" / "img03.png")
  jsons, _ = convert(tmp_path, tmp_path / "train.json")
  assert len(jsons["train.json"]["images"]) == 2
  check_people(jsons["new.json"], {"labeled-data/one/img03.png": [flat(FIRST)]})


def test_labelme(tmp_path):
  source = projects.labelme(tmp_path / "photos")
  jsons, done = convert(source, tmp_path / "train.json")
  second = flat(SECOND)
  second[1, 2] = 1  # its flag says occluded
  content = jsons["train.json"]
  check_people(
    content,
    {"photos/a.jpg": [flat(FIRST), second], "photos/b.jpg": [flat(ALONE)]},
  )
  assert content["annotations"][0]["bbox"] == [5.0, 15.0, 55.0, 45.0]
  # Those without a box are like those with one.
  assert [c["name"] for c in content["categories"]] == ["dog"]
  assert "left out: 1 shapes of the type polygon" in done.stdout
  assert "boxes of 2 people made" in done.stdout


def test_people_that_cannot_be_told_apart(tmp_path):
  source = projects.labelme(tmp_path)
  path = source / "b.json"
  content = projects.read_json(path)
  content["shapes"] *= 2  # two noses without a group
  path.write_text(projects.json.dumps(content))
  jsons, done = convert(source, tmp_path / "train.json")
  assert projects.keypoints(jsons["train.json"])["b.jpg"] == []
  assert "left out: 2 points named twice in one person" in done.stdout


def test_points_without_groups_belong_to_the_box_around_them(tmp_path):
  source = projects.labelme(tmp_path)
  path = source / "a.json"
  content = projects.read_json(path)
  shapes = [s for s in content["shapes"] if s["shape_type"] != "polygon"]
  lower = {"shape_type": "rectangle", "points": [[60.0, 25.0], [99.0, 55.0]]}
  shapes.append(shapes[-1] | lower | {"label": "dog"})
  away = {"points": [[110.0, 80.0]], "label": "nose"}
  shapes.append(shapes[0] | away)
  content["shapes"] = [s | {"group_id": None} for s in shapes]
  path.write_text(projects.json.dumps(content))
  jsons, done = convert(source, tmp_path / "train.json")
  first, second = projects.keypoints(jsons["train.json"])["a.jpg"]
  np.testing.assert_array_equal(first, flat(FIRST))
  np.testing.assert_array_equal(second[:, 2], [2, 1, 0])
  assert "left out: 1 points in no box or in several" in done.stdout


def test_order_of_keypoints(tmp_path):
  source = projects.labelme(tmp_path)
  names = ["tail", "right_paw", "left_paw", "nose"]
  jsons, _ = convert(
    source, tmp_path / "out" / "t.json", f"--keypoints={','.join(names)}"
  )
  (category,) = jsons["t.json"]["categories"]
  assert category["keypoints"] == names
  np.testing.assert_array_equal(
    projects.keypoints(jsons["t.json"])["../a.jpg"][0][::-1],
    [*flat(FIRST), [0, 0, 0]],
  )
  done = commands.run(
    "convert", source, f"--out={tmp_path}/u.json", "--keypoints=nose"
  )
  assert done.returncode == 2
  assert "['left_paw', 'right_paw'] of 'dog' are not among" in done.stderr


def test_cvat(tmp_path):
  source = projects.cvat(tmp_path)
  jsons, done = convert(source, tmp_path / "train.json")
  second = flat(SECOND)
  second[1, 2] = 1  # occluded
  train, val = jsons["train.json"], jsons["val.json"]
  atol = TOLERANCE["cvat"]
  check_people(train, {"images/Train/a.png": [flat(FIRST), second]}, atol)
  check_people(val, {"images/Validation/b.png": [flat(ALONE)]}, atol)
  (category,) = train["categories"]
  # In the order of the drawing, not of the labels.
  assert category["keypoints"] == list(projects.NAMES)
  assert category["skeleton"] == [[1, 3]]
  assert category["name"] == "dog"
  assert train["annotations"][0]["bbox"] == [5.0, 15.0, 55.0, 50.0]
  assert "left out: 1 shapes of the type tag" in done.stdout


def test_cvat_of_a_video(tmp_path):
  points = "".join(
    f'<points label="{n}" outside="0" occluded="0" keyframe="1" '
    f'points="{x},{y}"></points>'
    for n, (x, y) in zip(projects.NAMES, FIRST, strict=True)
  )
  (tmp_path / "annotations.xml").write_text(
    "<annotations><version>1.1</version><meta><task><original_size>"
    "<width>120</width><height>90</height></original_size></task></meta>"
    '<track id="0" label="dog"><skeleton frame="2" keyframe="1">'
    f"{points}</skeleton></track></annotations>"
  )
  projects.image(tmp_path / "images" / "frame_000002.PNG")
  jsons, _ = convert(tmp_path, tmp_path / "out.json")
  check_people(jsons["out.json"], {"images/frame_000002.PNG": [flat(FIRST)]})


def test_cvat_of_points_without_a_skeleton(tmp_path):
  row = ";".join(f"{x},{y}" for x, y in FIRST)
  (tmp_path / "a.xml").write_text(
    '<annotations><image name="a.png" width="120" height="90">'
    f'<points label="hand" occluded="1" points="{row}"></points>'
    f'<points label="hand" occluded="0" points="{row}"></points>'
    '<points label="hand" occluded="0" points="1,2;3,4"></points>'
    '<points label="tip" occluded="0" group_id="1" points="7,8"></points>'
    '<box label="cat" xtl="1" ytl="2" xbr="9" ybr="12" group_id="1"></box>'
    "</image></annotations>"
  )
  projects.image(tmp_path / "a.png")
  jsons, done = convert(tmp_path / "a.xml", tmp_path / "out.json")
  content = jsons["out.json"]
  check_people(
    content, {"a.png": [flat(FIRST, 1), flat(FIRST), [[7.0, 8.0, 2.0]]]}
  )
  names = {c["name"]: c["keypoints"] for c in content["categories"]}
  assert names == {"hand": ["1", "2", "3"], "cat": ["tip"]}
  assert content["annotations"][2]["bbox"] == [1.0, 2.0, 8.0, 10.0]
  assert "left out: 1 rows of points of an unusual length" in done.stdout


@pytest.mark.parametrize("dimensions", [2, 3])
def test_yolo(tmp_path, dimensions):
  source = projects.yolo(tmp_path / "set", dimensions)
  jsons, _ = convert(source, tmp_path / "set" / "train.json")
  atol = TOLERANCE["yolo"]
  train, val = jsons["train.json"], jsons["val.json"]
  check_people(train, {"train/images/a.jpg": [flat(FIRST), flat(SECOND)]}, atol)
  check_people(val, {"valid/images/b.jpg": [flat(ALONE)]}, atol)
  dog, person = train["categories"]
  assert (dog["name"], dog["keypoints"][0]) == ("dog", "nose")
  assert (person["name"], person["keypoints"][0]) == ("person", "head")
  assert dog["flip_pairs"] == [[1, 2]]
  # The extent and 4 px, see label_projects.yolo.
  np.testing.assert_allclose(
    train["annotations"][0]["bbox"], [6.25, 16.5, 47.75, 47.5], atol=atol
  )


def test_yolo_without_names_of_keypoints(tmp_path):
  source = projects.yolo(tmp_path)
  text = (source / "data.yaml").read_text().split("kpt_names")[0]
  (source / "data.yaml").write_text(text + "names: {0: dog, 1: cat}\n")
  jsons, done = convert(source, tmp_path / "out" / "t.json")
  names = ["keypoint_0", "keypoint_1", "keypoint_2"]
  assert jsons["t.json"]["categories"][0]["keypoints"] == names
  assert "keypoints have no names: numbered" in done.stdout
  assert "t_val.json" in jsons


def test_yolo_lists_of_images_and_backgrounds(tmp_path):
  source = projects.yolo(tmp_path)
  projects.image(tmp_path / "valid" / "images" / "nobody.jpg")
  (tmp_path / "some.txt").write_text("./train/images/a.jpg\n./gone.jpg\n")
  text = (source / "data.yaml").read_text()
  text = text.replace("train: ../train/images", "path: /gone\ntrain: some.txt")
  (source / "data.yaml").write_text(text)
  jsons, done = convert(source / "data.yaml", tmp_path / "train.json")
  assert len(jsons["train.json"]["annotations"]) == 2
  assert len(jsons["val.json"]["images"]) == 2
  assert "left out: 1 images not found" in done.stdout


def test_yolo_texts_with_a_byte_order_mark(tmp_path):
  source = projects.yolo(tmp_path)
  (tmp_path / "some.txt").write_text("train/images/a.jpg")
  for path in (tmp_path / "some.txt", *tmp_path.glob("*/labels/*.txt")):
    path.write_text(path.read_text(), encoding="utf-8-sig")
  config = source / "data.yaml"
  config.write_text(config.read_text().replace("../train/images", "some.txt"))
  jsons, done = convert(source, tmp_path / "train.json")
  assert len(jsons["train.json"]["annotations"]) == 2
  assert "left out" not in done.stdout


def test_label_studio(tmp_path):
  source = projects.label_studio(tmp_path)
  jsons, _ = convert(source, tmp_path / "train" / "out.json")
  (content,) = jsons.values()
  second = flat(SECOND)
  second[1, 2] = 1  # a choice of its region
  check_people(
    content,
    {
      "../photos/a.png": [flat(FIRST), second],
      "../photos/b.png": [flat(ALONE)],
    },
  )
  np.testing.assert_allclose(
    [person["bbox"] for person in content["annotations"][:2]],
    [[5, 15, 55, 50], [60, 20, 40, 40]],
    atol=1e-6,
  )
  assert [c["name"] for c in content["categories"]] == ["dog"]


def test_coco(tmp_path):
  source = projects.coco(tmp_path / "set")
  jsons, done = convert(source, tmp_path / "set" / "train.json")
  train = jsons["train.json"]
  check_people(train, {"train2020/a.jpg": [flat(FIRST), flat(SECOND)]})
  check_people(jsons["val.json"], {"val2020/b.jpg": [flat(ALONE)]})
  (category,) = train["categories"]
  assert category["id"] == 3
  assert category["sigmas"] == [0.03, 0.06, 0.06]
  assert category["skeleton"] == [[1, 2]]
  assert train["images"][0]["id"] == 40
  assert [a["id"] for a in train["annotations"]] == [70, 71]
  w, h = train["annotations"][0]["bbox"][2:]
  assert train["annotations"][0]["area"] == pytest.approx(0.53 * w * h)
  assert "left out: 2 annotations without keypoints" in done.stdout


def test_coco_ids_that_are_text_stay(tmp_path):
  source = projects.coco(tmp_path) / "annotations" / "keypoints_train2020.json"
  text = source.read_text().replace('"id": 40', '"id": "IMG_1"')
  text = text.replace('"image_id": 40', '"image_id": "IMG_1"')
  source.write_text(text.replace('"id": 70', '"id": "ann_a"'))
  jsons, done = convert(source, tmp_path / "train.json")
  content = jsons["train.json"]
  assert [image["id"] for image in content["images"]] == ["IMG_1"]
  assert [a["id"] for a in content["annotations"]] == ["ann_a", 71]
  assert {a["image_id"] for a in content["annotations"]} == {"IMG_1"}
  assert "refused: 0" in done.stdout


def test_coco_images_of_one_name_in_two_splits(tmp_path):
  source = projects.coco(tmp_path)
  (tmp_path / "val2020" / "b.jpg").rename(tmp_path / "val2020" / "a.jpg")
  path = source / "annotations" / "keypoints_val2020.json"
  path.write_text(path.read_text().replace("b.jpg", "a.jpg"))
  for given in (source, path):
    jsons, _ = convert(given, tmp_path / "dogs.json", "--overwrite")
    name = "dogs.json" if given == path else "dogs_val.json"
    check_people(jsons[name], {"val2020/a.jpg": [flat(ALONE)]})


def test_coco_jsons_that_number_categories_alike(tmp_path):
  source = projects.coco(tmp_path)
  path = source / "annotations" / "keypoints_val2020.json"
  path.write_text(path.read_text().replace("left_paw", "tail"))
  jsons, done = convert(source, tmp_path / "train.json")
  for content in (jsons["train.json"], jsons["val.json"]):
    first, second = content["categories"]
    assert (first["id"], second["id"]) == (1, 2)
    assert (first["keypoints"][1], second["keypoints"][1]) == (
      "left_paw",
      "tail",
    )
  assert jsons["val.json"]["annotations"][0]["category_id"] == 2
  assert "categories differ in their keypoints" in done.stdout


def test_sizes_that_disagree_are_found_by_the_check(tmp_path):
  source = projects.labelme(tmp_path)
  path = source / "a.json"
  path.write_text(
    path.read_text().replace('"imageWidth": 120', '"imageWidth": 240')
  )
  _, done = convert(source, tmp_path / "train.json")
  assert "ERROR image-size" in done.stdout
  assert done.returncode == 1


def test_people_without_keypoints_or_box_are_counted(tmp_path):
  source = projects.cvat(tmp_path)
  text = source.read_text()
  start, end = text.index('name="b.png"'), text.index("</image></annotations>")
  hidden = text[start:end].replace('outside="0"', 'outside="1"')
  source.write_text(text[:start] + hidden + text[end:])
  jsons, done = convert(source, tmp_path / "train.json")
  assert jsons["val.json"]["annotations"] == []
  assert "left out: 1 people without a labelled keypoint" in done.stdout

"""What must not be converted without a word: other images, lost labels."""

import base64
import itertools
import json
import shutil

import coco_folder
import commands
import label_projects as projects
import numpy as np
import pytest
from label_projects import FIRST, SECOND, flat

from darkjax.convert import report, shapes, splits
from darkjax.convert.formats import coco, label_studio
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import Category, Image, Labels, LeftOut, Person
from darkjax.convert.project import Project
from darkjax.data.images.spelling import PHOTO_SUFFIXES


def convert(source, out, *more):
  done = commands.run("convert", source, f"--out={out}", *more)
  assert not done.stderr
  return projects.read_json(out), done


def refused(*arguments) -> str:
  done = commands.run("convert", *arguments)
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  return done.stderr


def edit(path, change) -> None:
  content = projects.read_json(path)
  path.write_text(json.dumps(change(content) or content))


def names(content) -> list[str]:
  return [image["file_name"] for image in content["images"]]


# Files that are there, the name that is asked for, its split, and what is found
# (None: nothing) for sure or as a guess.
FILES = {
  "other session": (["b/1.png"], "a/1.png", "", None, False),
  "other view": (["s2/cam/1.png"], "s1/cam/1.png", "", "s2/cam/1.png", True),
  "two views": (["s2/c/1.png", "s3/c/1.png"], "s1/c/1.png", "", None, False),
  "moved": (
    ["s1/1.png", "s2/1.png"],
    "/home/a/s1/1.png",
    "",
    "s1/1.png",
    False,
  ),
  "subfolder": (["p/s1/1.png"], "s1/1.png", "", "p/s1/1.png", False),
  "upwards": (["s1/1.png"], "../s1/1.png", "", "s1/1.png", False),
  "no folder": (["s1/1.png"], "1.png", "", "s1/1.png", False),
  "flat": (["1.png", "2.png"], "a/1.png", "", "1.png", True),
  "flat images": (["images/1.png"], "a/1.png", "", "images/1.png", True),
  "not flat": (["1.png", "b/2.png"], "a/1.png", "", None, False),
  "other split": (["val2017/1.png"], "1.png", "train", None, False),
  "valid": (["valid/images/1.png"], "train/images/1.png", "", None, False),
  "own split": (
    ["Train/1.png", "Validation/1.png"],
    "1.png",
    "val",
    "Validation/1.png",
    False,
  ),
  "latest": (["latest/1.png"], "1.png", "train", "latest/1.png", False),
  "no suffix": (["a/f.1.PNG", "a/f.2.png"], "a/f.1", "", "a/f.1.PNG", False),
  "two suffixes": (["a/1.PNG", "a/1.jpg"], "a/1", "", None, False),
  "suffix": (["1.jpg.png"], "1.jpg", "", None, False),
}


@pytest.mark.parametrize("case", FILES)
def test_which_file_a_name_means(tmp_path, case):
  files, name, split, right, guessed = FILES[case]
  for file in files:
    projects.image(tmp_path / file)
  left_out = LeftOut()
  path = ImageFiles([tmp_path], left_out).find(name, split=split)
  assert path == (None if right is None else tmp_path / right)
  assert list(left_out.guessed) == ([name] if guessed else [])


def test_a_given_folder_is_flat_whatever_lies_beside_it(tmp_path):
  projects.image(tmp_path / "photos" / "1.png")
  projects.image(tmp_path / "b" / "2.png")
  found = ImageFiles([tmp_path / "photos", tmp_path], LeftOut())
  assert found.find("a/1.png") == tmp_path / "photos" / "1.png"


def test_guesses_are_printed_and_fail(tmp_path):
  source = projects.lightning_pose(tmp_path)
  (tmp_path / "labeled-data" / "one").rename(tmp_path / "images")
  content, done = convert(source, tmp_path / "train.json")
  assert names(content) == ["images/img01.png", "images/img02.png"]
  assert "WARNING 2 images found by another name: " in done.stdout
  assert "images/img01.png for labeled-data/one/img01.png" in done.stdout
  assert done.returncode == 1


def test_an_image_of_another_split_is_not_taken(tmp_path):
  source = projects.coco(tmp_path / "coco")
  (source / "train2020" / "a.jpg").unlink()
  (source / "val2020" / "b.jpg").rename(source / "val2020" / "a.jpg")
  for given in (source, source / "annotations" / "keypoints_train2020.json"):
    text = refused(given, f"--out={tmp_path / 'train.json'}")
    assert "none of its 1 images is there, such as a.jpg" in text
  source = projects.cvat(tmp_path / "cvat")
  folder = tmp_path / "cvat" / "images"
  (folder / "Train" / "a.png").rename(folder / "Validation" / "a.png")
  content, done = convert(source, tmp_path / "val.json")
  assert names(content) == ["cvat/images/Validation/b.png"]
  assert "1 images not found: images/Train/a.png" in done.stdout


def test_two_folders_of_one_split(tmp_path):
  source = projects.coco(tmp_path)
  projects.image(source / "train2019" / "a.jpg")
  content, _ = convert(source, tmp_path / "train.json")
  assert names(content) == ["train2020/a.jpg"]
  path = source / "annotations" / "keypoints_train2020.json"
  path = path.rename(path.with_name("keypoints_train.json"))
  text = refused(path, f"--out={tmp_path / 'b.json'}")
  assert "none of its 1 images is there" in text  # it may be either


def test_labelme_of_another_folder(tmp_path):
  source = projects.labelme(tmp_path)
  for folder in ("one", "two"):
    (tmp_path / folder).mkdir()
  (tmp_path / "a.json").rename(tmp_path / "one" / "a.json")
  (tmp_path / "a.jpg").rename(tmp_path / "two" / "a.jpg")
  content, done = convert(source, tmp_path / "train.json")
  assert names(content) == ["b.jpg"]
  assert "left out: 1 images not found: one/a.jpg" in done.stdout


def test_missing_images_are_named_at_most_three(tmp_path):
  source = projects.labelme(tmp_path)
  for number in range(5):
    text = (tmp_path / "b.json").read_text()
    text = text.replace("b.jpg", f"gone{number}.jpg")
    (tmp_path / f"gone{number}.json").write_text(text)
  _, done = convert(source, tmp_path / "train.json")
  line = "5 images not found: gone0.jpg, gone1.jpg, gone2.jpg and 2 more"
  assert line in done.stdout


@pytest.mark.parametrize(
  ("kind", "file"),
  [
    ("cvat", "annotations.xml"),
    ("label_studio", "project-7.json"),
    ("yolo", "data.yaml"),
  ],
)
def test_several_projects_in_a_folder_are_listed(tmp_path, kind, file):
  getattr(projects, kind)(tmp_path)
  path = tmp_path / file
  again = path.with_stem(f"{path.stem}-2")
  shutil.copy(path, again)
  done = commands.run("convert", tmp_path, f"--out={tmp_path / 'train.json'}")
  assert done.returncode == 2
  assert "holds several projects" in done.stderr
  assert f"{again}, {path}" in done.stderr or f"{path}, {again}" in done.stderr


def test_cvat_files_of_others_are_no_project(tmp_path):
  projects.cvat(tmp_path)
  (tmp_path / "a.xml").write_text("<plan></plan>")
  _, done = convert(tmp_path, tmp_path / "train.json")
  assert "cvat, 2 images" in done.stdout


def test_what_cvat_interpolated_is_left_out(tmp_path):
  def shape(frame, keyframe):
    points = "".join(  # of the skeleton alone it is said
      f'<points label="{n}" outside="0" occluded="0" keyframe="0" '
      f'points="{x},{y}"></points>'
      for n, (x, y) in zip(projects.NAMES, FIRST, strict=True)
    )
    return (
      f'<skeleton frame="{frame}" keyframe="{keyframe}">{points}</skeleton>'
    )

  (tmp_path / "annotations.xml").write_text(
    '<annotations><version>1.1</version><track id="0" label="dog">'
    f"{shape(0, 1)}{shape(1, 0)}{shape(2, 1)}</track></annotations>"
  )
  for frame in range(3):
    projects.image(tmp_path / "images" / f"frame_00000{frame}.png")
  content, done = convert(tmp_path, tmp_path / "out.json")
  assert names(content) == [f"images/frame_00000{k}.png" for k in (0, 2)]
  np.testing.assert_array_equal(
    projects.keypoints(content)["images/frame_000000.png"][0], flat(FIRST)
  )
  assert "left out: 1 shapes between keyframes" in done.stdout


def test_images_of_every_suffix_that_training_reads(tmp_path):
  source = projects.yolo(tmp_path)
  folder = tmp_path / "train"
  text = (folder / "labels" / "a.txt").read_text()
  suffixes = [s for s in PHOTO_SUFFIXES if s not in (".heic", ".heif")]
  for suffix in suffixes:  # those that need no extra
    projects.image(folder / "images" / f"{suffix[1:]}{suffix}")
    (folder / "labels" / f"{suffix[1:]}.txt").write_text(text)
  content, _ = convert(source, tmp_path / "train.json")
  assert len(names(content)) == 1 + len(suffixes)
  assert len(content["annotations"]) == 2 * len(names(content))


def test_earlier_splits_and_shared_images(tmp_path):
  source = projects.yolo(tmp_path)
  out = tmp_path / "train.json"
  _, done = convert(source, out)
  assert "earlier conversion" not in done.stdout
  path = source / "data.yaml"
  text = path.read_text()
  path.write_text(text.replace("val: ../valid/images\n", ""))
  _, done = convert(source, out, "--overwrite")
  assert f"WARNING {tmp_path / 'val.json'} is of an earlier" in done.stdout
  assert done.returncode == 1
  path.write_text(text.replace("../valid/images", "../train/images"))
  _, done = convert(source, out, "--overwrite")
  assert "WARNING 1 images are in several splits" in done.stdout
  assert "train/images/a.jpg" in done.stdout
  assert done.returncode == 1


def test_a_class_has_one_set_of_keypoints(tmp_path):
  source = projects.labelme(tmp_path)  # boxes of dog: all but the nose

  def first(content):
    content["shapes"] = [
      s
      for s in content["shapes"]
      if s["group_id"] == 1 and s["label"] != "nose"
    ]
    content["shapes"][-1]["label"] = "person"

  edit(tmp_path / "a.json", first)
  content, _ = convert(source, tmp_path / "train.json")
  (category,) = content["categories"]  # someone without a box is a person too
  assert sorted(category["keypoints"]) == sorted(projects.NAMES)
  (found,) = projects.keypoints(content)["a.jpg"]
  place = category["keypoints"].index("nose")
  np.testing.assert_array_equal(found[place], [0, 0, 0])
  assert (found[:, 2] > 0).sum() == 2


def figure(label, points, kind="") -> shapes.Figure:
  return shapes.Figure({n: (1.0, 2.0, 2.0) for n in points}, label, kind=kind)


def keypoints_of(*figures, **options) -> dict[str, set[str]]:
  image = Image(None)
  shapes.add_people([(image, list(figures))], **options)
  return {p.category.name: {*p.category.keypoints} for p in image.people}


def test_individuals_of_one_class():
  both = keypoints_of(figure("pup1", "abc"), figure("pup2", "bcd"))
  assert both == {"pup1": {*"abcd"}, "pup2": {*"abcd"}}
  apart = keypoints_of(figure("dog", "abc"), figure("cat", "cde"))
  assert apart == {"dog": {*"abc"}, "cat": {*"cde"}}
  # A class without a name is that of a name; a chain is one class.
  chain = keypoints_of(figure("x", "ab"), figure(None, "bc"), figure("y", "cd"))
  assert chain == {"x": {*"abcd"}, "y": {*"abcd"}}
  template = {"person": shapes.Template(("a", "b"), [(0, 1)])}
  loose = keypoints_of(
    figure("person", "a", "skeleton"), figure(None, "c"), templates=template
  )
  assert loose == {"person": {*"abc"}}
  pair = {"x": shapes.Template(("a", "b")), "y": shapes.Template(("b", "c"))}
  drawn = keypoints_of(figure("x", "ab"), figure("y", "bc"), templates=pair)
  assert drawn == {"x": {*"ab"}, "y": {*"bc"}}


def related(tmp_path, pairs):
  """Label Studio's first image with relations between keypoints alone."""
  source = projects.label_studio(tmp_path)

  def change(tasks):
    (_, annotation) = tasks[0]["annotations"]
    regions = [
      {k: v for k, v in r.items() if k != "parentID"}
      for r in annotation["result"]
      if r.get("type") == "keypointlabels"
    ]
    annotation["result"] = regions + [
      {"type": "relation", "from_id": a, "to_id": b} for a, b in pairs
    ]

  edit(source, change)
  content, done = convert(source, tmp_path / "out.json")
  return projects.keypoints(content)["photos/a.png"], done


def test_related_keypoints_are_a_person(tmp_path):
  pairs = [("p0", "p1"), ("p2", "p1"), ("q1", "q0")]
  (first, second), _ = related(tmp_path, pairs)
  np.testing.assert_allclose(first, flat(FIRST), atol=1e-9)
  np.testing.assert_allclose(second, flat(SECOND), atol=1e-9)


def test_chains_of_relations_in_any_order():
  regions = {key: {"type": "keypointlabels"} for key in "abcdefg"}
  chain = [("a", "b"), ("c", "b"), ("c", "d"), ("d", "e"), ("f", "e")]
  for pairs in itertools.permutations(chain):
    results = [{"type": "relation", "from_id": a, "to_id": b} for a, b in pairs]
    groups = label_studio._groups(results, regions)
    assert groups == dict.fromkeys("abcdef", "a")  # g is alone


def test_related_people_keep_their_boxes(tmp_path):
  source = projects.label_studio(tmp_path)

  def change(tasks):
    result = tasks[0]["annotations"][1]["result"]
    (point,) = [r for r in result if r.get("id") == "p2"]
    result.append(point | {"id": "between"})  # of both, so of none
    for end in ("p0", "q0"):
      relation = {"type": "relation", "from_id": "between", "to_id": end}
      result.append(relation)

  edit(source, change)
  content, _ = convert(source, tmp_path / "out.json")
  first, second, alone = projects.keypoints(content)["photos/a.png"]
  assert [(p[:, 2] > 0).sum() for p in (first, second, alone)] == [3, 2, 1]


@pytest.mark.parametrize(
  ("text", "right"),
  [
    ("Occluded", True),
    ("not visible", True),
    ("1 - occluded", True),
    ("not_visible", True),
    ("visible", False),
    ("not occluded", False),
    ("non-hidden", False),
    ("2 - visible", False),
  ],
)
def test_words_for_hidden(tmp_path, text, right):
  source = projects.label_studio(tmp_path)
  source.write_text(source.read_text().replace("Occluded", text))
  content, _ = convert(source, tmp_path / "out.json")
  points = projects.keypoints(content)["photos/a.png"][1]
  assert points[1, 2] == (1 if right else 2)


def test_coco_limbs_and_pairs_by_name(tmp_path):
  source = projects.coco(tmp_path)

  def change(content):
    content["categories"][0] |= {
      "skeleton": [["nose", "right_paw"]],
      "flip_pairs": [["left_paw ", "2"]],
      "keypoints": ["nose", "left_paw ", "right_paw"],
    }

  for path in (tmp_path / "annotations").iterdir():
    edit(path, change)
  content, done = convert(source, tmp_path / "train.json")
  (category,) = content["categories"]
  assert category["keypoints"] == list(projects.NAMES)  # without blanks
  assert category["skeleton"] == [[1, 3]]
  assert category["flip_pairs"] == [[1, 2]]
  assert "flip pairs: 1" in done.stdout


def test_blanks_at_the_ends_of_names(tmp_path):
  for kind in ("labelme", "label_studio", "cvat", "lightning_pose"):
    source = getattr(projects, kind)(tmp_path / kind)
    path = source / "b.json" if kind == "labelme" else source
    text = path.read_text()
    if kind == "lightning_pose":
      text = text.replace("bodyparts,nose", "bodyparts,nose ")
    else:
      text = '"nose "'.join(text.rsplit('"nose"', 1))
    assert "nose " in text
    path.write_text(text)
    content, _ = convert(source, tmp_path / kind / "train.json")
    assert all(
      name == name.strip()
      for category in content["categories"]
      for name in category["keypoints"]
    )


def test_names_that_are_nearly_alike():
  people = [
    Person(Category("Dog", ("left_ear", "Left ear", "p1_1", "p11")), None),
    Person(Category("dog", ("tail",)), None),
  ]
  labels = Labels([Image(None, people=people)], LeftOut())
  first, second = report.warnings(labels)
  assert "keypoints 'Left ear', 'left_ear' differ in case" in first
  assert "categories 'Dog', 'dog' differ" in second


def test_the_image_inside_a_labelme_json(tmp_path):
  source = projects.labelme(tmp_path)
  data = (tmp_path / "a.jpg").read_bytes()
  (tmp_path / "a.jpg").unlink()

  def embed(content):
    content["imageData"] = base64.b64encode(data).decode()

  edit(tmp_path / "a.json", embed)
  content, _ = convert(source, tmp_path / "train.json")
  assert names(content)[0] == "train_images/a.jpg"
  assert (tmp_path / "train_images" / "a.jpg").read_bytes() == data
  again, _ = convert(source, tmp_path / "train.json", "--overwrite")
  assert again == content
  shutil.rmtree(tmp_path / "train_images")
  text = (tmp_path / "a.json").read_text()
  (tmp_path / "a.json").write_text(
    text.replace('"imageData": "', '"imageData": "*')
  )
  text = refused(source, f"--out={tmp_path / 'train.json'}", "--overwrite")
  assert "its imageData is damaged" in text


def test_what_cannot_be_read_is_named(tmp_path):
  source = projects.deeplabcut(tmp_path / "dlc")
  path = source / "labeled-data" / "one" / "CollectedData_Ann.csv"
  text = path.read_text()
  out = f"--out={tmp_path / 'train.json'}"
  path.write_text("")
  assert "an empty file" in refused(source, out)
  assert "an empty file" in refused(path, out)
  path.write_text(text.replace(",", ";"))
  assert "separated by ;" in refused(source, out)
  assert "separated by ;" in refused(path, out)
  rows = [line.replace("one", "café") for line in text.splitlines()]
  rows += rows[4:] * 400  # the head alone can be read
  for lines in (rows[:5], rows):
    path.write_text("\n".join(lines), encoding="cp1252")
    for given in (source, path):
      assert "(not in UTF-8, byte 0xe9 at " in refused(given, out)
  (tmp_path / "zips").mkdir()
  (tmp_path / "zips" / "a.zip").write_bytes(b"PK\x03\x04")
  assert "a.zip: unpack it first" in refused(tmp_path / "zips", out)
  coco = projects.coco(tmp_path / "coco")
  text = refused(coco, out, "--format=labelme")
  assert "none of its 2 jsons is labelme's" in text


def test_no_table_of_a_folder_is_passed_over(tmp_path):
  source = projects.lightning_pose(tmp_path)
  text = source.read_text().replace("/one/", "/café/")
  (tmp_path / "CollectedData_new.csv").write_text(text, encoding="cp1252")
  text = refused(tmp_path, f"--out={tmp_path / 'train.json'}")
  assert "CollectedData_new.csv (not in UTF-8" in text


def test_images_inside_tasks_are_counted(tmp_path):
  source = projects.label_studio(tmp_path)

  def embed(tasks):
    for task in tasks[:1]:
      task["data"]["image"] = "data:image/png;base64," + "iVBORw0K" * 999

  edit(source, embed)
  content, done = convert(source, tmp_path / "train.json")
  assert names(content) == ["photos/b.png"]
  assert (
    "left out: 1 images inside the task (save them as files): " in done.stdout
  )
  assert "iVBORw0K" not in done.stdout


def test_val_holds_images_out(tmp_path):
  source = projects.lightning_pose(tmp_path)
  train, done = convert(source, tmp_path / "train.json", "--val=0.5")
  val = projects.read_json(tmp_path / "val.json")
  assert len(names(train)) == len(names(val)) == 1
  assert {*names(train), *names(val)} == {
    "labeled-data/one/img01.png",
    "labeled-data/one/img02.png",
  }
  assert "several splits" not in done.stdout
  again = projects.yolo(tmp_path / "yolo")
  out = f"--out={tmp_path / 'yolo' / 'train.json'}"
  assert "with train and without val" in refused(again, out, "--val=0.1")
  assert "a share below 1" in refused(again, out, "--val=1")


def test_val_holds_whole_folders_out(tmp_path):
  one = Person(Category("dog", ("nose",)), np.array([[1.0, 2.0, 2.0]]))

  def labels(folders="abcde", people=(one,)):
    images = [
      Image(tmp_path / folder / f"{k}.png", people=[*people])
      for folder in folders
      for k in range(4)
    ]
    return Labels(images, LeftOut())

  first, second = labels(), labels()
  splits.hold_out(first, 0.25)
  splits.hold_out(second, 0.25)
  held = [i.source.parent.name for i in first.images if i.split == "val"]
  assert len(held) == 4
  assert len({*held}) == 1
  assert [i.split for i in first.images] == [i.split for i in second.images]
  assert {i.split for i in first.images} == {"train", "val"}
  small = labels()
  splits.hold_out(small, 0.01)  # one folder at least
  assert sum(i.split == "val" for i in small.images) == 4
  # Folders and images of nobody are not held out.
  empty = labels("f", people=())
  empty.images += [Image(tmp_path / "f" / "nobody.png"), *labels("g").images]
  splits.hold_out(empty, 0.5)
  assert all(i.people for i in empty.images if i.split == "val")
  with pytest.raises(ValueError, match="got 0 images with people"):
    splits.hold_out(labels(people=()), 0.5)
  named = labels()
  named.images[0].split = "other"
  with pytest.raises(ValueError, match=r"splits \['other', ''\]"):
    splits.hold_out(named, 0.5)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"bbox": "7,7,77,151"}, "'bbox' must be four"),
    ({"area": -1}, "'area' .* must be a finite number"),
    ({"keypoints": [float("nan"), 1, 2] * 3}, "NaN, infinity"),
    ({"keypoints": [1, 1, True] * 3}, r"True \(bool\)"),
    ({"iscrowd": "no"}, "'iscrowd' must be 0 or 1"),
  ],
)
def test_coco_files_are_refused_as_elsewhere(tmp_path, changes, message):
  content = coco_folder.content(num_images=2)
  content["annotations"][0] |= changes
  path, _ = coco_folder.write(tmp_path, content)
  with pytest.raises(ValueError, match=message):
    coco.read(Project(path, [tmp_path / "images"]))


def test_an_empty_track_does_not_stop_a_coco_file(tmp_path):
  content = coco_folder.content(num_images=2)
  content["annotations"][0]["keypoints"] = []
  path, _ = coco_folder.write(tmp_path, content)
  images = coco.read(Project(path, [tmp_path / "images"]))
  people = [person for image in images for person in image.people]
  assert [int((p.keypoints[:, 2] > 0).sum()) for p in people] == [0, 3]

"""`darkjax convert`: files, splits, and one line for each mistake."""

import json
import ntpath
import sys

import commands
import label_projects as projects
import numpy as np
import pytest

from darkjax.convert import boxes, recognise, writer
from darkjax.convert.image_files import ImageFiles
from darkjax.convert.labels import (
  Category,
  Frame,
  Image,
  Labels,
  LeftOut,
  Person,
)

MAKERS = {
  "coco": projects.coco,
  "cvat": projects.cvat,
  "deeplabcut": projects.deeplabcut,
  "label-studio": projects.label_studio,
  "labelme": projects.labelme,
  "lightning-pose": projects.lightning_pose,
  "yolo": projects.yolo,
}


def refused(*arguments) -> str:
  """The one line on stderr."""
  done = commands.run("convert", *arguments)
  assert done.returncode == 2, done.stdout
  assert done.stderr.count("\n") == 1
  return done.stderr


@pytest.mark.parametrize("kind", MAKERS)
def test_formats_are_recognised_by_content(tmp_path, kind):
  source = MAKERS[kind](tmp_path / "project")
  assert recognise.recognise(source)[0] == kind
  folder = source if source.is_dir() else source.parent
  assert recognise.recognise(folder)[0] == kind
  if source.is_file():
    named = source.rename(source.with_suffix(".txt"))
    assert recognise.recognise(named)[0] == kind


@pytest.mark.parametrize("kind", MAKERS)
def test_the_result_is_what_training_reads(tmp_path, kind):
  source = MAKERS[kind](tmp_path / "project")
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert "ERROR" not in done.stdout
  assert done.stdout.startswith(f"{source}: {kind}, ")
  for path in tmp_path.glob("*.json"):
    name = projects.read_json(path)["categories"][0]["name"]
    checked = commands.run(
      "data.check", path, f"--images={tmp_path}", f"--category={name}"
    )
    assert "refused: 0" in checked.stdout
  assert not list(tmp_path.rglob("*.part"))


def test_sources_that_are_not_known(tmp_path):
  out = f"--out={tmp_path / 'train.json'}"
  assert "no file or folder" in refused(tmp_path / "gone", out)
  (tmp_path / "notes.txt").write_text("nothing")
  text = refused(tmp_path / "notes.txt", out)
  for name in ("DeepLabCut", "SLEAP", "labelme", "CVAT", "--format"):
    assert name in text
  (tmp_path / "a.zip").write_bytes(b"PK\x03\x04...")
  assert "unpack it first" in refused(tmp_path / "a.zip", out)
  (tmp_path / "yolo" / "labels").mkdir(parents=True)
  assert "needs its data.yaml" in refused(tmp_path / "yolo", out)
  (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n...")
  assert "not as any known tool writes it" in refused(tmp_path / "cut.h5", out)
  (tmp_path / "list.json").write_text("[1, 2]")
  assert "not recognised" in refused(tmp_path / "list.json", out)
  assert "give one project" in refused(out)
  assert ".json" in refused(tmp_path, f"--out={tmp_path / 'train'}")
  assert "no folder of images" in refused(tmp_path, out, "--images=gone")


# The format, what is done to a file of its project, and what is said.
BAD_FILES = {
  "cut xml": ("cvat", "annotations.xml", lambda t: t[:900], "not valid xml"),
  "other xml": (
    "cvat",
    "annotations.xml",
    lambda t: t.replace("1.1<", "1.0<"),
    "of version 1.1",
  ),
  "bad points": (
    "cvat",
    "annotations.xml",
    lambda t: t.replace('points="10.25,20.50"', 'points="10.25"'),
    "should be x,y",
  ),
  "bad box": (
    "cvat",
    "annotations.xml",
    lambda t: t.replace('xtl="5.00"', 'xtl="five"'),
    "a box needs the finite numbers",
  ),
  "nan in points": (
    "cvat",
    "annotations.xml",
    lambda t: t.replace('points="10.25,20.50"', 'points="nan,20.50"'),
    "of finite numbers, got 'nan,20.50'",
  ),
  "infinite box": (
    "cvat",
    "annotations.xml",
    lambda t: t.replace('xtl="5.00"', 'xtl="-inf"'),
    "a box needs the finite numbers",
  ),
  "cut json": ("labelme", "a.json", lambda t: t[:500], "not valid json"),
  "labelme point": (
    "labelme",
    "a.json",
    lambda t: t.replace("10.25", "null"),
    "a point, expected 1 finite",
  ),
  "JSON-MIN": (
    "label-studio",
    "project-7.json",
    lambda t: '[{"image": "a.png", "kp": [], "annotation_id": 1}]',
    "export again as JSON",
  ),
  "percent": (
    "label-studio",
    "project-7.json",
    lambda t: t.replace('"x": 50.0', '"x": null'),
    "in percent",
  ),
  "value": (
    "label-studio",
    "project-7.json",
    lambda t: t.replace('"value": {', '"value": 7, "old": {'),
    "not as label-studio writes it",
  ),
  "kpt_shape": (
    "yolo",
    "data.yaml",
    lambda t: t.replace("[3, 3]", "[3, 4]"),
    "kpt_shape is [K, 2] or [K, 3]",
  ),
  "flip_idx": (
    "yolo",
    "data.yaml",
    lambda t: t.replace("[0, 2, 1]", "[0, 1, 1]"),
    "flip_idx names for each of 3",
  ),
  "names": (
    "yolo",
    "data.yaml",
    lambda t: t.replace("[nose, ", "["),
    "3 different names",
  ),
  "yaml": ("yolo", "data.yaml", lambda t: t + "\n: [", "not valid yaml"),
  "no images": (
    "yolo",
    "data.yaml",
    lambda t: t.replace("images", "pictures"),
    "found no images in its train",
  ),
  "line": (
    "yolo",
    "train/labels/a.txt",
    lambda t: t.replace(" 2.000000 ", " ", 1),
    "a.txt: line 1 expected 14 numbers",
  ),
  "no number": (
    "yolo",
    "train/labels/a.txt",
    lambda t: t.replace(" 2.000000 ", " two ", 1),
    "a.txt: line 1 expected finite numbers, got 'two'",
  ),
  "not finite": (
    "yolo",
    "train/labels/a.txt",
    lambda t: t.replace(" 2.000000 ", " nan ", 1),
    "a.txt: line 1 expected finite numbers, got 'nan'",
  ),
  "class": (
    "yolo",
    "train/labels/a.txt",
    lambda t: "7" + t[1:],
    "is of class 7",
  ),
  "keypoints": (
    "coco",
    "annotations/keypoints_train2020.json",
    lambda t: t.replace("10.25, ", ""),
    "must hold x, y, visibility",
  ),
  "image id": (
    "coco",
    "annotations/keypoints_train2020.json",
    lambda t: t.replace('"image_id": 40', '"image_id": 41'),
    "not among the ids of 'images'",
  ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_answered_in_one_line(tmp_path, name):
  kind, file, damage, message = BAD_FILES[name]
  source = MAKERS[kind](tmp_path)
  path = tmp_path / file
  before = path.read_text()
  path.write_text(damage(before))
  assert path.read_text() != before
  done = commands.run("convert", source, f"--out={tmp_path}/out/train.json")
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  assert message in done.stderr
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  ("kind", "package"), [("yolo", "yaml"), ("sleap", "sleap_io")]
)
def test_a_package_that_is_missing_is_named(
  tmp_path, monkeypatch, kind, package
):
  monkeypatch.setitem(sys.modules, package, None)
  source = tmp_path / "a.slp"
  if kind == "yolo":
    source = projects.yolo(tmp_path)
  else:
    source.write_text("")
  text = refused(source, f"--out={tmp_path / 'train.json'}")
  assert text.endswith(f"needs {package}: pip install 'darkjax[convert]'\n")


def test_another_format_by_name(tmp_path):
  source = projects.labelme(tmp_path)
  out = f"--out={tmp_path / 'out.json'}"
  text = refused(source / "a.json", out, "--format=coco")
  assert "'images' must be a list" in text
  text = refused(source / "a.json", out, "--format=label-studio")
  assert "expected Label Studio's list of tasks" in text


def test_missing_images_are_named(tmp_path):
  source = projects.cvat(tmp_path / "project")
  (tmp_path / "project" / "images").rename(tmp_path / "moved")
  out = f"--out={tmp_path / 'train.json'}"
  text = refused(source, out)
  assert "none of its 2 images is there, such as images/Train/a.png" in text
  assert "--images" in text
  done = commands.run("convert", source, out, f"--images={tmp_path / 'moved'}")
  assert done.returncode in (0, 1)
  content = projects.read_json(tmp_path / "train.json")
  assert content["images"][0]["file_name"] == "Train/a.png"


def test_some_missing_images_are_counted(tmp_path):
  source = projects.labelme(tmp_path)
  (tmp_path / "b.jpg").unlink()
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert "left out: 1 images not found" in done.stdout


def test_images_turned_by_exif_are_left_out(tmp_path):
  source = projects.labelme(tmp_path)
  exif = projects.PIL.Image.Exif()
  exif[0x0112] = 6
  projects.image(tmp_path / "b.jpg", exif=exif)
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert "left out: 1 images turned by EXIF" in done.stdout


@pytest.mark.parametrize(("suffix", "orientation"), [("jpg", 9), ("tiff", 1)])
def test_images_that_training_does_not_turn_are_kept(
  tmp_path, suffix, orientation
):
  exif = projects.PIL.Image.Exif()
  exif[0x0112] = orientation
  path = tmp_path / f"b.{suffix}"
  projects.image(path, exif=exif)
  image = ImageFiles([tmp_path], LeftOut()).open(path.name)
  with projects.PIL.Image.open(path) as stored:
    assert image.size == stored.size[::-1]


def test_a_size_is_that_of_the_stored_picture(tmp_path):
  exif = projects.PIL.Image.Exif()
  exif[0x0112] = 6
  picture = projects.PIL.Image.new("RGB", (40, 20))
  picture.save(tmp_path / "a.tiff", exif=exif)
  files = ImageFiles([tmp_path], LeftOut())
  assert files.open("a.tiff", turned=False).size == (20, 40)


def test_nobody_is_an_error(tmp_path):
  source = projects.labelme(tmp_path)
  (tmp_path / "a.json").unlink()
  path = tmp_path / "b.json"
  path.write_text(path.read_text().replace('"point"', '"circle"'))
  text = refused(source, f"--out={tmp_path / 'out' / 'train.json'}")
  assert "nobody has a labelled keypoint in its 1 images (labelme)" in text
  assert "1 shapes of the type circle" in text


def test_existing_files_are_kept(tmp_path):
  source = projects.yolo(tmp_path / "set")
  out = tmp_path / "train.json"
  (tmp_path / "val.json").write_text("mine")
  assert "val.json exists already" in refused(source, f"--out={out}")
  assert not out.exists()
  commands.run("convert", source, f"--out={out}", "--overwrite")
  assert out.is_file()
  assert projects.read_json(tmp_path / "val.json")["images"]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_second_conversion_does_not_read_the_first(tmp_path, kind):
  source = MAKERS[kind](tmp_path)
  folder = source if source.is_dir() else source.parent
  out = f"--out={tmp_path / 'a.json'}"  # before all others
  if kind == "labelme":
    out = f"--out={tmp_path / 'a0.json'}"
  first = commands.run("convert", folder, out)
  second = commands.run("convert", folder, out, "--overwrite")
  assert first.returncode in (0, 1)
  assert second == first


@pytest.mark.parametrize("kind", MAKERS)
def test_from_inside_the_project(tmp_path, monkeypatch, kind):
  MAKERS[kind](tmp_path)
  monkeypatch.chdir(tmp_path)
  done = commands.run("convert", ".", "--out=train.json")
  assert done.returncode in (0, 1), done.stderr
  content = projects.read_json(tmp_path / "train.json")
  assert all((tmp_path / i["file_name"]).is_file() for i in content["images"])
  assert not any(".." in i["file_name"] for i in content["images"])


def test_the_source_is_never_replaced(tmp_path):
  source = projects.coco(tmp_path) / "annotations" / "keypoints_val2020.json"
  before = source.read_text()
  text = refused(source, f"--out={source}", "--overwrite")
  assert "belongs to what is to be converted" in text
  out = source.with_name("keypoints_train2020.json")
  text = refused(tmp_path, f"--out={out}", "--overwrite")
  assert "belongs to what is to be converted" in text
  assert source.read_text() == before


def test_exit_status_is_the_checks(tmp_path):
  source = projects.lightning_pose(tmp_path)
  done = commands.run("convert", source, f"--out={tmp_path / 'train.json'}")
  assert "0 errors, 0 warnings" in done.stdout
  assert done.returncode == 0
  lines = source.read_text().splitlines()  # a bodypart that is nowhere
  source.write_text("\n".join([*lines[:3], lines[4]]))
  done = commands.run("convert", source, f"--out={tmp_path / 'again.json'}")
  assert "WARNING keypoint-never-labelled" in done.stdout
  assert done.returncode == 1
  assert (tmp_path / "again.json").is_file()


def test_padding(tmp_path):
  source = projects.lightning_pose(tmp_path)
  out = tmp_path / "train.json"
  commands.run("convert", source, f"--out={out}", "--padding=0.5")
  x, y, w, h = projects.read_json(out)["annotations"][0]["bbox"]
  # By hand: 39.75 x 39.5 px from (10.25, 20.5) on, 19.875 more, cut at 0.
  np.testing.assert_allclose(
    [x, y, w, h], [0.0, 0.625, 69.875, 79.25], atol=1e-6
  )
  assert "above 0" in refused(source, f"--out={out}", "--padding=0")


def test_boxes_of_people_without_extent():
  dog = Category("dog", ("nose",))
  one = Person(dog, np.array([[50.0, 40.0, 2.0]]))
  sizes = boxes.usual_sides([one])
  assert sizes == {}
  assert boxes.around_keypoints(one.keypoints) == (34.0, 24.0, 32.0, 32.0)
  # Cut at the width, which is beyond the height.
  right = np.array([[80.0, 10.0, 2.0], [110.0, 20.0, 2.0]])
  box = boxes.around_keypoints(right, padding=0.5, size=(60, 120))
  assert box == (65.0, 0.0, 55.0, 35.0)
  # Beside the image, where nothing would be left of it, a box stays whole.
  beside = np.array([[-90.0, 40.0, 2.0]])
  box = boxes.around_keypoints(beside, size=(60, 100))
  assert box == (-106.0, 24.0, 32.0, 32.0)


def test_files_by_the_end_of_their_path(tmp_path):
  for folder in ("a", "b"):
    projects.image(tmp_path / "x" / folder / "1.png")
  projects.image(tmp_path / "x" / "b" / "2.PNG")
  counts = LeftOut()
  found = ImageFiles([tmp_path], counts)
  assert found.find("C:\\old\\x\\b\\1.png") == tmp_path / "x" / "b" / "1.png"
  assert found.find("1.png") is None  # there are two
  assert found.find("2.png") == tmp_path / "x" / "b" / "2.PNG"
  assert found.open("3.png", "b/2.png") is not None
  assert found.open("3.png") is None
  assert counts == {"images not found": 1}
  with pytest.raises(ValueError, match=r"3.png and 2.png both lead to"):
    found.open("2.png")


def test_an_out_folder_that_is_a_link(tmp_path):
  source = projects.lightning_pose(tmp_path / "project")
  (tmp_path / "other" / "place").mkdir(parents=True)
  link = tmp_path / "out"
  link.symlink_to(tmp_path / "other" / "place", target_is_directory=True)
  done = commands.run("convert", source, f"--out={link / 'train.json'}")
  assert done.returncode == 0, done.stdout
  name = projects.read_json(link / "train.json")["images"][0]["file_name"]
  assert name == "../../project/labeled-data/one/img01.png"


def test_images_of_another_drive_keep_their_whole_path(tmp_path, monkeypatch):
  source = projects.lightning_pose(tmp_path / "project")
  monkeypatch.setattr(
    writer.os.path, "relpath", lambda *_: ntpath.relpath("D:/a", "C:/b")
  )
  out = tmp_path / "train.json"
  done = commands.run("convert", source, f"--out={out}")
  assert done.returncode == 0, done.stderr
  path = source.parent / "labeled-data" / "one" / "img01.png"
  assert projects.read_json(out)["images"][0]["file_name"] == path.as_posix()


def test_a_frame_that_cannot_be_read_leaves_no_file(tmp_path):
  def fail() -> bytes:
    raise ValueError("no")

  images = [
    Image(Frame("a/0.png", lambda: b"x")),
    Image(Frame("a/1.png", fail)),
  ]
  with pytest.raises(ValueError, match="no"):
    writer.write_frames(Labels(images, None).images, tmp_path)
  assert [p.name for p in (tmp_path / "a").iterdir()] == ["0.png"]


def test_jsons_of_boxes_are_passed_over(tmp_path):
  source = projects.coco(tmp_path)
  boxes_only = {"images": [], "annotations": [], "categories": [{"id": 1}]}
  path = source / "annotations" / "a_instances.json"
  path.write_text(json.dumps(boxes_only))
  assert recognise.recognise(source)[0] == "coco"
  assert "no category has 'keypoints'" in refused(
    path, f"--out={tmp_path / 'out.json'}"
  )

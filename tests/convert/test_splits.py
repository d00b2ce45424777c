"""Names of splits, and the files that they are written to."""

import pathlib

import commands
import label_projects as projects
import pytest

from darkjax.convert import splits


@pytest.mark.parametrize(
  ("path", "right"),
  [
    ("annotations/person_keypoints_val2017.json", "val"),
    ("valid/_annotations.coco.json", "val"),
    ("Validation-2/labels.json", "val"),
    ("trainset/labels.json", "train"),
    ("train/test.json", "test"),  # the file's before the folder's
    ("a/latest.json", "latest"),
    ("contest_2024/labels.json", "labels"),
    ("a/interval.json", "interval"),
    ("retrieval/labels.json", "labels"),
  ],
)
def test_the_split_that_a_path_says(path, right):
  assert splits.split_of(pathlib.Path(path)) == right


@pytest.mark.parametrize(
  ("out", "right"),
  [
    ("train.json", "val.json"),
    ("dogs-Train2017.json", "dogs-val2017.json"),
    ("training.json", "val.json"),
    ("constrained.json", "constrained_val.json"),
    ("test.json", "test_val.json"),
  ],
)
def test_the_file_of_a_split(out, right):
  paths = splits.split_paths(pathlib.Path(out), ["train", "val"])
  assert [path.name for path in paths.values()] == [out, right]


@pytest.mark.parametrize("folders", [("cam1", "cam2"), ("train", "train2")])
def test_jsons_of_one_name_are_splits_of_their_own(tmp_path, folders):
  made = projects.coco(tmp_path / "made")
  source = tmp_path / "project"
  for folder, split, name in zip(folders, ("train", "val"), "ab", strict=True):
    image = made / f"{split}2020" / f"{name}.jpg"
    labels = made / "annotations" / f"keypoints_{split}2020.json"
    (source / folder).mkdir(parents=True)
    image.rename(source / folder / image.name)
    labels.rename(source / folder / "_annotations.coco.json")
  done = commands.run("convert", source, f"--out={tmp_path / 'dogs.json'}")
  assert "refused: 0" in done.stdout
  for folder, name in zip(folders, "ab", strict=True):
    path = tmp_path / f"dogs_{folder}__annotations.coco.json"
    (image,) = projects.read_json(path)["images"]
    assert image["file_name"] == f"project/{folder}/{name}.jpg"

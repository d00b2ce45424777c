"""Names of splits, and the files that they are written to."""

import pathlib

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

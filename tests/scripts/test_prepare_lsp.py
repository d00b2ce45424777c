"""The json files made from joints.mat equal those beside it."""

import json
import pathlib

import numpy as np
import PIL.Image
import prepare_lsp as script
import pytest
import scipy.io

from darkjax.data.coco import reader


def read(path: pathlib.Path) -> dict:
  return json.loads(path.read_text())


def test_lsp_equals_the_files_beside_the_photographs(test_data, tmp_path):
  script.prepare_lsp(test_data / "lsp", tmp_path, test_people=800)
  for split in ("train", "test"):
    name = f"annotations/person_keypoints_{split}.json"
    assert read(tmp_path / name) == read(test_data / "lsp" / name)


def original_sizes(labels, content) -> dict[int, tuple[int, int]]:
  """(width, height) of LSP-Extended images as far as a crop can tell.

  The photographs that the crops came from are not at hand. Where a crop ends
  before its padded extent does, it ends at the border of the image, and the
  scale of the labels tells how many pixels it had before it was scaled down.
  """
  sizes = {}
  for image, person in zip(
    content["images"], content["annotations"], strict=True
  ):
    known = np.reshape(person["keypoints"], (14, 3))
    use = known[:, 2] > 0
    points = labels[image["id"] - 1][use, :2]
    padding = 0.35 * max(np.ptp(points, axis=0))
    first = np.maximum(np.floor(points.min(0) - padding), 0)
    end = np.ceil(points.max(0) + padding)
    target = np.array([image["width"], image["height"]])
    sizes[image["id"]] = tuple(
      int(first[axis])
      + whole_pixels(
        points[:, axis] - first[axis], known[use, axis], int(target[axis]),
        int(end[axis] - first[axis]),
      )
      for axis in (0, 1)
    )  # fmt: skip
  return sizes


def whole_pixels(points, moved, target: int, most: int) -> int:
  """The number of pixels that were scaled to `target`."""
  for count in range(most, target - 1, -1):
    error = (points + 0.5) * target / count - 0.5 - moved
    if np.abs(error).max() < 0.0051:  # the labels are rounded to 0.01
      return count
  raise AssertionError("no number of pixels fits")


def test_lspet_equals_the_file_beside_the_photographs(test_data):
  path = test_data / "lspet" / "annotations/person_keypoints_train.json"
  content = read(path)
  labels = script.lspet_labels(
    script.load_joints(test_data / "lspet" / "joints.mat")
  )
  sizes = original_sizes(labels, content)
  entries = []
  for person_id in range(1, content["images"][-1]["id"] + 1):
    # Of an image that is not in the file only its labels are known.
    size = sizes.get(person_id, (10_000, 10_000))
    crop = script.lspet_crop(labels[person_id - 1], size)
    if crop is not None:
      person = script.annotation(person_id, crop.labels, crop.size)
      entries.append((f"im{person_id:05d}.jpg", crop.size, person))
  made = script.coco_content(content["info"]["description"], entries)
  assert len(made["images"]) == 2000
  assert made == content


def person(visible: int = 14) -> np.ndarray:
  """[14, 3] labels from 1 of a 100 x 150 px person in the middle."""
  x = np.linspace(121, 221, 14)
  y = np.linspace(61, 211, 14)
  return np.stack([x, y, np.arange(14) < visible], -1)


def public_folder(folder: pathlib.Path, people: list[np.ndarray]):
  (folder / "images").mkdir(parents=True)
  scipy.io.savemat(folder / "joints.mat", {"joints": np.stack(people, -1)})
  for i, labels in enumerate(people):
    # A white spot of 7 px around each labelled keypoint.
    pixels = np.zeros((260, 340, 3), np.uint8)
    for x, y, _ in np.rint(labels).astype(int):
      pixels[max(y - 4, 0) : y + 3, max(x - 4, 0) : x + 3] = 255
    PIL.Image.fromarray(pixels).save(
      folder / "images" / f"im{i + 1:05d}.jpg", quality=98
    )
  return folder


def test_lspet_crops_show_the_labels(tmp_path):
  outside = person()
  outside[:2, 0] = [-30, 400]
  small = person()
  small[:, :2] = small[:, :2] / 2 + 60  # 75 px high
  folder = public_folder(
    tmp_path / "lspet",
    [person(), person(12), person(13), small, outside, person(), person()],
  )
  script.prepare_lspet(folder, tmp_path / "out", people=3)
  path = tmp_path / "out/annotations/person_keypoints_train.json"
  content = read(path)
  assert [image["id"] for image in content["images"]] == [1, 3, 6]
  assert [a["num_keypoints"] for a in content["annotations"]] == [14, 13, 14]
  # From (67.5, 7.5) to (272.5, 262.5), outwards to whole pixels, cut at the
  # lower border (260): 206 x 253, scaled by 192 / 253.
  assert (content["images"][0]["width"], content["images"][0]["height"]) == (
    156,
    192,
  )
  for image, annotation in zip(
    content["images"], content["annotations"], strict=True
  ):
    file = tmp_path / "out/images" / image["file_name"]
    pixels = np.asarray(PIL.Image.open(file).convert("L"))
    assert pixels.shape == (image["height"], image["width"])
    for x, y, visibility in np.reshape(annotation["keypoints"], (14, 3)):
      assert visibility == 0 or pixels[round(y), round(x)] > 200
  assert reader.read_annotations(path).skeleton.name == "lsp"


def test_missing_folder_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"joints\.mat"):
    script.prepare_lsp(tmp_path, tmp_path, test_people=800)

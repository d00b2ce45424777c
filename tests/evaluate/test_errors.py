"""The table and the sheet of errors, on two people with known ones."""

import coco_folder
import numpy as np
import PIL.Image
import pytest
from coco_folder import DOLL

from darkjax.evaluate import errors
from darkjax.evaluate.scores import DatasetPredictions

# Hands that trade places, and a head far off; of the other person nothing.
MOVES = {(0, 1): (31.5, 33.0), (0, 2): (12.0, 30.0), (1, 0): (47.0, 60.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp("errors")
  coco_folder.write(root, coco_folder.content(num_images=3))
  return root


def found(folder, moves):
  truth = np.array([[[20.25, 10.5], [12.0, 30.0], [31.5, 33.0]]] * 3)
  keypoints = truth.copy()
  for (person, part), place in moves.items():
    keypoints[person, part] = place
  predictions = DatasetPredictions(
    image_ids=np.array([1, 2, 3]),
    annotation_ids=np.array([101, 102, 103]),
    box_scores=np.ones(3),
    box_areas=np.full(3, 1500.0),
    truth=truth,
    visible=np.ones((3, 3)),
    keypoint_scores=np.ones((3, 3)),
    keypoints={"dark": keypoints},
    covariances={"dark": np.zeros((3, 3, 2, 2))},
  )
  return errors.find(predictions, "dark", folder / "annotations.json", DOLL)


def test_each_keypoint_and_kind_has_its_share_and_cost(folder):
  title, head, *rows = errors.table(found(folder, MOVES)).splitlines()
  assert "dark" in title
  assert head.split() == [
    *("labels", "boxPCK@0.2", "px", "good", "jitter", "inversion", "swap"),
    *("miss", "AP", "lost"),
  ]
  cells = {row.split()[0]: row.split()[1:] for row in rows[:4]}
  assert cells["head"][:8] == "3 66.7 0.0 66.7 0.0 0.0 0.0 33.3".split()
  for hand in ("left_hand", "right_hand"):
    assert cells[hand][:8] == "3 66.7 0.0 66.7 0.0 33.3 0.0 0.0".split()
  assert cells["all"][:8] == "9 66.7 0.0 66.7 0.0 22.2 0.0 11.1".split()
  # Of three people one is right: with the others corrected AP is 100.
  jitter, inversion, swap, miss = map(float, rows[4].split()[2:])
  assert jitter == swap == 0
  assert inversion > 0
  assert miss > 0
  whole = float(cells["all"][8])
  assert whole >= inversion + miss
  assert float(cells["head"][8]) == miss


def test_without_errors_nothing_is_lost(folder):
  rows = errors.table(found(folder, {})).splitlines()[2:]
  assert rows[-2].split()[4:] == "100.0 0.0 0.0 0.0 0.0 0.0".split()
  assert rows[-1].split()[2:] == ["0.0"] * 4


def test_the_sheet_has_a_row_for_each_kind_that_occurs(folder):
  one = errors.sheet(found(folder, {(1, 0): MOVES[1, 0]}), folder / "images")
  both = errors.sheet(found(folder, MOVES), folder / "images")
  assert both.size == (one.width, 2 * one.height + 4)
  assert isinstance(
    errors.sheet(found(folder, {}), folder / "images"), PIL.Image.Image
  )


def test_the_category_may_have_any_id(tmp_path):
  content = coco_folder.content(num_images=3)
  for entry in (*content["annotations"], *content["categories"]):
    entry["category_id" if "bbox" in entry else "id"] = 18
  coco_folder.write(tmp_path, content)
  coco_folder.write(tmp_path / "usual", coco_folder.content(num_images=3))
  table = errors.table(found(tmp_path, MOVES))
  assert table == errors.table(found(tmp_path / "usual", MOVES))

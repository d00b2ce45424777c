"""Keypoints no built-in skeleton has: check, train, evaluate, predict."""

import math

import drawn_folder
import ml_collections
import numpy as np
import pytest
from published import load

from darkjax import skeletons
from darkjax.data.check import report as check
from darkjax.inference import pose
from darkjax.train import loop

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")

PEOPLE = 4
# Two branches of four channels: structure of HRNet, quick to compile.
TINY = {
  "channels": 4,
  "stem_features": 4,
  "stage1_features": 4,
  "modules": (1,),
  "blocks": 1,
}


def config(folder) -> ml_collections.ConfigDict:
  """What the guide says to change, and a small network."""
  config = load("quickstart")
  config.data.root = str(folder)
  config.data.train = (("annotations.json", "images"),)
  config.data.val = ("annotations.json", "images")
  config.data.cache = str(folder / "cache")
  config.convention.crop_size = (64, 64)
  config.model.overrides = ml_collections.ConfigDict(TINY)
  config.augmentation.half_body_probability = 1.0
  config.train.batch_size = config.evaluate.batch_size = PEOPLE
  config.train.epochs = 2
  config.optimizer.milestones = ()
  config.evaluate.methods = ("dark",)
  return config


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
  ("kind", "count", "pck"), [("hand", 21, "boxPCK"), ("whole_body", 133, "PCK")]
)
def test_train_evaluate_predict(tmp_path, kind, count, pck):
  path = drawn_folder.write(tmp_path, kind, PEOPLE)
  report = check.check(path, tmp_path / "images")
  assert report.exit_status == 0
  assert len(report.summary["keypoints"]) == count

  metrics = loop.train(config(tmp_path), str(tmp_path / "run"))
  assert {f"dark/{pck}@0.2/gt_boxes", "dark/AP/gt_boxes"} <= set(metrics)
  assert all(math.isfinite(value) for value in metrics.values())

  find = pose.Pose.from_checkpoint(tmp_path / "run", batch_size=1)
  photo = tmp_path / "images" / "1.png"
  (person,) = find(photo)
  assert person.keypoints_image.shape == (count, 2)
  category = drawn_folder.CATEGORIES[kind]
  assert person.skeleton == skeletons.from_coco_category(category)
  drawn = np.asarray(person.plot(min_score=-1.0))
  assert drawn.shape == (drawn_folder.HEIGHT, drawn_folder.WIDTH, 3)

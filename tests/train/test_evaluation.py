"""A configuration's category: what is trained on, packed and scored."""

import coco_folder
import numpy as np
import pytest

from configs import quickstart
from darkjax.data import from_config
from darkjax.data.pack.build import pack_config
from darkjax.evaluate.scores import DatasetPredictions
from darkjax.train import evaluation

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


def config(folder, kind: str, category: str):
  config = quickstart.get_config()
  config.convention.crop_size = (64, 64)
  config.data.root = str(folder)
  config.data.cache = str(folder / "cache")
  config.data.pack = str(folder / "packs")
  config.data.train = (("annotations.json", "images"),)
  config.data.val = ("annotations.json", "images")
  config.data.source = kind
  config.data.category = category
  config.train.batch_size = 2
  config.evaluate.methods = ("argmax",)
  return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Four dolls and two balls, packed apart."""
  folder = tmp_path_factory.mktemp("dolls_and_balls")
  coco_folder.write(folder, coco_folder.with_balls(coco_folder.content(4)))
  for category in ("doll", "ball"):
    pack_config(config(folder, "tf", category))
  return folder


def labels(batch, convention) -> DatasetPredictions:
  """The labels of a batch as what was found."""
  count = convention.skeleton.num_keypoints
  return DatasetPredictions(
    image_ids=batch["image_id"],
    annotation_ids=batch["annotation_id"],
    box_scores=np.ones(2),
    box_areas=np.ones(2),
    truth=np.zeros((2, count, 2)),
    visible=np.ones((2, count)),
    keypoint_scores=np.ones((2, count)),
    keypoints={"argmax": np.array([[[20.0, 10.0], [20.0, 40.0]]] * 2)},
    covariances={},
  )


@pytest.mark.parametrize("kind", ["tf", "resident"])
def test_the_named_category_is_trained_on_and_scored(folder, kind, monkeypatch):
  settings = config(folder, kind, "ball")
  named = from_config.read(settings)
  assert named.convention.skeleton.keypoint_names == ("top", "bottom")
  assert named.steps_per_epoch == 1
  batch = next(named.train_batches(0, 2))
  assert sorted(batch["annotation_id"].tolist()) == [301, 302]
  # The balls' labels in place of a network.
  found = labels(batch, named.convention)
  monkeypatch.setattr(
    evaluation.predict, "predict_dataset", lambda *_, **__: found
  )
  monkeypatch.setattr(evaluation.pictures, "draw_predictions", lambda *_: None)
  metrics = evaluation.evaluate(None, {}, config=settings, data=named).metrics
  assert metrics["argmax/AP/gt_boxes"] == pytest.approx(100, abs=1e-9)


@pytest.mark.parametrize("kind", ["tf", "resident"])
def test_packs_of_two_categories_lie_apart(folder, kind):
  named = from_config.read(config(folder, kind, "doll"))
  assert named.steps_per_epoch == 2


def test_without_a_name_they_are_refused(folder):
  with pytest.raises(ValueError, match=r"'doll', 3.*'ball', 2.*data\.category"):
    from_config.read(config(folder, "tf", ""))

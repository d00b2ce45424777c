"""The data of a configuration, and which people a checkpoint is scored on."""

import json
import pathlib
import types

import coco_folder
import numpy as np
import pytest

from configs import quickstart
from darkjax.data import from_config

RUN = {"data": {"root": "there", "val": ["val.json", "photos"]}}


def test_flags_come_before_the_run_and_data_may_move():
  named = from_config.validation_paths(
    "x", RUN, annotations="a.json", images="b"
  )
  assert named == (pathlib.Path("a.json"), pathlib.Path("b"))
  moved = from_config.validation_paths("x", RUN, root="here")
  assert moved == (pathlib.Path("here/val.json"), pathlib.Path("here/photos"))


@pytest.mark.parametrize(
  ("config", "named", "message"),
  [
    (RUN, {"annotations": "a.json"}, "got --annotations=a.json and --images=N"),
    (RUN, {"images": "b"}, "--annotations=None and --images=b"),
    ({}, {}, "runs/x does not say on which data it was validated"),
  ],
)
def test_half_a_choice_and_none_are_refused(config, named, message):
  with pytest.raises(ValueError, match=message):
    from_config.validation_paths("runs/x", config, **named)


def test_the_frame_is_the_given_one_or_that_of_the_run():
  run = {"data": {"upright": True}}
  assert from_config.validation_upright(run)
  assert not from_config.validation_upright(run, given=False)
  assert from_config.validation_upright({}, given=True)
  for old in ({}, {"data": {}}):
    assert not from_config.validation_upright(old)


def test_the_category_is_the_named_one_or_that_of_the_runs_own_data():
  run = {"data": {"category": "hand"}}
  assert from_config.validation_category(run) == "hand"
  assert from_config.validation_category(run, named="foot") == "foot"
  assert from_config.validation_category(run, annotations="a.json") == ""
  assert from_config.validation_category({"data": {}}) == ""


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("differ", [False, True])
def test_sigmas_of_validation_that_differ_are_logged(tmp_path, caplog, differ):
  content = coco_folder.content()
  coco_folder.write(tmp_path, content)
  if differ:
    content["categories"][0]["sigmas"] = [0.1, 0.2, 0.3]
  (tmp_path / "val.json").write_text(json.dumps(content))
  config = quickstart.get_config()
  config.data.root, config.data.cache = str(tmp_path), str(tmp_path / "cache")
  config.data.train = (("annotations.json", "images"),)
  config.data.val = ("val.json", "images")
  config.train.batch_size = 2
  from_config.read(config)
  text = "OKS sigmas of training's labels score validation, whose labels have"
  assert (text in caplog.text) == differ


@pytest.mark.parametrize("val", [(), None, "", "val.json", ("val.json",)])
def test_no_pair_to_validate_on_is_one_line(val):
  config = quickstart.get_config().unlock()
  with config.ignore_type():
    config.data.val = val
  with pytest.raises(ValueError, match=r"data.val needs a json and .*--val=0"):
    from_config.read(config)


@pytest.mark.parametrize("train", [(), None, ("train.json", "photos")])
def test_no_pairs_to_train_on_are_one_line(train):
  config = quickstart.get_config().unlock()
  with config.ignore_type():
    config.data.train = train
  with pytest.raises(ValueError, match=r'such as \(\("train.json", "photos"\)'):
    from_config.prepare_training(config)


def test_a_threshold_above_every_packed_box_is_one_line(monkeypatch):
  pack = types.SimpleNamespace(
    people=types.SimpleNamespace(score=np.array([0.2, 0.7])),
    folder="packs/val",
    boxes_digest="",
  )
  monkeypatch.setattr(from_config, "_read_pack", lambda *_: pack)
  config = quickstart.get_config()
  config.data.source, config.data.pack = "resident", "packs"
  config.data.root = "none"
  config.evaluate.boxes, config.evaluate.box_threshold = "boxes.json", 0.8
  message = "packs/val: none of 2 boxes .* best score is 0.7: lower the thresh"
  with pytest.raises(ValueError, match=message):
    from_config.read(config)

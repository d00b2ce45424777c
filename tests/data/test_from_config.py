"""Which people a checkpoint is evaluated on."""

import pathlib

import pytest

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

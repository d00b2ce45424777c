"""Checkpoints: what is written is read; damage is survived and said."""

import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax import checkpoint, pose, skeletons
from darkjax import convention as convention_lib

CONVENTION = convention_lib.from_config(
  coco_hrnet_w32_128x96.get_config().convention, skeleton=skeletons.COCO
)
METADATA = checkpoint.Metadata(
  CONVENTION,
  {"name": "hrnet_w32", "num_keypoints": 17, "modules": (1, 4, 3)},
  {"seed": 0},
)


def tree(value: float):
  return {"params": {"w": jnp.full((3, 2), value)}, "batch_stats": {}}


def training(value: float):
  return {"step": jnp.asarray(int(value)), "opt_state": jnp.full(4, value)}


def write(folder, steps, keep=3):
  with checkpoint.manager(folder, keep=keep) as checkpoints:
    for step in steps:
      checkpoint.save(
        checkpoints,
        step,
        variables=tree(step),
        training=training(step),
        metadata=METADATA,
      )


def restore(folder):
  with checkpoint.manager(folder, keep=3) as checkpoints:
    return checkpoint.restore(
      checkpoints, variables=tree(0), training=training(0)
    )


def test_an_empty_folder_has_nothing_to_restore(tmp_path):
  assert restore(tmp_path) is None


def test_the_latest_step_comes_back(tmp_path):
  write(tmp_path, [1, 2])
  found = restore(tmp_path)
  assert (found.step, found.metadata) == (2, METADATA)
  np.testing.assert_array_equal(found.variables["params"]["w"], 2.0)
  np.testing.assert_array_equal(found.training["opt_state"], 2.0)


def test_old_steps_are_removed(tmp_path):
  write(tmp_path, [1, 2, 3, 4], keep=2)
  with checkpoint.manager(tmp_path, keep=2) as checkpoints:
    assert sorted(checkpoints.all_steps()) == [3, 4]


@pytest.mark.parametrize("damage", ["truncated", "missing", "no training"])
def test_a_damaged_step_falls_back_to_the_one_before(tmp_path, caplog, damage):
  write(tmp_path, [1, 2])
  if damage == "no training":
    shutil.rmtree(tmp_path / "2" / "training")
  files = [p for p in (tmp_path / "2").rglob("*") if p.is_file()]
  for file in files:
    if damage == "truncated":
      file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "missing" and "d" in file.parent.name:
      file.unlink()
  with caplog.at_level(logging.WARNING):
    found = restore(tmp_path)
  assert found.step == 1
  np.testing.assert_array_equal(found.variables["params"]["w"], 1.0)
  assert "checkpoint 2 is unreadable" in caplog.text


def test_nothing_readable_is_an_error_not_a_fresh_start(tmp_path):
  write(tmp_path, [1])
  shutil.rmtree(tmp_path / "1" / "variables")
  with pytest.raises(RuntimeError, match="none of the checkpoints"):
    restore(tmp_path)


def test_variables_are_loaded_for_inference(tmp_path):
  write(tmp_path / "checkpoints", [1, 2])
  variables, metadata = checkpoint.load(tmp_path)
  assert metadata == METADATA
  assert isinstance(variables["params"]["w"], np.ndarray)
  np.testing.assert_array_equal(variables["params"]["w"], 2.0)
  earlier, _ = checkpoint.load(tmp_path, step=1)
  np.testing.assert_array_equal(earlier["params"]["w"], 1.0)


def test_imported_weights_are_a_checkpoint_too(tmp_path):
  checkpoint.save_variables(tmp_path, tree(5), CONVENTION, METADATA.model)
  variables, metadata = checkpoint.load(tmp_path)
  assert metadata == METADATA._replace(config={})
  jax.tree.map(np.testing.assert_array_equal, variables, tree(5))
  with pytest.raises(ValueError, match="already holds a checkpoint"):
    checkpoint.save_variables(tmp_path, tree(5), CONVENTION, METADATA.model)


def test_missing_checkpoints_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="numbered steps"):
    checkpoint.load(tmp_path / "nowhere")
  write(tmp_path, [1, 2])
  with pytest.raises(FileNotFoundError, match=r"step 7 .*\[1, 2\]"):
    checkpoint.load(tmp_path, step=7)


def change_metadata(folder, change):
  """Rewrites the json of the only step, as a stranger could."""
  (path,) = (p for p in folder.glob("0/metadata/*") if p.name == "metadata")
  fields = json.loads(path.read_text())
  change(fields)
  path.write_text(json.dumps(fields))


STRANGE = {
  "no convention": (lambda f: f.pop("convention"), "KeyError: 'convention'"),
  "not a model": (lambda f: f.update(model=["x"]), "AttributeError"),
  "no dictionary": (lambda f: f.update(config=3), "TypeError"),
  "unknown field": (lambda f: f["convention"].update(evil=1), "evil"),
  "unknown choice": (lambda f: f["convention"].update(head="x"), "head='x'"),
  "absurd size": (
    lambda f: f["convention"].update(crop_size=[10**6, 10**6]),
    "from 1 to 8192 px",
  ),
  "no numbers": (lambda f: f["convention"].update(sigma="2"), "TypeError"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_metadata_that_darkjax_did_not_write_is_named(tmp_path, name):
  change, message = STRANGE[name]
  checkpoint.save_variables(tmp_path, tree(5), CONVENTION, METADATA.model)
  change_metadata(tmp_path, change)
  with pytest.raises(
    ValueError, match=f"{tmp_path.name} is not what.*"
  ) as info:
    checkpoint.load(tmp_path)
  assert message in str(info.value)


@pytest.mark.parametrize(
  ("model", "message"),
  [
    ({"name": "os.system"}, "no model 'os.system'; choose one of hrnet_w32"),
    ({"evil": 1}, "hrnet_w32 has no field evil; it takes"),
    ({"dtype": "evil"}, "dtype must be float32 or bfloat16, got evil"),
  ],
)
def test_models_of_strangers_are_looked_up_not_executed(
  tmp_path, model, message
):
  fields = {"name": "hrnet_w32", "num_keypoints": 17, **model}
  checkpoint.save_variables(tmp_path, tree(5), CONVENTION, fields)
  with pytest.raises(ValueError, match=message):
    pose.Pose.from_checkpoint(tmp_path)

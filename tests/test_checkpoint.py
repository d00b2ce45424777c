"""Checkpoints: what is written is read; damage is survived and said."""

import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax import checkpoint, skeletons
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

"""Checkpoints: round trips, and damage on the disk."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax import checkpoint, skeletons
from darkjax import convention as convention_lib
from darkjax.inference import pose

# Orbax never awaits its other reads after one of them has failed.
pytestmark = [
  pytest.mark.usefixtures("forgotten_reads"),
  pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
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
  result = restore(tmp_path)
  assert (result.step, result.metadata) == (2, METADATA)
  np.testing.assert_array_equal(result.variables["params"]["w"], 2.0)
  np.testing.assert_array_equal(result.training["opt_state"], 2.0)


def test_old_steps_are_removed(tmp_path):
  write(tmp_path, [1, 2, 3, 4], keep=2)
  with checkpoint.manager(tmp_path, keep=2) as checkpoints:
    assert sorted(checkpoints.all_steps()) == [3, 4]


def files_of(step):
  """The files of a step, always in the same order."""
  return sorted(p for p in step.rglob("*") if p.is_file())


DAMAGES = {
  "truncated": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
  "emptied": lambda p: p.write_bytes(b""),
  "removed": lambda p: p.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whichever_file_is_damaged_an_intact_step_is_read(tmp_path, damage):
  write(tmp_path / "good", [1, 2])
  taken = []
  for number, file in enumerate(files_of(tmp_path / "good" / "2")):
    copy = tmp_path / str(number)
    shutil.copytree(tmp_path / "good", copy)
    DAMAGES[damage](copy / file.relative_to(tmp_path / "good"))
    result = restore(copy)
    # Some files are not needed; a step is right or not taken at all.
    np.testing.assert_array_equal(
      result.variables["params"]["w"], tree(result.step)["params"]["w"]
    )
    jax.tree.map(
      np.testing.assert_array_equal, result.training, training(result.step)
    )
    taken.append(result.step)
    assert (copy / "2.damaged").is_dir() == (result.step == 1)
    variables, _ = checkpoint.load(copy)
    assert np.unique(variables["params"]["w"]).tolist() in ([1], [2])
  assert set(taken) == {1, 2}


def test_arrays_that_changed_on_the_disk_are_not_used(tmp_path, rng, caplog):
  # Large enough to be stored without a checksum of the store's own.
  weights = rng.normal(size=(2, 100, 100)).astype(np.float32)
  variables = [{"params": {"w": w}, "batch_stats": {}} for w in weights]
  with checkpoint.manager(tmp_path / "good") as checkpoints:
    for step, (own, other) in enumerate((variables, variables[::-1])):
      checkpoint.save(
        checkpoints, step, variables=own, training=other, metadata=METADATA
      )
  for number, file in enumerate(files_of(tmp_path / "good" / "1")):
    copy = tmp_path / str(number)
    shutil.copytree(tmp_path / "good", copy)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (copy / file.relative_to(tmp_path / "good")).write_bytes(content)
    loaded, _ = checkpoint.load(copy)
    assert any(np.array_equal(loaded["params"]["w"], w) for w in weights)
    with checkpoint.manager(copy) as checkpoints:
      result = checkpoint.restore(
        checkpoints, variables=variables[0], training=variables[0]
      )
    for tree, w in (
      (result.variables, weights[result.step]),
      (result.training, weights[1 - result.step]),
    ):
      np.testing.assert_array_equal(tree["params"]["w"], w)
  assert "the numbers of variables are not those that were" in caplog.text
  assert "the numbers of training are not those that were" in caplog.text


def test_a_damaged_step_is_logged_and_can_be_written_again(tmp_path, caplog):
  write(tmp_path, [1, 2])
  for _ in range(2):
    shutil.rmtree(tmp_path / "2" / "training")
    caplog.clear()
    assert restore(tmp_path).step == 1
    assert "checkpoint 2 is unreadable" in caplog.text
    assert "2.damaged; it may be removed" in caplog.text
    write(tmp_path, [2])
    assert restore(tmp_path).step == 2


def test_a_step_of_another_configuration_is_left_alone(tmp_path):
  write(tmp_path, [1, 2])
  other = {"params": {"v": jnp.zeros(7)}, "batch_stats": {}}
  with (
    checkpoint.manager(tmp_path) as checkpoints,
    pytest.raises(RuntimeError, match="none of the checkpoints"),
  ):
    checkpoint.restore(checkpoints, variables=other, training=training(0))
  assert restore(tmp_path).step == 2


def test_half_written_steps_of_killed_processes_are_removed(tmp_path):
  write(tmp_path, [1, 2])
  (tmp_path / "2").rename(tmp_path / "2.orbax-checkpoint-tmp")
  write(tmp_path, [2])
  assert restore(tmp_path).step == 2
  assert not list(tmp_path.glob("*tmp*"))


def test_reading_writes_and_logs_nothing(tmp_path, caplog):
  write(tmp_path, [1])
  half = tmp_path / "2.orbax-checkpoint-tmp"  # that a run is writing
  half.mkdir()
  before = sorted(tmp_path.rglob("*"))
  checkpoint.load(tmp_path)
  assert sorted(tmp_path.rglob("*")) == before
  assert not caplog.records


def test_inference_falls_back_unless_a_step_is_given(tmp_path, caplog):
  write(tmp_path, [1, 2])
  (tmp_path / "2" / "metadata" / "metadata").unlink()
  variables, _ = checkpoint.load(tmp_path)
  np.testing.assert_array_equal(variables["params"]["w"], 1.0)
  assert "checkpoint 2 is unreadable" in caplog.text
  with pytest.raises(RuntimeError, match=r"\[2\] in .* cannot be read"):
    checkpoint.load(tmp_path, step=2)


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


def test_missing_checkpoints_are_errors(tmp_path):
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
def test_metadata_that_darkjax_did_not_write_is_refused(tmp_path, name):
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

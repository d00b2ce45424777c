"""Runs that are asked to stop, and devices that come and go; tiny inputs."""

import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_network
import tiny_run

from darkjax import checkpoint, skeletons
from darkjax.runtime import devices, preemption
from darkjax.train import resume

pytestmark = pytest.mark.usefixtures("optax_promotion")


def ask():
  os.kill(os.getpid(), signal.SIGTERM)


def asking_before(step: int):
  """Batches during the loading of which the run is asked to stop."""

  def stream(start):
    for number, one in enumerate(tiny_run.batches(start), start + 1):
      if number == step:
        ask()
      yield one

  return stream


def fit_until_stopped(folder, *arguments, **options):
  with pytest.raises(preemption.Stopped), preemption.Stop().listening() as stop:
    tiny_run.fit(
      tiny_run.tiny_config(), folder, *arguments, stop=stop, **options
    )


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
  """A run of six steps that nothing stops; steps 4 and 6 are evaluated."""
  folder = tmp_path_factory.mktemp("straight")
  with jax.numpy_dtype_promotion("standard"):
    tiny_run.fit(tiny_run.tiny_config(), folder)
  return folder


def assert_ends_like(straight, folder, *, evaluations: int):
  _, scored = tiny_run.fit(tiny_run.tiny_config(), folder)
  assert len(scored) == evaluations
  assert tiny_run.log(folder) == tiny_run.log(straight)
  tiny_run.assert_same_bits(
    checkpoint.load(folder)[0], checkpoint.load(straight)[0]
  )


def test_a_run_asked_to_stop_saves_the_step_it_is_in(straight, tmp_path):
  fit_until_stopped(tmp_path, asking_before(3))
  # Step 3 is in no interval of checkpoints, which are two steps.
  assert checkpoint.load(tmp_path, step=3)
  assert [line["step"] for line in tiny_run.log(tmp_path)] == [1, 2, 3]
  assert_ends_like(straight, tmp_path, evaluations=2)


def test_an_evaluation_cut_off_is_the_first_thing_done(straight, tmp_path):
  fit_until_stopped(tmp_path, before=ask)
  assert [line["step"] for line in tiny_run.log(tmp_path)] == [1, 2, 3, 4]
  assert_ends_like(straight, tmp_path, evaluations=2)


def test_an_evaluation_in_the_log_is_not_done_again(straight, tmp_path):
  fit_until_stopped(tmp_path, asking_before(5))
  assert_ends_like(straight, tmp_path, evaluations=1)


@pytest.mark.usefixtures("forgotten_reads")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_falls_back_behind_a_damaged_checkpoint(straight, tmp_path):
  fit_until_stopped(tmp_path, asking_before(5))
  (tmp_path / "checkpoints" / "5" / "training" / "_METADATA").write_text("")
  assert_ends_like(straight, tmp_path, evaluations=1)
  assert (tmp_path / "checkpoints" / "5.damaged").is_dir()


def on_one(tree):
  """As a process with one device holds it."""
  return jax.device_put(tree, jax.local_devices()[0])


def test_devices_may_come_and_go(tmp_path):
  optimizer = optax.adam(1e-3)
  state = small_network.start(small_network.SmallNetwork(), optimizer)
  metadata = checkpoint.Metadata(small_network.GAUSSIAN, {}, {})
  assert jax.local_device_count() == 2
  for step, replicate in enumerate((on_one, devices.replicate, on_one)):
    state = replicate(state.replace(step=jnp.int32(step)))
    before = resume.on_host(state)
    with checkpoint.manager(tmp_path) as checkpoints:
      resume.save(checkpoints, metadata, state)
    fresh = jax.tree.map(np.zeros_like, before)
    with checkpoint.manager(tmp_path) as checkpoints:
      found = checkpoint.restore(
        checkpoints, variables=fresh.variables, training=fresh.training
      )
    state = fresh.restored(found.variables, found.training)
    tiny_run.assert_same_bits(state, before)


def test_what_changed_since_the_run_began_is_said(tmp_path, caplog):
  fit_until_stopped(tmp_path, asking_before(3))
  fixed = {"seed": 1, "train.batch_size": 8, "data.category": "dog"}
  for field, value in fixed.items():
    config = tiny_run.tiny_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(
      ValueError, match=f"a run keeps its {field}, .*now: \\[{value!r}"
    ):
      tiny_run.fit(config, tmp_path)
  config = tiny_run.tiny_config(learning_rate=0.5)
  config.train.epochs = 4
  caplog.clear()
  tiny_run.fit(config, tmp_path)
  assert "with optimizer.learning_rate 0.5, before it was 0.002" in caplog.text
  assert "with train.epochs 4, before it was 3" in caplog.text
  assert caplog.text.count("continuing with") == 2


def test_a_run_that_diverged_goes_on_with_clipped_gradients(tmp_path):
  """As the error of a loss that is not finite advises."""
  fit_until_stopped(tmp_path, asking_before(3))
  tiny_run.fit(tiny_run.tiny_config(clip_norm=0.1), tmp_path)
  assert tiny_run.log(tmp_path)[-1]["step"] == 6


@pytest.mark.usefixtures("forgotten_reads")
def test_a_run_keeps_whether_it_averages(tmp_path):
  fit_until_stopped(tmp_path, asking_before(3))
  with pytest.raises(RuntimeError, match=r"optimizer\.ema_decay.* as they"):
    tiny_run.fit(tiny_run.tiny_config(ema_decay=0.9), tmp_path)


def test_an_evaluation_of_other_settings_is_done_again(tmp_path):
  config = tiny_run.tiny_config()
  config.train.epochs = 2
  tiny_run.fit(config, tmp_path, scores=[1.0])
  config.evaluate.batch_size = 2  # changes no score
  assert tiny_run.fit(config, tmp_path, scores=[]) == (
    {"dark/AP/gt_boxes": 1.0},
    [],
  )
  config.evaluate.flip_test = False
  metrics, _ = tiny_run.fit(config, tmp_path, scores=[2.0])
  assert metrics == {"dark/AP/gt_boxes": 2.0}
  scores = [line.get("dark/AP/gt_boxes") for line in tiny_run.log(tmp_path)]
  assert scores == [None] * 4 + [2.0]


def test_a_run_goes_on_where_its_category_is_read_with_more(tmp_path, caplog):
  """Versions before read no limbs of a category named as COCO's."""
  fit_until_stopped(tmp_path, asking_before(3))
  fields = {"name": "person", "limbs": ((0, 1),), "lower_body": (15, 16)}
  drawn = dataclasses.replace(skeletons.COCO, **fields)
  tiny_run.fit(tiny_run.tiny_config(), tmp_path, skeleton=drawn)
  assert "with skeleton.name person, before it was coco" in caplog.text
  assert caplog.text.count("continuing with skeleton.") == len(fields)
  assert checkpoint.load(tmp_path)[1].convention.skeleton == drawn


def test_a_run_keeps_what_its_heatmaps_depend_on(tmp_path):
  fit_until_stopped(tmp_path, asking_before(3))
  unpaired = dataclasses.replace(skeletons.COCO, flip_pairs=())
  with pytest.raises(ValueError, match="another convention"):
    tiny_run.fit(tiny_run.tiny_config(), tmp_path, skeleton=unpaired)


def test_runs_from_before_categories_were_named_go_on(tmp_path):
  config = tiny_run.tiny_config()
  with config.unlocked():
    del config.data.category
  with pytest.raises(KeyboardInterrupt):
    tiny_run.fit(config, tmp_path, tiny_run.stopping_at(3))
  assert "category" not in checkpoint.load(tmp_path)[1].config["data"]
  config = tiny_run.tiny_config()
  config.data.category = "dog"
  with pytest.raises(
    ValueError, match=r"keeps its data\.category.*before: \[''"
  ):
    tiny_run.fit(config, tmp_path)
  tiny_run.fit(tiny_run.tiny_config(), tmp_path)

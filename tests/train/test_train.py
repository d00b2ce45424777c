"""The training loop: resuming, stopping, saving; on 2 devices, tiny inputs."""

import itertools

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tiny_run import (
  SIZE,
  assert_same_bits,
  batches,
  fit,
  log,
  stopping_at,
  tiny_config,
)

from darkjax import checkpoint, skeletons
from darkjax.data.synthetic import dataset
from darkjax.train import loop

pytestmark = pytest.mark.usefixtures("optax_promotion")


def test_a_resumed_run_equals_a_straight_one_bit_for_bit(tmp_path):
  straight, resumed = tmp_path / "straight", tmp_path / "resumed"
  fit(tiny_config(), straight)
  # Steps 3 and 5 are lost: the checkpoints are those of steps 2 and 4.
  for last in (3, 5):
    with pytest.raises(KeyboardInterrupt):
      fit(tiny_config(), resumed, stopping_at(last))
  fit(tiny_config(), resumed)
  assert_same_bits(checkpoint.load(straight)[0], checkpoint.load(resumed)[0])
  assert log(resumed) == log(straight)
  assert [line["step"] for line in log(straight)] == [1, 2, 3, 4, 4, 5, 6, 6]


def test_a_resumed_average_equals_a_straight_one_and_is_what_is_saved(
  tmp_path,
):
  straight, resumed = tmp_path / "straight", tmp_path / "resumed"
  config = tiny_config(ema_decay=0.5)
  _, scored = fit(config, straight)
  with pytest.raises(KeyboardInterrupt):
    fit(config, resumed, stopping_at(4))
  fit(config, resumed)
  saved = checkpoint.load(straight)[0]
  assert_same_bits(saved, checkpoint.load(resumed)[0])
  assert_same_bits(saved, jax.tree.map(np.asarray, scored[-1]))
  # The raw weights are elsewhere: an average of 0.5 lags behind them.
  plain = tmp_path / "plain"
  fit(tiny_config(), plain)
  kernel = ["params", "final_layer", "kernel"]
  averaged, raw = saved, checkpoint.load(plain)[0]
  for name in kernel:
    averaged, raw = averaged[name], raw[name]
  assert np.abs(averaged - raw).max() > 0


def test_the_last_step_is_evaluated_and_saved(tmp_path):
  metrics, scored = fit(tiny_config(), tmp_path)
  # Evaluations at epoch 2 and, though not due, at the end.
  assert len(scored) == 2
  assert log(tmp_path)[-1] == {"step": 6, **metrics}
  variables, metadata = checkpoint.load(tmp_path, step=6)
  assert_same_bits(variables, jax.tree.map(np.asarray, scored[-1]))
  assert metadata.convention.crop_size == SIZE
  assert metadata.model["name"] == "hrnet_small"


def test_a_finished_run_does_nothing_when_started_again(tmp_path):
  def forbidden(start):
    raise AssertionError(f"asked for batches from {start}")
    yield

  before, _ = fit(tiny_config(), tmp_path)
  after, scored = fit(tiny_config(), tmp_path, forbidden)
  assert not scored
  assert after == before


@pytest.fixture(scope="module")
def first(tmp_path_factory):
  """A run of COCO's keypoints."""
  folder = tmp_path_factory.mktemp("runs") / "first"
  with jax.numpy_dtype_promotion("standard"):
    fit(tiny_config(), folder)
  return folder


def test_training_starts_from_pretrained_weights(first, tmp_path):
  weights = checkpoint.load(first)[0]
  config = tiny_config(learning_rate=0.0)
  config.pretrained = str(first)
  fit(config, tmp_path / "second")
  second = checkpoint.load(tmp_path / "second")[0]
  # At a learning rate of 0 the parameters stay those it started from.
  assert_same_bits(second["params"], weights["params"])
  config.model.overrides = {**config.model.overrides, "channels": 8}
  with pytest.raises(ValueError, match=r"first are of another network.*is \("):
    fit(config, tmp_path / "third")


def test_pretrained_weights_may_have_other_keypoints(first, tmp_path):
  limbs = {"name": "limbs", "keypoints": ["tail", "left_wrist", "right_wrist"]}
  limbs = skeletons.from_coco_category(limbs)

  def stream(start, last=6):
    for one in itertools.islice(batches(start), last - start):
      for field in ("keypoints_heatmap", "visibility"):
        one[field] = one[field][:, :3]
      yield one

  weights = tmp_path / "weights.safetensors"
  checkpoint.save_file(weights, *checkpoint.load(first))
  config = tiny_config(learning_rate=0.0, ema_decay=0.5)
  config.pretrained = str(weights)
  old = checkpoint.load(weights)[0]["params"]  # in half precision
  with pytest.raises(StopIteration):
    fit(config, tmp_path / "run", lambda n: stream(n, 3), skeleton=limbs)
  # The run goes on from its own checkpoint: optimiser, average and step.
  weights.unlink()
  fit(config, tmp_path / "run", stream, skeleton=limbs)
  assert [line["step"] for line in log(tmp_path / "run")][-1] == 6
  new, metadata = checkpoint.load(tmp_path / "run")
  assert metadata.convention.skeleton == limbs
  head, old_head = new["params"].pop("final_layer"), old.pop("final_layer")
  assert_same_bits(new["params"], old)
  wrists = [
    skeletons.COCO.keypoint_names.index(n) for n in limbs.keypoint_names[1:]
  ]
  kernel = head["kernel"][0, 0]
  np.testing.assert_array_equal(
    kernel[:, 1:], old_head["kernel"][0, 0][:, wrists]
  )
  assert 0 < np.abs(kernel[:, 0]).max() < 0.01  # as drawn, of N(0, 0.001²)


def test_small_names_the_weights_that_ship(tmp_path):
  config = tiny_config()
  config.pretrained = "small"
  with pytest.raises(ValueError, match=r"assets/.* are of another network"):
    fit(config, tmp_path)


@pytest.mark.parametrize(
  "field", ["model.bn_sync", "train.mapping", "optimizer.rate_scaling"]
)
def test_unknown_settings_are_refused(field, tmp_path):
  config = tiny_config()
  config.update_from_flattened_dict({field: "some"})
  with pytest.raises(ValueError, match=f"unknown {field} 'some'; known: "):
    fit(config, tmp_path)


def test_a_label_that_is_not_a_number_stops_the_run(tmp_path):
  def stream(start):
    for step, one in enumerate(batches(start), start + 1):
      if step == 2:
        one["keypoints_heatmap"][3, 5, 0] = np.nan
      yield one

  with pytest.raises(ValueError, match=r"step 2: .* annotations \[103\]"):
    fit(tiny_config(), tmp_path, stream)


def test_divergence_stops_the_run_with_its_step(tmp_path):
  with pytest.raises(FloatingPointError, match=r"step [123]: .*learning_rate"):
    fit(tiny_config(learning_rate=1e30), tmp_path)
  assert not list((tmp_path / "checkpoints").glob("[3-9]"))


def test_another_convention_in_the_same_folder_is_refused(tmp_path):
  config = tiny_config()
  config.train.epochs = 1
  fit(config, tmp_path)
  config.convention.flip_shift = 1
  with pytest.raises(ValueError, match="flip_shift: 1 here, 0 there"):
    fit(config, tmp_path)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_from_files_to_metrics(tmp_path):
  for split, people in (("train", 12), ("val", 7)):
    dataset.write_dataset(tmp_path, num_people=people, seed=3, split=split)
  config = tiny_config()
  config.data.root = str(tmp_path)
  config.data.cache = str(tmp_path / "cache")
  metrics = loop.train(config, str(tmp_path / "run"))
  names = {name.split("/", 1)[1] for name in metrics}
  assert {"AP/gt_boxes", "PCK@0.2/gt_boxes", "error_px/gt_boxes"} <= names
  assert {name.split("/")[0] for name in metrics} == {
    "argmax",
    "standard",
    "dark",
  }
  # 9 steps teach nothing, but a box bounds how wrong a crop's keypoint can be.
  assert 0 < metrics["dark/error_px/gt_boxes"] < 260
  events = event_accumulator.EventAccumulator(str(tmp_path / "run"))
  events.Reload()
  assert {"train/targets", "val/people"} == set(events.Tags()["images"])


def test_a_run_past_its_last_step_is_refused(tmp_path):
  fit(tiny_config(), tmp_path)
  shorter = tiny_config()
  shorter.train.epochs = 2
  with pytest.raises(ValueError, match=r"holds step 6, .* ends at 4"):
    fit(shorter, tmp_path)

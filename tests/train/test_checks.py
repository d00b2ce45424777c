"""Checks that end a run name the step and what is wrong."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax.train import checks, loop


def batch(**changes) -> dict[str, np.ndarray]:
  return {
    "image": np.zeros((3, 8, 6, 3), np.uint8),
    "keypoints_heatmap": np.zeros((3, 2, 2), np.float32),
    "visibility": np.ones((3, 2), np.float32),
    "annotation_id": np.array([101, 102, 103]),
    **changes,
  }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["keypoints_heatmap", "visibility"])
def test_a_label_that_is_not_finite_is_named(field, bad):
  wrong = batch()
  wrong[field][1].flat[0] = bad
  with pytest.raises(ValueError, match=r"step 7: .* annotations \[102\]"):
    checks.check_labels(7, wrong)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("train.epochs", 0, "at least 1, got {'train.epochs': 0}"),
    ("train.batch_size", 0, "at least 1, got {'train.batch_size'"),
    ("train.keep_checkpoints", 0, "at least 1, got {'train.keep_"),
    ("train.log_every_steps", 0, "at least 1, got {'train.log_"),
    ("train.evaluate_every_epochs", 0, "at least 1, got {'train.evalu"),
    ("train.checkpoint_every_epochs", 0, "at least 1, got {'train.check"),
    ("evaluate.batch_size", 0, "at least 1, got {'evaluate.batch_size': 0}"),
    ("optimizer.rate_batch_size", 0, "at least 1, got {'optimizer.rate_"),
    ("optimizer.learning_rate", -1e-3, "at least 0, got {'optimizer.lear"),
    ("optimizer.warmup_steps", -5, "at least 0, got {'optimizer.warmup"),
    ("optimizer.clip_norm", float("nan"), "at least 0, got {'optimizer.clip"),
    ("optimizer.ema_decay", 1.0, "ema_decay is less than 1, got 1.0"),
    ("seed", -1, "at least 0, got {'seed': -1}"),
    # What --config.evaluate.methods=dark,argmax is read as.
    ("evaluate.methods", ("dark,argmax",), "one of .*, got 'dark,argmax'"),
    ("evaluate.methods", ("integral",), "softmax head"),
    ("evaluate.methods", (), "at least one decoder, got none"),
    ("evaluate.nms", "foo", "evaluate.nms is one of .*'none'.*, got 'foo'"),
    ("convention.blur_kernel", 4, "blur_kernel is odd, from 1 .*, got 4"),
    ("augmentation.flip_probability", 2.0, "flip_probability must lie in"),
    ("train.keep_best", "AP", "keep_best='AP' .*as in dark/AP/gt_boxes"),
    ("train.keep_best", "integral/AP/gt_boxes", "is no metric of the eval"),
  ],
)
def test_settings_that_make_no_run_are_refused_at_its_start(
  field, value, message
):
  config = coco_hrnet_w32_128x96.get_config()
  checks.check_settings(config)
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=message):
    checks.check_settings(config)


def test_places_of_unlabelled_keypoints_do_not_matter():
  unlabelled = batch()
  unlabelled["keypoints_heatmap"][1, 0] = np.nan
  with pytest.raises(ValueError, match=r"annotations \[102\]"):
    checks.check_labels(7, unlabelled)
  unlabelled["visibility"][1, 0] = 0.0
  checks.check_labels(7, unlabelled)  # raises no more


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_images_other_than_uint8_are_refused(dtype):
  images = np.full((3, 8, 6, 3), 1, dtype)
  with pytest.raises(ValueError, match=f"images are uint8.*{np.dtype(dtype)}"):
    checks.check_labels(7, batch(image=images))


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_that_diverged_is_named(name, bad):
  values = {"loss": jnp.ones(()), "gradient_norm": jnp.ones(())}
  checks.check_finite((7, values, batch()))
  values[name] = jnp.float32(bad)
  with pytest.raises(
    FloatingPointError, match=rf"step 7: .*{name}.*\[101, 102, 103\]"
  ):
    checks.check_finite((7, values, batch()))


def test_other_labels_than_the_run_began_with_are_refused(tmp_path):
  workdir = tmp_path / "run"
  checks.check_same_labels(workdir, ["a", "b"])
  checks.check_same_labels(workdir, ["c", "b"])  # no step yet: begins anew
  (workdir / "checkpoints" / "10").mkdir(parents=True)
  checks.check_same_labels(workdir, ["c", "b"])
  with pytest.raises(ValueError, match=r"changed since.*'c'.*'d'.*--workdir"):
    checks.check_same_labels(workdir, ["d", "b"])


@pytest.mark.parametrize(
  ("name", "text"),
  [
    ("labels.json", '{"images": [], "annotations": []}'),
    ("labels.json", '["cat", "dog"]'),
    ("config.json", '{"model": "resnet"}'),
    ("config.json", "no json"),
    ("metrics.jsonl", '{"epoch": 1}\n'),
    ("metrics.jsonl", "[1]\n"),
  ],
)
def test_a_folder_of_something_else_is_left_alone(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  config = coco_hrnet_w32_128x96.get_config()
  for begin in (
    lambda: loop.train(config, tmp_path),
    lambda: loop.fit(config, tmp_path, None),
  ):
    with pytest.raises(ValueError, match=f"{name} is not of a run of darkjax"):
      begin()
  assert [path.name for path in tmp_path.iterdir()] == [name]
  assert (tmp_path / name).read_text() == text


def test_what_no_run_saved_is_no_step(tmp_path):
  checks.check_same_labels(tmp_path, ["a"])
  (tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir(parents=True)
  checks.check_same_labels(tmp_path, ["b"])
  assert json.loads((tmp_path / "labels.json").read_text()) == ["b"]


def test_runs_without_stored_digests_continue(tmp_path):
  (tmp_path / "checkpoints" / "10").mkdir(parents=True)
  checks.check_same_labels(tmp_path, ["a"], writes=False)
  assert not (tmp_path / "labels.json").exists()
  checks.check_same_labels(tmp_path, ["a"])
  with pytest.raises(ValueError, match="changed since"):
    checks.check_same_labels(tmp_path, ["b"])

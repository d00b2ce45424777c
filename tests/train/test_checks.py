"""Checks that end a run name the step and what is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import coco_hrnet_w32_128x96
from darkjax.train import checks


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
  "field",
  ["epochs", "batch_size", "keep_checkpoints", "log_every_steps"]
  + [f"{what}_every_epochs" for what in ("evaluate", "checkpoint")],
)
def test_counts_below_1_are_refused(field):
  settings = coco_hrnet_w32_128x96.get_config().train
  checks.check_settings(settings)
  settings[field] = 0
  with pytest.raises(ValueError, match=rf"at least 1, got {{'{field}': 0}}"):
    checks.check_settings(settings)


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


def test_runs_without_stored_digests_continue(tmp_path):
  (tmp_path / "checkpoints" / "10").mkdir(parents=True)
  checks.check_same_labels(tmp_path, ["a"], writes=False)
  assert not (tmp_path / "labels.json").exists()
  checks.check_same_labels(tmp_path, ["a"])
  with pytest.raises(ValueError, match="changed since"):
    checks.check_same_labels(tmp_path, ["b"])

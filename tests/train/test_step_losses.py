"""The training step with each of the losses."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from small_network import (
  GAUSSIAN,
  RATE,
  SOFTMAX,
  SmallNetwork,
  advance,
  forward,
  start,
)

from darkjax import geometry, inference, losses, models
from darkjax.train import step as step_lib


@pytest.mark.parametrize(
  ("loss", "used"), [("mse", GAUSSIAN), ("ipr", SOFTMAX), ("dsnt", SOFTMAX)]
)
def test_unlabelled_keypoints_teach_nothing(batch, loss, used):
  batch["visibility"][:, 1] = 0.0
  state = start(SmallNetwork())
  after, metrics = advance(state, batch, loss=loss, convention=used)
  finite = jax.tree.map(lambda x: bool(np.isfinite(x).all()), (after, metrics))
  assert all(jax.tree.leaves(finite))
  before, head = state.params["head"]["kernel"], after.params["head"]["kernel"]
  np.testing.assert_array_equal(head[..., 1], before[..., 1])
  assert (np.abs(head - before)[..., ::2].max((0, 1, 2)) > 0).all()
  # Where an unlabelled keypoint or a padded row has its points is all one.
  batch["keypoints_heatmap"][:, 1] = [2.5, 3.5]
  batch["keypoints_heatmap"][0, 2] = [5.0, 1.0]
  batch["keypoints_heatmap"][3] = [4.0, 2.0]
  other, _ = advance(state, batch, loss=loss, convention=used)
  jax.tree.map(np.testing.assert_array_equal, other.params, after.params)


@pytest.mark.parametrize(
  ("loss", "used"), [("mse", GAUSSIAN), ("ipr", SOFTMAX), ("dsnt", SOFTMAX)]
)
@pytest.mark.parametrize("gone", ["visibility", "mask"])
def test_a_batch_without_anybody_changes_no_weight(batch, loss, used, gone):
  batch[gone][:] = 0.0
  state = start(SmallNetwork())
  after, metrics = advance(state, batch, loss=loss, convention=used)
  assert metrics == {"loss": 0.0, "gradient_norm": 0.0}
  jax.tree.map(np.testing.assert_array_equal, after.params, state.params)


@pytest.mark.parametrize(
  ("loss", "used"), [("mse", GAUSSIAN), ("ipr", SOFTMAX), ("dsnt", SOFTMAX)]
)
def test_losses_of_the_stages_add_up(batch, loss, used):
  state = start(SmallNetwork())
  _, one = advance(state, batch, loss=loss, convention=used)
  _, three = advance(
    state, batch, SmallNetwork(stages=3), loss=loss, convention=used
  )
  assert float(three["loss"]) == pytest.approx(3 * float(one["loss"]), rel=1e-6)


@pytest.mark.parametrize(
  ("name", "loss"), [("hrnet_small", "dsnt"), ("hourglass_small", "ipr")]
)
def test_models_take_the_integral_losses(name, loss):
  model = models.create_model(name, num_keypoints=3)
  used = dataclasses.replace(SOFTMAX, crop_size=(64, 96), heatmap_size=(16, 24))
  optimizer = optax.sgd(RATE)
  batch = {
    "image": jnp.zeros((2, 64, 96, 3), jnp.uint8),
    "keypoints_heatmap": jnp.zeros((2, 3, 2)),
    "visibility": jnp.ones((2, 3)),
    "mask": jnp.ones((2,)),
  }

  def run(key):
    state = step_lib.create_state(key, model, optimizer, crop_size=(64, 96))
    return state, advance(
      state, batch, model, optimizer, convention=used, loss=loss
    )

  # Traced only: the arithmetic is tested above, this is the wiring.
  before, (after, metrics) = jax.eval_shape(run, jax.random.key(0))
  assert jax.tree.structure(after) == jax.tree.structure(before)
  shapes, expected = (
    [x.shape for x in jax.tree.leaves(tree)] for tree in (after, before)
  )
  assert shapes == expected
  assert metrics["loss"].shape == ()


def spots(points_heatmap) -> np.ndarray:
  """[B, 48, 32, 3] crops with a soft spot of its own colour per keypoint."""
  from_heatmap = geometry.invert(GAUSSIAN.heatmap_from_crop())
  matrix = np.tile(from_heatmap, (len(points_heatmap), 1, 1))
  points = geometry.apply_affine(matrix, points_heatmap)
  images = np.zeros((len(points), 48, 32, 3), np.uint8)
  for b, k in np.ndindex(*points.shape[:2]):
    spot = reference.gaussian_map(points[b, k], (48, 32), 4.0)
    images[b, ..., k] = np.round(255 * spot)
  return images


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
  ("loss", "used", "method", "limit"),
  # Limits in px: jax 0.10.2 on x86 ended at 0.29, 0.03 and 0.04.
  [
    ("mse", GAUSSIAN, "dark", 0.6),
    ("ipr", SOFTMAX, "integral", 0.1),
    ("dsnt", SOFTMAX, "integral", 0.1),
  ],
)
def test_a_fixed_batch_is_learnt(batch, loss, used, method, limit):
  batch["visibility"][:], batch["mask"][:] = 1.0, 1.0
  batch["keypoints_heatmap"][0, 2] = [3.3, 5.8]
  batch["image"] = spots(batch["keypoints_heatmap"])
  model, optimizer = SmallNetwork(), optax.adam(0.03)
  state = start(model, optimizer)
  step = jax.jit(
    functools.partial(advance, optimizer=optimizer, convention=used, loss=loss)
  )

  def mean_error(variables) -> float:
    heatmaps = inference.predict_heatmaps(
      model, variables, batch["image"], convention=used, flip_test=False
    )
    found = inference.locate(
      heatmaps,
      jnp.asarray(batch["image_from_heatmap"]),
      convention=used,
      method=method,
    )
    offset = found.keypoints_image - batch["keypoints_heatmap"]
    return float(jnp.linalg.norm(offset, axis=-1).mean())

  first, values = mean_error(state.variables), []
  for _ in range(120):
    state, metrics = step(state, batch)
    values.append(float(metrics["loss"]))
  assert np.isfinite(values).all()
  assert values[-1] < 0.5 * values[0]
  assert first > 2.0  # px
  assert mean_error(state.variables) < limit


@pytest.mark.parametrize("loss", ["ipr", "dsnt"])
def test_each_name_is_its_own_loss(batch, loss):
  used = dataclasses.replace(SOFTMAX, sigma=1.7)
  state = start(SmallNetwork())
  _, metrics = advance(state, batch, loss=loss, convention=used)
  logits = jnp.asarray(forward(state.params, batch["image"])[0], jnp.float32)
  weights = batch["visibility"] * batch["mask"][:, None]
  labels = map(jnp.asarray, (batch["keypoints_heatmap"], weights))
  function = {
    "ipr": losses.ipr_loss,
    "dsnt": functools.partial(losses.dsnt_loss, sigma=1.7),
  }[loss]
  expected = function(logits, *labels).mean()
  # 1e-5: the network in float32 against float64.
  assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_unknown_losses_and_heads_are_refused(batch):
  state: Any = start(SmallNetwork())
  with pytest.raises(ValueError, match="'l2'; known: mse, ipr, dsnt"):
    advance(state, batch, loss="l2")
  with pytest.raises(ValueError, match="'ipr' trains a 'softmax' head"):
    advance(state, batch, loss="ipr")
  with pytest.raises(ValueError, match="'mse' trains a 'gaussian' head"):
    advance(state, batch, loss="mse", convention=SOFTMAX)

"""The training step against NumPy, over two devices, and with each loss."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference

from darkjax import convention as convention_lib
from darkjax import geometry, inference, losses, models, skeletons
from darkjax import step as step_lib
from darkjax.models import layers

FACE = skeletons.Skeleton(
  name="face",
  keypoint_names=("nose", "left_eye", "right_eye"),
  flip_pairs=((1, 2),),
  limbs=(),
  upper_body=(0,),
  lower_body=(1, 2),
  sigmas=(0.05, 0.05, 0.05),
)
GAUSSIAN = convention_lib.Convention(
  skeleton=FACE,
  crop_size=(48, 32),
  heatmap_size=(12, 8),
  alignment="dark",
  padding=1.25,
  sigma=1.0,
  quantize="none",
  truncate=None,
  blur_kernel=3,
  flip_shift=0,
  channel_order="rgb",
)
SOFTMAX = dataclasses.replace(GAUSSIAN, head="softmax")
RATE = 0.1


class SmallNetwork(nn.Module):
  """A 4x4 convolution of stride 4, batch norm, ReLU, a 1x1 convolution."""

  normalised: bool = True
  bn_axis_name: str | None = None
  stages: int = 1

  @nn.compact
  def __call__(self, images, train=False):
    x = nn.Conv(6, (4, 4), (4, 4), padding="VALID", name="stem")(images)
    if self.normalised:
      x = layers.BatchNorm(
        use_running_average=not train,
        axis_name=self.bn_axis_name,
        name="norm",
      )(x)
    maps = nn.Conv(3, (1, 1), name="head")(nn.relu(x))
    return maps if self.stages == 1 else (maps,) * self.stages


def forward(params, images):
  """What the network gives in training, and its batch's statistics; float64."""
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
  pixels = images / 255.0 - np.array([0.485, 0.456, 0.406])
  pixels = pixels / np.array([0.229, 0.224, 0.225])
  patches = pixels.reshape(len(images), 12, 4, 8, 4, 3)
  x = np.einsum("bhiwjc,ijcf->bhwf", patches, p["stem"]["kernel"])
  x = x + p["stem"]["bias"]
  mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
  x = (x - mean) / np.sqrt(variance + 1e-5)
  x = np.maximum(x * p["norm"]["scale"] + p["norm"]["bias"], 0.0)
  maps = x @ p["head"]["kernel"][0, 0] + p["head"]["bias"]
  return maps, mean, variance, x[..., 0].size


def expected_losses(params, batch):
  """[B, K] in float64: ½ mean over the map of the weighted squared error."""
  maps = forward(params, batch["image"])[0]
  found = np.zeros(batch["visibility"].shape)
  for b, k in np.ndindex(*found.shape):
    if batch["visibility"][b, k] * batch["mask"][b] > 0:
      target = reference.gaussian_map(
        batch["keypoints_heatmap"][b, k], GAUSSIAN.heatmap_size, 1.0
      )
      found[b, k] = 0.5 * np.mean((maps[b, ..., k] - target) ** 2)
  return found


@pytest.fixture
def batch(rng) -> dict[str, np.ndarray]:
  """Four people; one keypoint each of two is unlabelled, one row is padding."""
  visibility = np.ones((4, 3), np.float32)
  visibility[0, 2] = visibility[2, 1] = 0.0
  points = rng.uniform([1, 1], [6, 10], (4, 3, 2)).astype(np.float32)
  points[0, 2] = np.nan
  return {
    "image": rng.integers(0, 256, (4, 48, 32, 3), np.uint8),
    "keypoints_heatmap": points,
    "visibility": visibility,
    "image_from_heatmap": np.tile(np.eye(2, 3, dtype=np.float32), (4, 1, 1)),
    "mask": np.array([1, 1, 1, 0], np.float32),
  }


def start(model, optimizer=None, **options):
  return step_lib.create_state(
    jax.random.key(0),
    model,
    optimizer or optax.sgd(RATE),
    crop_size=GAUSSIAN.crop_size,
    **options,
  )


def advance(state, batch, model=None, optimizer=None, **options):
  options = {"convention": GAUSSIAN, **options}
  return step_lib.train_step(
    state,
    jax.tree.map(jnp.asarray, batch),
    model=model or SmallNetwork(),
    optimizer=optimizer or optax.sgd(RATE),
    **options,
  )


def test_loss_and_statistics_equal_numpy(batch):
  state = start(SmallNetwork())
  after, metrics = advance(state, batch)
  expected = expected_losses(state.params, batch).mean()
  # 1e-5: float32 through two convolutions and a batch norm.
  assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-5)
  _, mean, variance, count = forward(state.params, batch["image"])
  # Momentum 0.9 from 0 and 1; the unbiased variance, as PyTorch keeps it.
  stats = after.batch_stats["norm"]
  np.testing.assert_allclose(stats["mean"], 0.1 * mean, atol=1e-6)
  unbiased = variance * count / (count - 1)
  np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * unbiased, rtol=1e-5)
  assert int(after.step) == 1


def test_gradient_equals_a_finite_difference(batch):
  state = start(SmallNetwork())
  after, metrics = advance(state, batch)
  gradient = jax.tree.map(
    lambda old, new: np.asarray(old - new, np.float64) / RATE,
    state.params,
    after.params,
  )
  square = sum((g**2).sum() for g in jax.tree.leaves(gradient))
  assert float(metrics["gradient_norm"]) == pytest.approx(
    np.sqrt(square), rel=1e-4
  )

  def loss(distance):
    moved = jax.tree.map(
      lambda p, g: np.asarray(p, np.float64) + distance * g,
      state.params,
      gradient,
    )
    return expected_losses(moved, batch).mean()

  epsilon = 1e-5
  slope = (loss(epsilon) - loss(-epsilon)) / (2 * epsilon)
  # 1e-3: the step is read from float32 parameters of 1e-1, so to 1e-4 of it.
  assert slope == pytest.approx(square, rel=1e-3)


def test_only_the_hardest_keypoints_count(batch):
  state = start(SmallNetwork())
  _, metrics = advance(state, batch, hardest_keypoints=2)
  worst = np.sort(expected_losses(state.params, batch), axis=1)[:, 1:]
  assert float(metrics["loss"]) == pytest.approx(worst.mean(), rel=1e-5)


def test_average_follows_the_parameters(batch):
  state = start(SmallNetwork(), averaged=True)
  jax.tree.map(np.testing.assert_array_equal, state.average, state.params)
  after, _ = advance(state, batch, ema_decay=0.75)
  expected = jax.tree.map(
    lambda old, new: 0.75 * old + 0.25 * new, state.params, after.params
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8),
    after.average,
    expected,
  )
  assert after.variables["params"] is after.average
  again = state.restored(after.variables, after.training)
  jax.tree.map(np.testing.assert_array_equal, again, after)


def test_without_an_average_the_parameters_are_the_variables(batch):
  state = start(SmallNetwork())
  assert state.average is None
  after, _ = advance(state, batch)
  assert after.variables["params"] is after.params
  again = state.restored(after.variables, after.training)
  jax.tree.map(np.testing.assert_array_equal, again, after)


@pytest.mark.parametrize(
  "options", [{"normalised": False}, {"bn_axis_name": "devices"}]
)
def test_two_devices_equal_one_with_the_whole_batch(batch, options):
  batch["mask"][:] = 1.0
  whole = SmallNetwork(**{**options, "bn_axis_name": None})
  state = start(whole)
  one, one_metrics = advance(state, batch, whole)
  split = {n: x.reshape(2, 2, *x.shape[1:]) for n, x in batch.items()}
  mapped = jax.pmap(
    functools.partial(
      advance, model=SmallNetwork(**options), axis_name="devices"
    ),
    axis_name="devices",
  )
  two, two_metrics = mapped(
    jax.tree.map(lambda x: jnp.stack([x, x]), state), split
  )
  # 1e-5: means over halves, then of the two, in float32. A step of SGD is
  # linear in the gradient; Adam's first step would blow up its last digits.
  near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  for device in range(2):
    jax.tree.map(lambda a, b, d=device: near(a[d], b), two, one)
    jax.tree.map(lambda a, b, d=device: near(a[d], b), two_metrics, one_metrics)


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
    functools.partial(
      step_lib.train_step,
      model=model,
      optimizer=optimizer,
      convention=used,
      loss=loss,
    )
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

"""A network small enough for NumPy, its batch, and one training step of it."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from conventions import make_convention

from darkjax import skeletons
from darkjax.models import layers
from darkjax.train import step as step_lib

FACE = skeletons.Skeleton(
  name="face",
  keypoint_names=("nose", "left_eye", "right_eye"),
  flip_pairs=((1, 2),),
  limbs=(),
  upper_body=(0,),
  lower_body=(1, 2),
  sigmas=(0.05, 0.05, 0.05),
)
GAUSSIAN = make_convention(FACE, (48, 32))
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


def make_batch(rng: np.random.Generator) -> dict[str, np.ndarray]:
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

"""Weights of a small HRNet at 64x64 for COCO's keypoints, untrained."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from configs import quickstart
from darkjax import checkpoint, convention, models, skeletons


def network() -> dict:
  return {
    "name": "hrnet_small",
    "num_keypoints": 17,
    "channels": 4,
    "modules": (1,),
    "blocks": 1,
  }


def save(folder: pathlib.Path) -> None:
  """Weights that give maps of all shapes; those of `init` are nearly zero."""
  rng = np.random.default_rng(8)
  shapes = jax.eval_shape(
    models.create_model(**network()).init,
    jax.eval_shape(jax.random.key, 0),
    jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32),
  )
  params = jax.tree.map(
    lambda leaf: rng.normal(0.0, 0.2, leaf.shape).astype(np.float32),
    shapes["params"],
  )
  statistics = jax.tree.map(
    lambda leaf: np.ones(leaf.shape, np.float32), shapes["batch_stats"]
  )
  config = quickstart.get_config().convention
  config.crop_size = (64, 64)
  checkpoint.save_variables(
    folder,
    {"params": params, "batch_stats": statistics},
    convention.from_config(config, skeleton=skeletons.COCO),
    network(),
  )

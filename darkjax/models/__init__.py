"""Pose networks, built by name with `create_model`."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from darkjax.models import hourglass, hrnet, simple_baseline

MODELS: dict[str, Any] = {
  **hrnet.VARIANTS,
  **simple_baseline.VARIANTS,
  **hourglass.VARIANTS,
}


def create_model(
  name: str, num_keypoints: int = 17, **overrides: Any
) -> nn.Module:
  """Builds a pose network.

  `model.init(key, images)` makes the variables. `model.apply(variables, images,
  train=False)` takes normalised float images [B, H, W, 3] and returns heatmaps
  [B, H/4, W/4, K] float32, or a tuple of them, one per supervised stage, the
  last being the prediction; ValueError where the network cannot divide H or W.
  With train=True pass mutable=["batch_stats"].

  Args:
    name: a key of `MODELS`.
    num_keypoints: K, the number of heatmaps.
    **overrides: fields of the module, see `layers.Settings`, e.g.
      dtype="bfloat16".

  Returns:
    The Linen module, without parameters.

  Raises:
    ValueError: for an unknown name (the message lists the names), an
      unknown override or a number of keypoints below 1.
  """
  if name not in MODELS:
    raise ValueError(f"no model {name!r}; choose one of {', '.join(MODELS)}")
  if num_keypoints < 1:
    raise ValueError(f"num_keypoints must be at least 1, got {num_keypoints}")
  constructor = MODELS[name]
  fields = {f.name for f in dataclasses.fields(constructor.func) if f.init}
  fields -= {"parent", "name", "num_keypoints"}
  if unknown := sorted(overrides.keys() - fields):
    raise ValueError(
      f"{name} has no field {', '.join(unknown)}; "
      f"it takes {', '.join(sorted(fields))}"
    )
  overrides["dtype"] = _compute_dtype(overrides.get("dtype", jnp.float32))
  return constructor(num_keypoints=num_keypoints, **overrides)


def _compute_dtype(dtype) -> jnp.dtype:
  name = dtype if isinstance(dtype, str) else jnp.dtype(dtype).name
  if name not in ("float32", "bfloat16"):
    raise ValueError(
      f"dtype must be float32 or bfloat16, got {dtype}; parameters are "
      "float32 in either case. float16 needs its loss scaled, which bfloat16, "
      "with the exponents of float32, does not"
    )
  return jnp.dtype(name)

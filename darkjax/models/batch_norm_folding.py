"""Batch norm folded into the convolutions before it, for inference.

With running statistics a norm is factor · x + offset in each channel, where
factor = scale / sqrt(variance + ε) and offset = bias − mean · factor. A
convolution is linear, so that its kernel can carry the factor; the norm then
only adds. A norm that follows something else keeps its factor, computed once.
"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from darkjax.models import layers, simple_baseline

# Layers whose kernel's last axis is that of the output, without activation.
CONVOLUTIONS = (nn.Conv, simple_baseline.Deconv)


class _Norm(NamedTuple):
  """A batch norm and the convolution whose output it reads, by their paths."""

  path: tuple[str, ...]
  epsilon: float
  convolution: tuple[str, ...] | None  # None: it reads something else


def fold(model: Any, variables: Any, *, crop_size: tuple[int, int]) -> Any:
  """Variables with which the same network infers without batch norms.

  Heatmaps are the same up to float32 rounding. A convolution before a norm is
  taken to be read by that norm alone, and each to be called once, as in all
  networks of darkjax.models.

  Args:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats". Without "batch_stats" they are
      returned as they are: no norms, or folded before.
    crop_size: (height, width) of images that the model takes, px; it is traced
      with one.

  Returns:
    "params" without the norms', and "folded" with what `layers.BatchNorm` uses
    instead, NumPy arrays. For `model.apply(..., train=False)`, at any size.
  """
  if not variables.get("batch_stats"):
    return variables
  params = flax.traverse_util.flatten_dict(variables["params"])
  statistics = flax.traverse_util.flatten_dict(variables["batch_stats"])
  folded = {}
  for norm in _norms(model, crop_size):
    factor, offset = _factor_and_offset(norm, params, statistics)
    folded[*norm.path, "offset"] = offset.astype(np.float32)
    if norm.convolution is None:
      folded[*norm.path, "factor"] = factor.astype(np.float32)
    else:
      _multiply(params, norm.convolution, factor)
  return {
    "params": flax.traverse_util.unflatten_dict(params),
    "folded": flax.traverse_util.unflatten_dict(folded),
  }


def _factor_and_offset(norm, params, statistics):
  """[C] each, float64; the norm's own parameters are taken out of `params`."""
  scale, bias = (
    np.asarray(params.pop((*norm.path, name)), np.float64)
    for name in ("scale", "bias")
  )
  mean, variance = (
    np.asarray(statistics[*norm.path, name], np.float64)
    for name in ("mean", "var")
  )
  factor = scale / np.sqrt(variance + norm.epsilon)
  return factor, bias - mean * factor


def _multiply(params, convolution, factor) -> None:
  """Multiplies what a convolution gives in each channel."""
  for name in ("kernel", "bias"):
    if (*convolution, name) in params:
      old = np.asarray(params[*convolution, name])
      params[*convolution, name] = (old * factor).astype(old.dtype)


@functools.lru_cache(maxsize=32)
def _norms(model, crop_size) -> tuple[_Norm, ...]:
  """The batch norms of a network, found by tracing it; nothing is computed."""
  outputs, found = [], []

  def watch(call, args, kwargs, context):
    output = call(*args, **kwargs)
    module = context.module
    if context.method_name != "__call__":
      return output
    if isinstance(module, CONVOLUTIONS):
      outputs.append((output, module.path))
    elif isinstance(module, layers.BatchNorm):
      read = [path for seen, path in outputs if seen is args[0]]
      found.append(_Norm(module.path, module.epsilon, *(read or [None])))
    return output

  key = jax.eval_shape(jax.random.key, 0)
  images = jax.ShapeDtypeStruct((1, *crop_size, 3), jnp.float32)
  with nn.intercept_methods(watch):
    jax.eval_shape(model.init, key, images)
  return tuple(found)

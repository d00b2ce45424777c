"""Batch norm folded into the convolutions before it, for inference.

With running statistics a norm is factor · x + offset in each channel, where
factor = scale / sqrt(variance + ε) and offset = bias − mean · factor. A
convolution is linear, so that its kernel can carry the factor; the norm then
only adds. A norm that follows something else keeps its factor, computed once.
"""

import functools
from typing import Any, NamedTuple

import flax.traverse_util
import numpy as np

from darkjax.models import layers, tracing


class _Norm(NamedTuple):
  """A batch norm and the convolution whose output it reads, by their paths."""

  path: tuple[str, ...]
  epsilon: float
  convolution: tuple[str, ...] | None  # None: it reads something else


def fold(model: Any, variables: Any, *, crop_size: tuple[int, int]) -> Any:
  """Returns variables with which the same network infers without batch norms.

  Heatmaps are the same up to float32 rounding. A convolution before a norm must
  be read by that norm alone, and each be called once, as in all networks here.

  Args:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats"; returned as they are without
      "batch_stats" (no norms, or folded before).
    crop_size: (height, width), px, of images that the model takes.

  Returns:
    "params" without the norms' and "folded", what `BatchNorm` uses instead:
    NumPy arrays for `model.apply(..., train=False)` at any size.
  """
  if not variables.get("batch_stats"):
    return variables
  params = flax.traverse_util.flatten_dict(variables["params"])
  statistics = flax.traverse_util.flatten_dict(variables["batch_stats"])
  folded = {}
  for norm in _norms(model, crop_size):
    scale, bias = (
      np.asarray(params.pop((*norm.path, name)), np.float64)
      for name in ("scale", "bias")
    )
    mean, variance = (
      np.asarray(statistics[*norm.path, name], np.float64)
      for name in ("mean", "var")
    )
    factor = scale / np.sqrt(variance + norm.epsilon)
    offset = bias - mean * factor
    folded[*norm.path, "offset"] = offset.astype(np.float32)
    if norm.convolution is None:
      folded[*norm.path, "factor"] = factor.astype(np.float32)
      continue
    for name in ("kernel", "bias"):
      if (path := (*norm.convolution, name)) in params:
        old = np.asarray(params[path])
        params[path] = (old * factor).astype(old.dtype)
  return {
    "params": flax.traverse_util.unflatten_dict(params),
    "folded": flax.traverse_util.unflatten_dict(folded),
  }


@functools.lru_cache(maxsize=32)
def _norms(model, crop_size) -> tuple[_Norm, ...]:
  """The batch norms of a network, by tracing it."""
  _, calls = tracing.trace(model, crop_size)
  sources = {
    id(call.output): call.layer.path
    for call in calls
    if isinstance(call.layer, tracing.CONVOLUTIONS)
  }
  return tuple(
    _Norm(call.layer.path, call.layer.epsilon, sources.get(id(call.input)))
    for call in calls
    if isinstance(call.layer, layers.BatchNorm)
  )

"""Shapes of a network's variables and the calls of its layers, by tracing."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from darkjax.models import simple_baseline

# Layers whose kernel's last axis is that of the output, without activation.
CONVOLUTIONS = (nn.Conv, simple_baseline.Deconv)


class Call(NamedTuple):
  """One call of a layer; input and output are abstract arrays."""

  layer: nn.Module
  input: Any
  output: Any


def trace(
  model: nn.Module, size: tuple[int, int] = (64, 64)
) -> tuple[Any, list[Call]]:
  """Traces `model.init` with one image of (height, width) px.

  Returns the variables as shapes and dtypes, and the calls in order.
  """
  calls = []

  def record(call, args, kwargs, context):
    output = call(*args, **kwargs)
    if context.method_name == "__call__":
      calls.append(Call(context.module, args[0], output))
    return output

  key = jax.eval_shape(jax.random.key, 0)
  images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  with nn.intercept_methods(record):
    return jax.eval_shape(model.init, key, images), calls

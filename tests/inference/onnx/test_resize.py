"""Repeated cells become Resize, which gives the same; nothing else does."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax.inference.onnx.resize import use_resize
from darkjax.inference.onnx.simplify import simplify
from darkjax.models import layers

pytest.importorskip("jax2onnx", reason="needs darkjax[onnx], 160 MB")
ort = pytest.importorskip("onnxruntime")

BATCH = jax.ShapeDtypeStruct(
  (*jax.export.symbolic_shape("b"), 5, 3, 4), jnp.float32
)


def convert(function):
  import jax2onnx

  return jax2onnx.to_onnx(
    simplify(function, BATCH),
    inputs=[BATCH],
    input_names=["x"],
    output_names=["y"],
    opset=21,
  )


def operations(model):
  return collections.Counter(node.op_type for node in model.graph.node)


def run(model, x):
  options = ort.SessionOptions()
  options.log_severity_level = 3
  session = ort.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  return session.run(["y"], {"x": x})[0]


def repeated_twice(x):
  return layers.upsample_nearest(layers.upsample_nearest(x, 2) + 1.0, 4)


def stretched(x):
  """Another factor along each axis."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:, :, None, :, None], (batch, height, 3, width, 2, channels)
  )
  return x.reshape(batch, 3 * height, 2 * width, channels)


@pytest.mark.parametrize(
  ("function", "count"), [(repeated_twice, 2), (stretched, 1)]
)
@pytest.mark.parametrize("people", [1, 3])
def test_repeated_cells_become_resize(function, count, people, rng):
  model = convert(function)
  assert operations(model)["Expand"] == count
  assert use_resize(model) == count
  found = operations(model)
  assert found["Resize"] == count
  assert not found["Expand"] + found["Shape"] + found["Gather"]
  x = rng.normal(size=(people, 5, 3, 4)).astype(np.float32)
  np.testing.assert_array_equal(run(model, x), function(x))


def channels_repeated(x):
  """Six axes as well, but the new ones are not where cells are repeated."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:, :, None, :, :, None], (batch, height, 2, width, channels, 2)
  )
  return x.reshape(batch, 2 * height, width, 2 * channels)


def one_side_read_as_another(x):
  """Repeated cells, but rows and columns do not come back as such."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:, :, None, :, None], (batch, height, 2, width, 2, channels)
  )
  return x.reshape(batch, 2 * width, 2 * height, channels)


def tokens_repeated(x):
  """The same six axes, of what was no image before."""
  batch, height, width, channels = x.shape
  tokens = jnp.tanh(x).reshape(batch, height * width, channels)
  x = jnp.broadcast_to(
    tokens.reshape(batch, height, 1, width, 1, channels),
    (batch, height, 2, width, 2, channels),
  )
  return x.reshape(batch, 2 * height, 2 * width, channels)


def first_repeated(x):
  """The first image's cells, for all."""
  batch, height, width, channels = x.shape
  x = jnp.broadcast_to(
    x[:1, :, None, :, None], (batch, height, 2, width, 2, channels)
  )
  return x.reshape(batch, 2 * height, 2 * width, channels)


@pytest.mark.parametrize(
  "function",
  [
    channels_repeated,
    one_side_read_as_another,
    tokens_repeated,
    first_repeated,
  ],
)
def test_other_expansions_stay(function, rng):
  model = convert(function)
  assert use_resize(model) == 0
  x = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
  # tanh is another one in ONNX Runtime, to float32's rounding.
  np.testing.assert_allclose(run(model, x), function(x), atol=1e-6)

"""Simplified functions compute the same with fewer and simpler operations."""

import collections

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from darkjax.heatmaps import decode
from darkjax.inference.onnx.simplify import simplify

BATCH = jax.ShapeDtypeStruct(
  (*jax.export.symbolic_shape("b"), 7, 5, 3), jnp.float32
)


def _operations(function, argument=BATCH):
  """How often each operation occurs, calls included."""
  counts = collections.Counter()

  def count(jaxpr):
    for equation in jaxpr.eqns:
      counts[equation.primitive.name] += 1
      for inner in jax.extend.core.jaxprs_in_params(equation.params):
        count(inner)

  count(jax.make_jaxpr(function)(argument).jaxpr)
  return counts


def _run(function, array):
  """The simplified function of a symbolic batch, run."""
  simple = jax.jit(simplify(function, BATCH))
  return np.asarray(jax.export.export(simple)(BATCH).call(array))


def _convolved(images):
  kernel = jnp.arange(54.0).reshape(3, 3, 3, 2) / 54
  return lax.conv_general_dilated(
    images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )


def test_factors_stay(rng):
  """One that differs between channels, between pixels, and the images."""

  def function(images):
    maps = _convolved(images) * jnp.array([2.0, -3.0]).reshape(1, 1, 1, 2)
    row = jnp.arange(5.0).reshape(1, 1, 5, 1)
    return maps * row + maps * images[..., :2]

  simple = simplify(function, BATCH)
  assert _operations(simple)["conv_general_dilated"] == 1
  images = rng.normal(size=(2, 7, 5, 3)).astype(np.float32)
  np.testing.assert_allclose(
    _run(function, images), function(images), atol=1e-5
  )


def test_what_is_known_is_computed_before():
  def function(images):
    table = jnp.exp(jnp.sin(jnp.arange(3.0)).reshape(1, 1, 1, 3))
    return images + table

  counts = _operations(simplify(function, BATCH))
  assert counts == {"add": 1} or counts == {"add": 1, "broadcast_in_dim": 1}


def test_the_same_is_computed_once(rng):
  def function(images):
    return jnp.exp(images - 1.0) + jnp.exp(images - 1.0) * jnp.exp(images - 2.0)

  simple = simplify(function, BATCH)
  assert _operations(simple)["exp"] == _operations(simple)["sub"] == 2
  images = rng.normal(size=(2, 7, 5, 3)).astype(np.float32)
  # float32 rounding: XLA fuses the one and not the other
  np.testing.assert_allclose(
    _run(function, images), function(images), rtol=1e-6
  )


@pytest.mark.parametrize(
  "mode", ["clip", "promise_in_bounds"], ids=["clip", "inside"]
)
def test_gathers_with_batch_axes_become_flat(mode, rng):
  def cut(maps):
    """Rows and windows of each map, at places the maps themselves say."""
    start = jnp.abs(maps[0, 0, 0]).astype(jnp.int32)
    if mode == "clip":
      row = lax.dynamic_slice(maps, (start + 5, 1, 0), (2, 4, 3))
    else:
      rows = jnp.clip(start + jnp.arange(3), 0, 6)
      columns = jnp.array([4, 0])
      row = maps.at[rows[:, None], columns[None]].get(
        mode="promise_in_bounds", wrap_negative_indices=False
      )
    return row

  simple = simplify(jax.vmap(cut), BATCH)
  for equation in jax.make_jaxpr(simple)(BATCH).jaxpr.eqns:
    if equation.primitive.name == "gather":
      assert not equation.params["dimension_numbers"].operand_batching_dims
  maps = rng.normal(0, 3, (4, 7, 5, 3)).astype(np.float32)
  np.testing.assert_array_equal(_run(jax.vmap(cut), maps), jax.vmap(cut)(maps))


@pytest.mark.parametrize(
  "options",
  [
    {"method": "dark"},
    {"method": "dark", "border": "official"},
    {"method": "standard", "standard": "eq1"},
    {"method": "argmax"},
  ],
)
def test_decoders(options, rng):
  def function(maps):
    found = decode.decode_heatmaps(maps, blur_kernel=3, **options)
    parts = [found.keypoints, found.scores[..., None]]
    return jnp.concatenate(parts, -1)

  maps = rng.uniform(0.05, 1, (4, 7, 5, 3)).astype(np.float32)
  maps[0, :, :, 1] = np.nan
  maps[1, :, :, 0] = 0.0
  # px; the same arithmetic, fused in another way
  np.testing.assert_allclose(_run(function, maps), function(maps), atol=1e-5)

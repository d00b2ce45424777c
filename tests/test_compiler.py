"""Options reach the compiler, and only one that knows them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax import compiler
from darkjax.models import layers


@pytest.fixture
def fresh_options():
  """Options are looked up anew, before the test and after it."""
  compiler.options.cache_clear()
  yield
  compiler.options.cache_clear()


def test_convolutions_go_to_the_library(rng):
  images = rng.normal(size=(8, 32, 24, 32)).astype(np.float32)
  layer = layers.conv(32, 3)
  variables = layer.init(jax.random.key(0), images)
  plain = jax.jit(layer.apply)
  options = compiler.options("inference")
  compiled = plain.lower(variables, images).compile(compiler_options=options)
  assert "ynn_fusion" in compiled.as_text()
  # float32 sums of 288 products of order 0.1, in another order.
  np.testing.assert_allclose(
    compiler.tuned(plain)(variables, images),
    plain(variables, images),
    atol=1e-5,
  )


@pytest.mark.usefixtures("fresh_options")
def test_a_choice_in_the_environment_counts(monkeypatch):
  flag = "xla_cpu_experimental_ynn_fusion_type"
  assert flag in compiler.options("inference")
  compiler.options.cache_clear()
  monkeypatch.setenv("XLA_FLAGS", f"--{flag}=")
  assert flag not in compiler.options("inference")


@pytest.mark.usefixtures("fresh_options")
def test_unknown_options_are_left_out(monkeypatch):
  known = compiler.PURPOSES["training"]
  wanted = {"inference": known | {"xla_cpu_no_more": "1"}}
  monkeypatch.setattr(compiler, "PURPOSES", wanted)
  assert compiler.options("inference") == known


def test_one_program_for_each_shape():
  traced = []

  @jax.pmap
  def double(x):
    traced.append(x["a"].shape)
    return 2 * x["a"]

  tuned = compiler.tuned(double)
  for count in (3, 5, 3):
    x = jnp.arange(2.0 * count).reshape(2, count)
    np.testing.assert_array_equal(tuned({"a": x}), 2 * x)
  assert len(traced) == 2

"""Compiler options are applied, and only those that the compiler has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax.models import layers
from darkjax.runtime import xla_options


@pytest.fixture
def fresh_options():
  """Options are looked up anew, before the test and after it."""
  xla_options.options.cache_clear()
  yield
  xla_options.options.cache_clear()


def test_convolutions_go_to_the_library(rng):
  images = rng.normal(size=(8, 32, 24, 32)).astype(np.float32)
  layer = layers.conv(32, 3)
  variables = layer.init(jax.random.key(0), images)
  plain = jax.jit(layer.apply)
  options = xla_options.options("inference")
  compiled = plain.lower(variables, images).compile(compiler_options=options)
  assert "ynn_fusion" in compiled.as_text()
  # float32 sums of 288 products of order 0.1, in another order.
  np.testing.assert_allclose(
    xla_options.tuned(plain)(variables, images),
    plain(variables, images),
    atol=1e-5,
  )


@pytest.mark.usefixtures("fresh_options")
def test_a_choice_in_the_environment_counts(monkeypatch):
  flag = "xla_cpu_experimental_ynn_fusion_type"
  assert flag in xla_options.options("inference")
  xla_options.options.cache_clear()
  monkeypatch.setenv("XLA_FLAGS", f"--{flag}=")
  assert flag not in xla_options.options("inference")


@pytest.mark.usefixtures("fresh_options")
def test_unknown_options_are_left_out(monkeypatch):
  options = xla_options.PURPOSES["cpu"]["training"]
  purposes = {"cpu": {"inference": options | {"xla_cpu_no_more": "1"}}}
  monkeypatch.setattr(xla_options, "PURPOSES", purposes)
  assert xla_options.options("inference") == options


def test_one_program_for_each_shape():
  traced = []

  @jax.pmap
  def double(x):
    traced.append(x["a"].shape)
    return 2 * x["a"]

  tuned = xla_options.tuned(double)
  for count in (3, 5, 3):
    x = jnp.arange(2.0 * count).reshape(2, count)
    np.testing.assert_array_equal(tuned({"a": x}), 2 * x)
  assert len(traced) == 2

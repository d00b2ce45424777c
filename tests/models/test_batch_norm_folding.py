"""Networks with folded batch norms give the heatmaps of those without."""

import hashed
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_network

from darkjax import inference
from darkjax.models import batch_norm_folding, create_model, weights

CASES = ["hrnet", "resnet_basic", "resnet_bottleneck", "hourglass"]


def _network(case, **overrides):
  name, fields, size = hashed.CASES[case]
  model = create_model(name, 3, **(fields | overrides))
  expected = weights.expected_entries(model)
  shapes = {key: shape for key, (_, shape) in expected.items()}
  variables = weights.load_torch_weights(hashed.state_dict(shapes), model)
  return model, variables, size


def _heatmaps(model, variables, size):
  apply = jax.jit(model.apply)
  return inference.last_stage(apply(variables, hashed.images(2, *size)))


@pytest.mark.parametrize("case", CASES)
def test_heatmaps_stay_the_same(case):
  model, variables, size = _network(case)
  folded = batch_norm_folding.fold(model, variables, crop_size=size)
  assert set(folded) == {"params", "folded"}
  expected = _heatmaps(model, variables, size)
  # float32 rounding of values of order 1, fifty layers deep.
  np.testing.assert_allclose(
    _heatmaps(model, folded, size), expected, atol=1e-4
  )
  # Statistics matter to it: means and variances of 1 are far away.
  plain = jax.tree.map(jnp.ones_like, variables["batch_stats"])
  plain = {**variables, "batch_stats": plain}
  assert np.abs(_heatmaps(model, plain, size) - expected).max() > 0.01


@pytest.mark.parametrize(
  ("case", "with_factor", "without"),
  # By hand. ResNet of basic blocks: stem, 4 · 2, 3 downsamplings, 3 of the
  # head. Hourglass: 2 · 13 + 2 + 3 blocks, whose second and third norm follow
  # a convolution; stem and two fc do too.
  [("resnet_basic", 0, 1 + 4 * 2 + 3 + 3), ("hourglass", 31, 2 * 31 + 1 + 2)],
)
def test_every_norm_after_a_convolution_loses_its_factor(
  case, with_factor, without
):
  model, variables, size = _network(case)
  folded = batch_norm_folding.fold(model, variables, crop_size=size)
  paths = jax.tree_util.tree_leaves_with_path(folded["folded"])
  names = [path[-1].key for path, _ in paths]
  assert names.count("factor") == with_factor
  assert names.count("offset") == with_factor + without


def test_variables_without_norms_are_returned():
  model = small_network.SmallNetwork(normalised=False)
  variables = model.init(jax.random.key(0), jnp.zeros((1, 48, 32, 3)))
  assert (
    batch_norm_folding.fold(model, variables, crop_size=(48, 32)) is variables
  )
  model, variables, size = _network("resnet_basic")
  folded = batch_norm_folding.fold(model, variables, crop_size=size)
  assert batch_norm_folding.fold(model, folded, crop_size=size) is folded


def test_bfloat16_computes_in_bfloat16():
  model, variables, size = _network("train", dtype="bfloat16")
  folded = batch_norm_folding.fold(model, variables, crop_size=size)
  images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  _, state = jax.eval_shape(
    lambda images: model.apply(
      folded, images, mutable=["intermediates"], capture_intermediates=True
    ),
    images,
  )
  layers = state["intermediates"]
  del layers["__call__"]  # the model's own output is float32
  assert {x.dtype.name for x in jax.tree.leaves(layers)} == {"bfloat16"}

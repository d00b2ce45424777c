"""Every layer and one training step against PyTorch.

The expected numbers come from scripts/make_goldens.py (torch 2.13.0, timm
1.0.31): both sides fill their tensors from a hash of the names, ours through
load_torch_weights.
"""

import functools
import json
import pathlib

import flax.traverse_util
import hashed
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from darkjax.models import create_model, torch_names, weights

GOLDENS = pathlib.Path(__file__).parent.parent / "goldens"
FORWARD = [name for name in hashed.CASES if name != "train"]
FULL = (
  "hrnet_w32",
  "hrnet_w48",
  "simple_baseline_18",
  "simple_baseline_50",
  "simple_baseline_101",
  "simple_baseline_152",
  "hourglass_4",
  "hourglass_8",
)


def golden(name):
  with np.load(GOLDENS / f"{name}.npz") as file:
    return dict(file)


def filled(name):
  """Model of a case, its variables from the hash, and its images."""
  model_name, overrides, size = hashed.CASES[name]
  model = create_model(model_name, 3, **overrides)
  expected = weights.expected_entries(model)
  shapes = {key: shape for key, (_, shape) in expected.items()}
  variables = weights.load_torch_weights(hashed.state_dict(shapes), model)
  return model, variables, jnp.asarray(hashed.images(2, *size))


def activations(model, variables, images):
  """Every submodule's output under its PyTorch name."""
  run = functools.partial(model.apply, capture_intermediates=True)
  _, state = jax.jit(run)(variables, images)
  flat = flax.traverse_util.flatten_dict(state["intermediates"])
  result = {}
  for path, (output,) in flat.items():
    if len(path) == 1:  # the model's own output, captured at its last layer
      continue
    name = torch_names.torch_name((*path[:-1], "bias")).removesuffix(".bias")
    listed = isinstance(output, list)
    for i, x in enumerate(output if listed else [output]):
      result[f"{name}:{i}" if listed else name] = np.asarray(x)
  return result


@pytest.mark.parametrize("name", FORWARD)
def test_every_activation_equals_pytorch(name):
  expected = golden(name)
  result = activations(*filled(name))
  assert not set(result) - set(expected)
  for key, x in result.items():
    got = hashed.samples(key, x)
    # float32 sums in another order over up to 40 layers; measured 2e-6.
    tolerance = 1e-4 * expected[key][-1]
    np.testing.assert_allclose(
      got, expected[key], rtol=0, atol=tolerance, err_msg=key
    )
  # Nothing was compared with nothing: all of PyTorch's convolutions and norms.
  leaves = {key.rsplit(".", 1)[0] for key in weights_names(name)}
  assert leaves <= set(result)


def weights_names(name):
  model_name, overrides, _ = hashed.CASES[name]
  return weights.expected_entries(create_model(model_name, 3, **overrides))


def test_a_training_step_equals_pytorch():
  model, variables, images = filled("train")
  target = jnp.asarray(hashed.heatmaps(*images.shape[:3], 3))
  optimizer = optax.adam(1e-3)

  @jax.jit
  def step(variables):
    def loss(params):
      prediction, new = model.apply(
        {**variables, "params": params}, images, True, mutable="batch_stats"
      )
      return 0.5 * jnp.mean(jnp.square(prediction - target)), new

    params = variables["params"]
    (value, new), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    updates, _ = optimizer.update(gradients, optimizer.init(params))
    return value, {**new, "params": optax.apply_updates(params, updates)}

  with jax.numpy_dtype_promotion("standard"):  # optax counts in int32
    value, updated = step(variables)
  expected = golden("train")
  assert float(value) == pytest.approx(float(expected.pop("loss")), rel=1e-5)
  flat = flax.traverse_util.flatten_dict(updated)
  entries = weights.expected_entries(model)
  assert set(entries) == set(expected)
  for name, (path, _) in entries.items():
    # Adam's first step is 1e-3 in size whatever the gradient's, so 1e-5 is
    # one hundredth of what is tested; statistics are O(1).
    np.testing.assert_allclose(
      hashed.samples(name, to_torch(name, np.asarray(flat[path]))),
      expected[name],
      rtol=1e-5,
      atol=1e-5,
      err_msg=name,
    )


def to_torch(name, array):
  """Our axes back to PyTorch's: the inverse of torch_names.from_torch."""
  if array.ndim != 4:
    return array
  transposed = torch_names.is_transposed(name)
  return array.transpose((2, 3, 0, 1) if transposed else (3, 2, 0, 1))


def names(key):
  """Names and shapes of a full network in PyTorch."""
  text = bytes(golden("names")[key]).decode()
  return {name: tuple(shape) for name, shape in json.loads(text).items()}


@pytest.mark.parametrize("name", FULL)
def test_the_full_networks_have_pytorchs_names_and_shapes(name):
  expected = weights.expected_entries(create_model(name))
  ours = {key: shape for key, (_, shape) in expected.items()}
  assert ours == names(name)


def entries_of(key):
  """Zeros of no memory; test_weights.py tests where values go."""
  shapes = names(key)
  return {n: np.broadcast_to(np.float32(0), s) for n, s in shapes.items()}


def test_an_imagenet_hrnet_lacks_the_head_and_nothing_else():
  with pytest.raises(ValueError, match="nothing was loaded") as error:
    weights.load_torch_weights(
      entries_of("imagenet_hrnet_w32"), create_model("hrnet_w32")
    )
  problems = str(error.value).splitlines()[1:-1]
  assert problems == ["  2 missing: final_layer.bias, final_layer.weight"]


def test_an_imagenet_resnet_loads_below_a_new_head(caplog):
  variables = weights.load_torch_weights(
    entries_of("imagenet_resnet50"),
    create_model("simple_baseline_50"),
    key=jax.random.key(0),
  )
  params = variables["params"]
  assert np.std(params["final_layer"]["kernel"]) == pytest.approx(
    0.001, rel=0.1
  )
  assert not np.any(params["layer4_2"]["conv3"]["kernel"])
  assert "newly initialised: ['deconv_layers.0.weight'" in caplog.text
  assert "BGR" not in caplog.text

"""The networks: sizes, shapes, dtypes, errors and what training touches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from darkjax import models
from darkjax.models import create_model

# (17 keypoints, 16 keypoints), counted on the official modules in PyTorch.
OFFICIAL_SIZES = {
  "hrnet_w32": (28_536_113, 28_536_080),
  "hrnet_w48": (63_595_745, 63_595_696),
  "simple_baseline_50": (33_999_697, 33_999_440),
  "simple_baseline_101": (52_991_825, 52_991_568),
  "simple_baseline_152": (68_635_473, 68_635_216),
  "hourglass_4": (13_020_612, None),
  "hourglass_8": (25_598_472, None),
}
SMALL = {  # the classes at a size that compiles in a second or two
  "hrnet_small": {"channels": 4, "blocks": 1, "stage1_features": 8},
  "simple_baseline_18": {
    "features": 8,
    "deconv_features": 8,
    "blocks": (1, 1, 1, 1),
  },
  "hourglass_2": {"features": 8},
}


def count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes_of(model, size=(128, 96)):
  images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  key = jax.eval_shape(jax.random.key, 0)
  return jax.eval_shape(model.init_with_output, key, images)


@pytest.mark.parametrize("name", OFFICIAL_SIZES)
def test_parameter_counts_are_the_official_ones(name):
  for keypoints, expected in zip((17, 16), OFFICIAL_SIZES[name], strict=True):
    _, variables = shapes_of(create_model(name, keypoints))
    assert expected in (None, count(variables["params"]))


@pytest.mark.parametrize("name", models.MODELS)
def test_heatmaps_are_a_quarter_of_the_input(name):
  output, variables = shapes_of(create_model(name, 5, dtype="bfloat16"))
  outputs = output if isinstance(output, tuple) else (output,)
  for heatmaps in outputs:
    assert heatmaps.shape == (1, 32, 24, 5)
    assert heatmaps.dtype == jnp.float32
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
    jnp.dtype("float32")
  }


def test_an_hourglass_returns_one_output_per_stack():
  assert len(shapes_of(create_model("hourglass_8"))[0]) == 8


def test_an_unknown_name_lists_the_known_ones():
  with pytest.raises(ValueError, match=r"'hrnet_w18'.*hrnet_w32.*hourglass_8"):
    create_model("hrnet_w18")


def test_an_unknown_override_lists_the_fields():
  with pytest.raises(ValueError, match=r"no field width; it takes.*channels"):
    create_model("hrnet_small", width=3)


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_other_compute_dtypes_are_refused(dtype):
  with pytest.raises(ValueError, match="float32 or bfloat16"):
    create_model("hrnet_small", dtype=dtype)


def test_zero_keypoints_are_refused():
  with pytest.raises(ValueError, match="at least 1, got 0"):
    create_model("hrnet_small", num_keypoints=0)


@pytest.mark.parametrize(
  ("name", "size", "rule"),
  [
    ("hrnet_small", (128, 100), r"multiples of 32.*128 x 100.*128 x 128"),
    ("simple_baseline_18", (48, 64), r"multiples of 32.*48 x 64.*64 x 64"),
    ("hourglass_2", (66, 64), r"multiples of 4.*66 x 64.*68 x 64"),
    ("hourglass_2", (128, 60), r"at least 64.*128 x 60.*128 x 64"),
    ("hrnet_small", (0, 32), r"multiples of 32.*0 x 32.*32 x 32"),
  ],
)
def test_a_bad_size_says_which_multiple_is_needed(name, size, rule):
  with pytest.raises(ValueError, match=rule):
    shapes_of(create_model(name), size)


def test_channels_first_images_are_refused():
  images = jnp.zeros((1, 3, 64, 32))
  with pytest.raises(ValueError, match=r"\[B, H, W, 3\], got shape \(1, 3"):
    create_model("hrnet_small").init(jax.random.key(0), images)


@pytest.mark.parametrize("size", [(64, 64), (68, 76), (100, 124)])
def test_an_hourglass_takes_any_multiple_of_four(size):
  output, _ = shapes_of(create_model("hourglass_small"), size)
  assert output[-1].shape == (1, size[0] // 4, size[1] // 4, 17)


@pytest.mark.parametrize("name", SMALL)
def test_training_moves_the_statistics_and_nothing_else(name, rng):
  model = create_model(name, 3, **SMALL[name])
  images = jnp.asarray(rng.normal(size=(2, 64, 96, 3)), jnp.float32)
  variables = jax.jit(model.init)(jax.random.key(0), images)

  @jax.jit
  def step(variables):
    def loss(params):
      both = {**variables, "params": params}
      output, new = model.apply(
        both, images, train=True, mutable=["batch_stats"]
      )
      last = output[-1] if isinstance(output, tuple) else output
      return jnp.mean(jnp.square(last - 1.0)), new

    return jax.grad(loss, has_aux=True)(variables["params"])

  gradients, new = step(variables)
  assert set(new) == {"batch_stats"}
  before, after = variables["batch_stats"], new["batch_stats"]
  moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, after)
  assert all(jax.tree.leaves(moved))
  norms = jax.tree.map(lambda g: float(jnp.abs(g).max()), gradients)
  assert np.isfinite(jax.tree.leaves(norms)).all()
  # The last layer learns from the first step on in every family.
  assert max(jax.tree.leaves(norms)) > 1e-3


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_stays_near_float32(name, rng):
  images = jnp.asarray(rng.normal(size=(2, 64, 96, 3)), jnp.float32)
  outputs = []
  for dtype in ("float32", "bfloat16"):
    model = create_model(name, 3, dtype=dtype, **SMALL[name])
    variables = jax.jit(model.init)(jax.random.key(0), images)
    output, _ = jax.jit(
      lambda v, m=model: m.apply(v, images, True, mutable=["batch_stats"])
    )(variables)
    last = output[-1] if isinstance(output, tuple) else output
    outputs.append(np.asarray(last))
  # bfloat16 keeps 8 bits: 0.4 % an operation, some twenty layers deep.
  spread = np.abs(outputs[0]).max()
  assert 0 < np.abs(outputs[0] - outputs[1]).max() < 0.15 * spread

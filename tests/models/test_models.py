"""The networks: sizes, shapes, dtypes, errors and what training touches."""

import hashed
import jax
import jax.numpy as jnp
import pytest

from darkjax.models import create_model, weights


def count(tree) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes_of(model, size=(128, 96)):
  images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  key = jax.eval_shape(jax.random.key, 0)
  return jax.eval_shape(model.init_with_output, key, images)


@pytest.mark.parametrize(
  ("name", "expected"),
  [("hrnet_w32", 28_536_080), ("simple_baseline_50", 33_999_440)],
)
def test_sixteen_keypoints_change_the_head_alone(name, expected):
  # Counted on the official modules in PyTorch; 17 keypoints: test_cost.py.
  _, variables = shapes_of(create_model(name, 16))
  assert count(variables["params"]) == expected


@pytest.mark.parametrize(
  "name", ["hrnet_small", "simple_baseline_small", "hourglass_small"]
)
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
  assert len(shapes_of(create_model("hourglass_8", stacks=3))[0]) == 3


def test_an_unknown_name_lists_the_names():
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
  output, _ = shapes_of(create_model("hourglass_small", stacks=1), size)
  assert output[-1].shape == (1, size[0] // 4, size[1] // 4, 17)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
  ("name", "overrides"),
  [
    ("hrnet_small", {"blocks": 1}),
    ("simple_baseline_18", {"blocks": (1, 1, 1, 1)}),
    ("hourglass_2", {"stacks": 1}),
  ],
)
def test_bfloat16_runs_through_every_layer(name, overrides, train):
  model = create_model(name, dtype="bfloat16", **overrides)
  images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)

  def everything(images):
    variables = model.init(jax.random.key(0), images)
    mutable = ["intermediates", "batch_stats"] if train else ["intermediates"]
    return model.apply(
      variables, images, train, mutable=mutable, capture_intermediates=True
    )

  output, state = jax.eval_shape(everything, images)
  assert {x.dtype.name for x in jax.tree.leaves(output)} == {"float32"}
  layers = state["intermediates"]
  del layers["__call__"]  # the model's own output
  assert {x.dtype.name for x in jax.tree.leaves(layers)} == {"bfloat16"}
  stats = jax.tree.leaves(state.get("batch_stats", {}))
  assert {x.dtype.name for x in stats} == ({"float32"} if train else set())


def test_bfloat16_stays_near_float32():
  name, overrides, size = hashed.CASES["train"]
  outputs = {}
  for dtype in ("float32", "bfloat16"):
    model = create_model(name, 3, dtype=dtype, **overrides)
    expected = weights.expected_entries(model)
    shapes = {key: shape for key, (_, shape) in expected.items()}
    variables = weights.load_torch_weights(hashed.state_dict(shapes), model)
    outputs[dtype] = jax.jit(model.apply)(variables, hashed.images(2, *size))
  difference = jnp.abs(outputs["float32"] - outputs["bfloat16"]).max()
  # bfloat16 keeps 8 bits: 0.4 % an operation, some twenty layers deep.
  assert 0 < difference < 0.1 * jnp.abs(outputs["float32"]).max()

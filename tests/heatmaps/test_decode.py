"""What the decoders promise for every input and option."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from heatmap_cases import (
  METHODS,
  SIZE,
  assert_inside,
  draw,
  errors,
  map_families,
)

from darkjax.heatmaps.decode import decode_heatmaps

# The promises for every input.


def fuzz_maps(rng):
  """3,000 maps, [24, H, W, 5] at a time: noise, spikes, ramps, extremes."""
  shape = (24, *SIZE, 5)
  ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
  for _ in range(5):
    slope = rng.normal(size=(24, 1, 1, 5))
    scale = 10.0 ** rng.uniform(-44, 38, (24, 1, 1, 5))
    with np.errstate(over="ignore", under="ignore"):
      yield np.float32(rng.normal(size=shape))
      yield np.float32(rng.random(shape) * (rng.random(shape) > 0.97))
      yield np.float32(slope * xs[..., None] + ys[..., None])
      yield np.float32(rng.integers(-1, 2, shape))
      yield np.float32(np.clip(rng.normal(size=shape) * scale, -3e38, 3e38))


@pytest.mark.parametrize("blur_kernel", [1, 3, 11])
def test_refined_points_stay_inside_and_near_the_maximum(rng, blur_kernel):
  for maps in fuzz_maps(rng):
    decoded = decode_heatmaps(maps, blur_kernel=blur_kernel)
    assert_inside(decoded)
    maximum = decode_heatmaps(maps, method="argmax").keypoints
    assert errors(decoded, np.asarray(maximum)).max() <= 1.5


@pytest.mark.parametrize("method", ["sign", "eq1", "official"])
def test_other_points_stay_inside(rng, method):
  for maps in fuzz_maps(rng):
    assert_inside(decode_heatmaps(maps, **METHODS[method]))


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_finite(rng, method):
  def total(maps):
    decoded = decode_heatmaps(maps, **METHODS[method])
    return decoded.keypoints.sum() + jnp.nansum(decoded.covariances)

  gradient = jax.jit(jax.grad(total))
  for maps in [*map_families(rng).values(), *fuzz_maps(rng)]:
    assert np.isfinite(gradient(maps)).all()


def test_points_follow_the_gaussian_with_derivative_one():
  # d decode(render(p)) / dp is the identity where decoding is exact.
  point = jnp.asarray([[8.3, 9.6]])

  def decoded(point):
    return decode_heatmaps(draw(point, 1.5), blur_kernel=1).keypoints

  jacobian = jax.jacobian(decoded)(point)[0, :, 0, :]
  np.testing.assert_allclose(jacobian, np.eye(2), atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_give_a_finite_point(method, bad):
  maps = np.zeros((24, *SIZE, 5), np.float32)
  maps[0, 5, 4, 1] = bad
  decoded = decode_heatmaps(maps, **METHODS[method])
  np.testing.assert_array_equal(decoded.scores[0], [0.0, bad, 0.0, 0.0, 0.0])
  assert_inside(decoded)


@pytest.mark.parametrize("method", METHODS)
def test_minus_infinity_beside_the_maximum_gives_a_finite_point(method):
  maps = np.array(draw(np.full((24, 5, 2), 8.3), 2.0))
  maps[:, 7, 7] = -np.inf
  decoded = decode_heatmaps(maps, **METHODS[method])
  assert (np.asarray(decoded.scores) == maps.max((1, 2))).all()
  assert_inside(decoded)


@pytest.mark.parametrize("method", METHODS)
def test_a_spike_on_deep_ground_gives_a_finite_point(method):
  # The blurred map is negative throughout, the scale to the raw maximum too,
  # and what is deepest leaves float32. Found by tests/test_properties.py.
  maps = np.full((1, 5, 5, 1), -1.2351399e37, np.float32)
  maps[0, 0, :2] = 0.0
  maps[0, 2, 2] = 1.719491e38
  keypoints = decode_heatmaps(maps, **METHODS[method]).keypoints
  np.testing.assert_allclose(keypoints, [[[2.0, 2.0]]], atol=0.25)


def test_refine_does_not_depend_on_the_scale_of_the_map(rng):
  maps = map_families(rng)["noisy"]
  expected = decode_heatmaps(maps, blur_kernel=3).keypoints
  for scale in (1e-28, 1e36):
    scaled = decode_heatmaps(maps * np.float32(scale), blur_kernel=3)
    # 1e-4 px: products with the scale round differently.
    np.testing.assert_allclose(scaled.keypoints, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_decoded_in_float32(rng, method, dtype):
  maps = jnp.asarray(map_families(rng)["noisy"]).astype(dtype)
  half = decode_heatmaps(maps, **METHODS[method])
  single = decode_heatmaps(maps.astype(jnp.float32), **METHODS[method])
  for ours, expected in zip(half, single, strict=True):
    assert ours.dtype == jnp.float32
    # 1e-4: two compilations may round differently.
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_leading_axes_jit_and_vmap_give_the_same(rng, method):
  maps = jnp.asarray(map_families(rng)["noisy"]).reshape(4, 6, *SIZE, 5)
  decode = lambda m: decode_heatmaps(m, **METHODS[method])  # noqa: E731
  whole = decode(maps)
  assert whole.keypoints.shape == (4, 6, 5, 2)
  assert whole.scores.shape == (4, 6, 5)
  assert whole.covariances.shape == (4, 6, 5, 2, 2)
  for others in (
    jax.jit(decode)(maps),
    jax.vmap(decode)(maps),
    [x.reshape(4, 6, *x.shape[1:]) for x in decode(maps.reshape(24, *SIZE, 5))],
  ):
    for ours, expected in zip(others, whole, strict=True):
      # 1e-4: two compilations may round differently.
      np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_empty_batch_gives_empty_results(method):
  decoded = decode_heatmaps(jnp.zeros((0, *SIZE, 5)), **METHODS[method])
  assert decoded.keypoints.shape == (0, 5, 2)


# Options.


def test_smallest_maps_and_maps_smaller_than_the_kernel():
  for size in ((3, 3), (5, 4)):
    point = np.float32([[1.2, 1.3]])
    decoded = decode_heatmaps(draw(point, 1.0, size=size))
    # The kernel reaches past all borders, so the point is rough: the bound is
    # that of the method, 1.5 px from the maximum (1, 1), inside the map.
    assert errors(decoded, np.ones((1, 2))).max() < 1.5
    exact = decode_heatmaps(draw(point, 1.0, size=size), blur_kernel=1)
    assert errors(exact, point).max() < 1e-4
  assert decode_heatmaps(jnp.ones((1, 1, 2)), method="argmax").scores.sum() == 2


def test_numbers_may_be_concrete_arrays_but_not_traced(rng):
  maps = rng.random((20, 17, 2), np.float32)
  expected = decode_heatmaps(maps, sigma=5.0).keypoints
  for options in ({"sigma": jnp.float32(5)}, {"blur_kernel": jnp.int32(9)}):
    result = decode_heatmaps(maps, **options).keypoints
    np.testing.assert_array_equal(result, expected)
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} .* static_argnames"):
      jax.jit(decode_heatmaps, static_argnames=())(maps, **options)


@pytest.mark.parametrize(
  ("sigma", "blur_kernel"),
  # A third of sigma by 0.3 ((k - 1) / 2 - 1) + 0.8; 3 at least; 100 is cut to
  # 2 max(H, W) + 1.
  [(None, 3), (0.1, 3), (1.0, 3), (2.0, 3), (3.0, 5), (5.0, 9), (100.0, 41)],
)
def test_kernel_follows_from_sigma(rng, sigma, blur_kernel):
  maps = map_families(rng)["noisy"]
  derived = decode_heatmaps(maps, sigma=sigma).keypoints
  given = decode_heatmaps(maps, blur_kernel=blur_kernel).keypoints
  np.testing.assert_array_equal(derived, given)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"method": "nope"}, "argmax.*standard.*dark.*nope"),
    ({"border": "nope"}, "refine.*official.*nope"),
    ({"standard": "nope"}, "sign.*eq1.*nope"),
    ({"blur_kernel": 4}, "odd.*got 4"),
    ({"blur_kernel": 0}, "odd.*1 \\(no blur\\).*got 0"),
    ({"blur_kernel": -3}, "got -3"),
    ({"blur_kernel": 43}, "to 41 for maps of 20 x 17"),  # 2 * 20 + 1
    ({"sigma": -1.0}, "sigma"),
    ({"sigma": "wide"}, "sigma is a number known when .* got 'wide'"),
    ({"blur_kernel": [3, 3]}, "blur_kernel is a number known"),
  ],
)
def test_bad_options_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    decode_heatmaps(jnp.zeros((*SIZE, 3)), **options)


def test_bad_shapes_are_refused():
  with pytest.raises(ValueError, match=r"\[\.\.\., H, W, K\].*\(20, 17\)"):
    decode_heatmaps(jnp.zeros(SIZE))
  with pytest.raises(
    ValueError, match=r"at least 3 x 3.*height 2 and width 17"
  ):
    decode_heatmaps(jnp.zeros((2, 17, 3)))
  with pytest.raises(ValueError, match="at least 1 x 1"):
    decode_heatmaps(jnp.zeros((0, 17, 3)), method="argmax")

"""The encoder against Eq. 13 and 14, and the rules for weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from darkjax.heatmaps.encode import keypoint_weights, render_heatmaps

SIZE = (9, 7)  # height, width
SIGMA = 1.3
# Inside, on a pixel centre, at a half, at the edge, and outside the map.
POINTS = np.array(
  [[2.3, 4.8], [3.0, 5.0], [2.5, 4.5], [-0.6, 8.4], [8.1, -1.2]], np.float32
)


def draw(points, **options):
  return np.asarray(
    render_heatmaps(jnp.asarray(points), size=SIZE, sigma=SIGMA, **options)
  )


def expected(points, sigma=SIGMA):
  return np.stack([reference.gaussian_map(p, SIZE, sigma) for p in points], -1)


def test_unbiased_map_is_the_gaussian_at_the_real_keypoint():
  # 1e-6: float32 exponentials and their product against float64.
  np.testing.assert_allclose(draw(POINTS), expected(POINTS), atol=1e-6)


@pytest.mark.parametrize(
  ("quantize", "quantised"),
  [
    ("floor", [[2, 4], [3, 5], [2, 4], [-1, 8], [8, -2]]),
    # floor(x + 0.5): halves go up, as in the baseline's int(x + 0.5).
    ("round", [[2, 5], [3, 5], [3, 5], [-1, 8], [8, -1]]),
    ("ceil", [[3, 5], [3, 5], [3, 5], [0, 9], [9, -1]]),
  ],
)
def test_quantised_map_is_the_gaussian_at_the_quantised_keypoint(
  quantize, quantised
):
  np.testing.assert_allclose(
    draw(POINTS, quantize=quantize), expected(quantised), atol=1e-6
  )


def test_rounding_a_keypoint_at_the_edge_can_leave_the_map():
  # x = 6.5 is half a pixel beyond the last column of width 7 and rounds to 7:
  # the map's maximum is exp(-0.5 / sigma^2), not 1.
  heatmaps = draw([[6.5, 4.0]], quantize="round")
  assert heatmaps.max() == pytest.approx(np.exp(-0.5 / SIGMA**2), abs=1e-6)


def test_truncation_keeps_the_square_window_only():
  truncated = draw([[3.0, 4.0]], truncate=3.0 / SIGMA)[..., 0]
  full = draw([[3.0, 4.0]])[..., 0]
  # 3 px to each side of (3, 4): all 7 columns, rows 1 to 7; corners included.
  np.testing.assert_array_equal(truncated[1:8], full[1:8])
  assert not truncated[[0, 8]].any()
  assert full[[0, 8]].all()


def test_gradient_of_the_unbiased_map_is_that_of_the_gaussian():
  point = jnp.asarray(POINTS[:1])
  jacobian = jax.jacobian(
    lambda p: render_heatmaps(p, size=SIZE, sigma=SIGMA)[..., 0]
  )(point)[:, :, 0]
  ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
  offset = np.stack([xs, ys], -1) - POINTS[0]
  by_hand = expected(POINTS[:1]) * offset / SIGMA**2  # d exp(-r^2/2s^2) / dp
  np.testing.assert_allclose(jacobian, by_hand, atol=1e-6)


@pytest.mark.parametrize("quantize", ["floor", "round", "ceil"])
def test_quantised_map_has_zero_gradient(quantize):
  gradient = jax.grad(
    lambda p: render_heatmaps(
      p, size=SIZE, sigma=SIGMA, quantize=quantize
    ).sum()
  )(jnp.asarray(POINTS))
  np.testing.assert_array_equal(gradient, np.zeros_like(POINTS))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_keypoint_that_is_not_finite_draws_nothing(bad):
  points = jnp.asarray([[bad, 4.0], [2.0, 3.0]], jnp.float32)
  heatmaps, gradient = jax.value_and_grad(
    lambda p: render_heatmaps(p, size=SIZE, sigma=SIGMA).sum()
  )(points)
  assert not draw(points)[..., 0].any()
  assert float(heatmaps) == pytest.approx(draw(points)[..., 1].sum(), rel=1e-6)
  assert np.isfinite(gradient).all()


# float32's largest is 3.4e38, and a gradient has twice the distance in it.
@pytest.mark.parametrize("far", [1e17, 1e30, 3e38])
def test_keypoint_far_away_draws_nothing_and_has_finite_gradient(far):
  points = jnp.full((3, 2), far, jnp.float32)
  total, gradient = jax.value_and_grad(
    lambda p: render_heatmaps(p, size=SIZE, sigma=SIGMA).sum()
  )(points)
  assert float(total) == 0.0
  assert np.isfinite(gradient).all()


def test_leading_axes_jit_and_vmap_give_the_same_maps(rng):
  points = jnp.asarray(rng.uniform(0, 6, (2, 3, 4, 2)), jnp.float32)
  heatmaps = draw(points)
  assert heatmaps.shape == (2, 3, *SIZE, 4)
  assert heatmaps.dtype == np.float32
  np.testing.assert_array_equal(heatmaps[1, 2], draw(points[1, 2]))
  one = lambda p: render_heatmaps(p, size=SIZE, sigma=SIGMA)  # noqa: E731
  np.testing.assert_array_equal(heatmaps, jax.vmap(jax.vmap(one))(points))
  np.testing.assert_array_equal(heatmaps, jax.jit(one)(points))
  assert draw(np.zeros((0, 4, 2), np.float32)).shape == (0, *SIZE, 4)


def test_weights_count_visibility_1_and_2_alike():
  points = jnp.full((3, 2), 3.0)
  weights = keypoint_weights(
    points, jnp.array([0, 1, 2]), size=SIZE, sigma=SIGMA
  )
  np.testing.assert_array_equal(weights, [0.0, 1.0, 1.0])
  assert weights.dtype == jnp.float32


@pytest.mark.parametrize(
  ("point", "quantize", "weight"),
  [
    # Sigma 1, map 7 wide, 9 high. Left: the window's last pixel is
    # trunc(x + 4) - 1, which is 0 for x = -3 and -1 below.
    ((-3.0, 4.0), "none", 1.0),
    ((-3.01, 4.0), "none", 0.0),
    # Right: the first pixel is trunc(x - 3), which is 6 up to x < 10.
    ((9.99, 4.0), "none", 1.0),
    ((10.0, 4.0), "none", 0.0),
    # The same in y: up to y < 12.
    ((3.0, -3.01), "none", 0.0),
    ((3.0, 11.99), "none", 1.0),
    ((3.0, 12.0), "none", 0.0),
    # Rounded first: 9.6 becomes 10, whose window starts at 7.
    ((9.6, 4.0), "round", 0.0),
    ((9.4, 4.0), "round", 1.0),
    ((np.nan, 4.0), "none", 0.0),
    ((np.inf, 4.0), "none", 0.0),
  ],
)
def test_weight_is_zero_when_the_window_misses_the_map(point, quantize, weight):
  weights = keypoint_weights(
    jnp.asarray([point], jnp.float32),
    jnp.array([2]),
    size=SIZE,
    sigma=1.0,
    quantize=quantize,
  )
  np.testing.assert_array_equal(weights, [weight])


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"size": 9}, "height, width"),
    ({"size": (9, 0)}, "height, width"),
    ({"size": (9.5, 7)}, "height, width"),
    ({"size": (None, 7)}, "height, width"),
    ({"size": (float("inf"), 7)}, "height, width"),
    ({"size": (float("nan"), 7)}, "height, width"),
    ({"size": (9, 7, 5)}, "height, width"),
    ({"sigma": 0.0}, "sigma"),
    ({"sigma": float("nan")}, "sigma"),
    ({"sigma": 1e-40}, "sigma is a positive number"),  # subnormal in float32
    ({"sigma": 1e39}, "sigma is a positive number"),  # infinite in float32
    ({"sigma": "wide"}, "sigma is a number known when .* got 'wide'"),
    ({"quantize": "half"}, "ceil.*floor.*none.*round"),
    ({"truncate": -1.0}, "truncate"),
    ({"truncate": []}, "truncate is a number"),
  ],
)
def test_bad_options_are_refused(change, message):
  options = {"size": SIZE, "sigma": SIGMA} | change
  with pytest.raises(ValueError, match=message):
    render_heatmaps(jnp.asarray(POINTS), **options)


@pytest.mark.parametrize("size", [(5.0, 11.0), [5, 11], np.array([5, 11])])
def test_a_size_is_a_pair_of_integers_of_any_type(size):
  jax.clear_caches()
  assert render_heatmaps(POINTS, size=size, sigma=SIGMA).shape == (5, 11, 5)
  visibility = np.ones(len(POINTS))
  weights = keypoint_weights(POINTS, visibility, size=size, sigma=SIGMA)
  assert weights.shape == (5,)


def test_the_least_sigma_draws_a_point():
  sigma = float(np.finfo(np.float32).tiny)
  heatmaps = render_heatmaps(np.array([[3.0, 4.0]]), size=SIZE, sigma=sigma)
  assert np.argwhere(heatmaps).tolist() == [[4, 3, 0]]
  assert heatmaps[4, 3, 0] == 1


def test_bad_shapes_are_refused():
  with pytest.raises(ValueError, match=r"\[\.\.\., K, 2\].*\(5, 3\)"):
    render_heatmaps(jnp.zeros((5, 3)), size=SIZE, sigma=SIGMA)
  with pytest.raises(ValueError, match=r"expected shape \(5,\), got \(4,\)"):
    keypoint_weights(jnp.zeros((5, 2)), jnp.zeros(4), size=SIZE, sigma=SIGMA)

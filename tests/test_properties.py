"""What holds for any input, drawn by hypothesis: extremes, NaN, nothing at all.

Shapes come from short lists, since every new one compiles; draws are the same
in every run.
"""

import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from heatmap_cases import METHODS

from darkjax import geometry
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import (
  QUANTIZERS,
  keypoint_weights,
  render_heatmaps,
)
from darkjax.metrics import oks, oks_nms, pck

given = hypothesis.given
few = hypothesis.settings(
  max_examples=25, deadline=None, derandomize=True, database=None
)

# Any float32: infinities, NaN, 1e38 and denormals among them.
ANY = st.floats(width=32)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Coordinates whose squares are numbers too.
PIXELS = st.floats(-1e30, 1e30)


def maps_of(shape, values=ANY):
  return hnp.arrays(np.float32, shape, elements=values)


@st.composite
def noise_of(draw, shape, values=ANY):
  """Noise of any scale, with some of its values replaced by any others."""
  rng = np.random.default_rng(draw(st.integers(0, 2**32)))
  exponent = draw(st.integers(-44, 37))
  maps = np.float32(rng.normal(size=shape) * 10.0**exponent)
  for _ in range(draw(st.integers(0, 3)) if maps.size else 0):
    maps.flat[draw(st.integers(0, maps.size - 1))] = draw(values)
  return maps


# Decoding.


# K = 1, a batch of none, a single row, a single pixel.
MAP_SHAPES = [(8, 6, 9, 1), (2, 5, 5, 1), (0, 5, 5, 2), (1, 7, 2), (1, 1, 3)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", MAP_SHAPES)
@few
@given(data=st.data())
def test_any_map_gives_a_point_of_the_map(method, shape, data):
  *leading, height, width, count = shape
  maps = data.draw(maps_of(shape) | noise_of(shape))
  if min(height, width) < 3 and method in ("refine", "official"):
    with pytest.raises(ValueError, match="at least 3 x 3"):
      decode_heatmaps(maps, **METHODS[method])
    return
  result = decode_heatmaps(maps, **METHODS[method])
  keypoints = np.asarray(result.keypoints)
  assert keypoints.shape == (*leading, count, 2)
  assert result.scores.shape == (*leading, count)
  assert result.covariances.shape == (*leading, count, 2, 2)
  assert {part.dtype.name for part in result} == {"float32"}
  # Comparisons with NaN fail.
  assert ((keypoints >= 0) & (keypoints <= [width - 1, height - 1])).all()
  if maps.size:
    largest, scores = maps.max((-3, -2)), np.asarray(result.scores)
    # A map with NaN has a score that is no number; XLA takes numbers below
    # 1.2e-38 for 0.
    agree = np.isclose(scores, largest, rtol=0, atol=1.2e-38)
    assert (agree | (np.isnan(largest) & ~np.isfinite(scores))).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2, 5, 5, 1)])
@few
@given(data=st.data())
def test_gradients_of_any_finite_map_are_finite(method, shape, data):
  maps = data.draw(maps_of(shape, FINITE) | noise_of(shape, FINITE))
  assert np.isfinite(_gradient(method)(maps)).all()


@functools.cache
def _gradient(method):
  def total(maps):
    return decode_heatmaps(maps, **METHODS[method]).keypoints.sum()

  return jax.jit(jax.grad(total))


@pytest.mark.parametrize("method", ["argmax", "official", "refine"])
def test_huge_maps(method):
  point = np.float32([[700.3, 12.6], [1019.5, 1020.25]])
  maps = render_heatmaps(point, size=(1024, 1024), sigma=2.0)
  result = decode_heatmaps(maps, **METHODS[method]).keypoints
  # The second one is so near to the border that the official form leaves the
  # authors' band alone, and refine misses by up to 0.07 px.
  limits = {
    "argmax": [0.5, 0.5],
    "official": [1e-3, 0.5],
    "refine": [1e-4, 0.07],
  }
  error = np.abs(result - point).max(-1)
  assert (error <= np.array(limits[method]) + 1e-6).all(), error


# Encoding.


@pytest.mark.parametrize("shape", [(2, 1, 2), (0, 3, 2)])
@pytest.mark.parametrize("quantize", QUANTIZERS)
@few
@given(data=st.data())
def test_any_keypoint_draws_a_finite_map(shape, quantize, data):
  keypoints = data.draw(maps_of(shape))
  options = {"size": (5, 7), "sigma": 1.5, "quantize": quantize}
  maps = np.asarray(render_heatmaps(keypoints, **options))
  assert maps.shape == (*shape[:-2], 5, 7, shape[-2])
  assert ((maps >= 0) & (maps <= 1)).all()
  finite = np.isfinite(keypoints).all(-1)
  assert not np.moveaxis(maps, -1, 1)[~finite].any()
  weights = keypoint_weights(keypoints, np.ones(shape[:-1]), **options)
  assert set(np.unique(weights)) <= {0.0, 1.0}
  assert not np.asarray(weights)[~finite].any()


@few
@given(
  hnp.arrays(
    np.float32,
    (2, 1, 2),
    # 12 px of margin: six sigma, so that the blur sees the whole Gaussian.
    elements=st.floats(12, 23, width=32),
  )
)
def test_decoding_inverts_encoding(keypoints):
  maps = render_heatmaps(keypoints, size=(36, 37), sigma=2.0)
  # 1e-4 px: the bound of tests/heatmaps/test_decode_accuracy.py.
  np.testing.assert_allclose(
    decode_heatmaps(maps, sigma=2.0).keypoints, keypoints, atol=1e-4
  )


@few
@given(maps_of((2, 1, 2), FINITE))
def test_gradients_of_encoding_are_finite(keypoints):
  assert np.isfinite(_encoding_gradient(keypoints)).all()


@jax.jit
@jax.grad
def _encoding_gradient(keypoints):
  return jnp.square(render_heatmaps(keypoints, size=(5, 7), sigma=1.5)).sum()


# Geometry.

boxes = st.tuples(
  st.floats(-1e6, 1e6),
  st.floats(-1e6, 1e6),
  st.floats(1e-3, 1e6),
  st.floats(1e-3, 1e6),
).map(np.array)


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
@few
@given(bbox=boxes, angle=st.floats(-7, 7))
def test_crops_of_any_box_are_there_and_back(alignment, bbox, angle):
  size = {"crop_size": (64, 48), "alignment": alignment}
  center, scale = geometry.box_to_center_scale(bbox, **size)
  crop_from_image = geometry.crop_from_image(center, scale, angle, **size)
  inset = 0.0 if alignment == "hrnet" else 1.0
  points = center + np.array([[0.0, 0.0], [1.0, -2.0]]) * scale
  crop = geometry.apply_affine(crop_from_image, points)
  # float64 has 16 digits; coordinates of 1e6 px times a factor of up to 1e2.
  np.testing.assert_allclose(
    crop[0], (np.array([48, 64]) - inset) / 2, atol=1e-6
  )
  image_from_crop = geometry.invert(crop_from_image)
  np.testing.assert_allclose(
    geometry.apply_affine(image_from_crop, crop), points, atol=1e-6, rtol=1e-9
  )
  both = geometry.compose(image_from_crop, crop_from_image)
  np.testing.assert_allclose(both[:, :2], np.eye(2), atol=1e-9)


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
@few
@given(
  bbox=hnp.arrays(np.float64, 4, elements=st.floats(allow_subnormal=False))
)
def test_boxes_give_a_finite_crop_or_are_refused(alignment, bbox):
  size = {"crop_size": (64, 48), "alignment": alignment}
  usable = np.isfinite(bbox).all() and (bbox[2:] > 0).all()
  if not usable:
    with pytest.raises(ValueError, match="finite numbers and positive size"):
      geometry.box_to_center_scale(bbox, **size)
  elif np.abs(bbox).max() < 1e30:
    center, scale = geometry.box_to_center_scale(bbox, **size)
    matrix = geometry.crop_from_image(center, scale, **size)
    assert np.isfinite(matrix).all()
    assert (scale >= 2).all()


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_no_boxes_give_no_crops(alignment):
  size = {"crop_size": (64, 48), "alignment": alignment}
  center, scale = geometry.box_to_center_scale(np.zeros((0, 4)), **size)
  assert geometry.crop_from_image(center, scale, **size).shape == (0, 2, 3)
  points = np.zeros((0, 1, 2))
  assert geometry.apply_affine(np.zeros((0, 2, 3)), points).shape == (0, 1, 2)


# Metrics.


@st.composite
def people(draw, values=PIXELS):
  """Keypoints [N, K, 2], areas [N] and sigmas [K]; N 0 to 4, K 1 to 3."""
  count, num_keypoints = draw(st.integers(0, 4)), draw(st.integers(1, 3))
  keypoints = draw(
    hnp.arrays(np.float64, (count, num_keypoints, 2), elements=values)
  )
  areas = draw(hnp.arrays(np.float64, count, elements=st.floats(0, 1e30)))
  return keypoints, areas, np.full(num_keypoints, 0.05)


@few
@given(people(), st.data())
def test_oks_lies_in_0_to_1(found, data):
  keypoints, areas, sigmas = found
  count, num_keypoints = keypoints.shape[:2]
  visible = data.draw(
    hnp.arrays(np.int64, (count, num_keypoints), elements=st.integers(0, 2))
  )
  values = oks.oks(keypoints, keypoints, visible, areas, sigmas)
  assert values.shape == (count, count)
  assert ((values >= 0) & (values <= 1)).all()
  # Everybody is like themselves, if a keypoint is labelled.
  np.testing.assert_allclose(np.diag(values), (visible > 0).any(-1) * 1.0)


@few
@given(people(), st.data())
def test_nms_keeps_the_best_and_nobody_twice(found, data):
  keypoints, areas, sigmas = found
  count = len(keypoints)
  pairs = oks.prediction_oks(keypoints, areas, sigmas)
  assert ((pairs >= 0) & (pairs <= 1)).all()
  np.testing.assert_array_equal(pairs, pairs.T)
  scores = data.draw(hnp.arrays(np.float64, count, elements=PIXELS))
  kept = oks_nms.oks_nms(keypoints, scores, areas, sigmas)
  assert len(set(kept.tolist())) == len(kept) <= count
  assert (np.diff(scores[kept]) <= 0).all()
  assert (len(kept) > 0) == (count > 0)
  if count:
    assert scores[kept[0]] == scores.max()
  dropped = np.setdiff1d(np.arange(count), kept)
  assert all((pairs[d, kept] > 0.9).any() for d in dropped)


@few
@given(people(), st.data())
def test_pck_lies_in_0_to_1_and_grows_with_the_threshold(found, data):
  truth, *_ = found
  count, num_keypoints = truth.shape[:2]
  moved = data.draw(hnp.arrays(np.float64, truth.shape, elements=PIXELS))
  shape = (count, num_keypoints)
  visible = data.draw(hnp.arrays(np.bool_, shape))
  lengths = data.draw(hnp.arrays(np.float64, count, elements=st.floats(1, 1e3)))
  means = [
    pck.pck(truth + moved, truth, visible, lengths, threshold).mean
    for threshold in (0.1, 0.5, np.inf)
  ]
  if visible.any():
    assert 0 <= means[0] <= means[1] <= means[2] == 1
  else:
    assert np.isnan(means).all()


@few
@given(people(ANY))
def test_predictions_that_are_no_numbers_count_as_wrong(found):
  predicted, *_ = found
  truth = np.zeros_like(predicted)
  visible, lengths = np.ones(predicted.shape[:2]), np.ones(len(predicted))
  shares = pck.pck(predicted, truth, visible, lengths, 0.5)
  with np.errstate(over="ignore"):
    near = np.linalg.norm(predicted, axis=-1) <= 0.5
  if len(predicted):
    assert shares.mean == pytest.approx(near.mean())

"""How accurate the decoders are, and that they equal slow references."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import reference
from heatmap_cases import (
  LAST,
  METHODS,
  SIZE,
  draw,
  each_map,
  errors,
  map_families,
)

from darkjax import geometry
from darkjax.heatmaps import blur
from darkjax.heatmaps.decode import decode_heatmaps

# Clean Gaussians.


@pytest.mark.parametrize(
  # The kernel of 11 is cut off at 5 px and so not quite Gaussian; differences
  # with step 2 see more of that (measured 5e-5 and 3.5e-4).
  ("border", "bound"),
  [("refine", 1e-4), ("official", 1e-3)],
)
def test_dark_is_exact_on_clean_interior_gaussians(rng, border, bound):
  # Six sigma of margin, so that the blur sees whole Gaussians. The quarter
  # shift is off by up to 0.25 px per axis, argmax by 0.5; x and y have disjoint
  # bounds, so a swap of the axes is off by 7 px and more.
  points = np.float32(rng.uniform([13, 24], [17, 29], (4, 6, 2)))
  heatmaps = draw(points, 2.0, size=(52, 33))
  options = {"blur_kernel": 11, "border": border}
  assert errors(decode_heatmaps(heatmaps, **options), points).max() < bound
  shifted = decode_heatmaps(heatmaps, method="standard")
  assert errors(shifted, points).max() > 0.2


def test_dark_without_modulation_is_exact_everywhere(rng):
  # The log of a Gaussian is a quadratic: exact from every cell of the map.
  points = np.float32(rng.uniform(0, LAST, (64, 3, 2)))
  decoded = decode_heatmaps(draw(points, 1.5), blur_kernel=1)
  assert errors(decoded, points).max() < 1e-4  # float32 logs, measured 3e-6


@pytest.mark.parametrize(("sigma", "blur_kernel"), [(1.0, 3), (2.0, 11)])
def test_refine_is_accurate_up_to_the_border(rng, sigma, blur_kernel):
  points = np.float32(rng.uniform(0, LAST, (400, 3, 2)))
  heatmaps = draw(points, sigma)
  refined = errors(decode_heatmaps(heatmaps, blur_kernel=blur_kernel), points)
  official = decode_heatmaps(
    heatmaps, blur_kernel=blur_kernel, border="official"
  )
  # Measured: mean 0.009 and 0.032, worst 0.09 and 0.25, at the corners. The
  # official form, which leaves the border alone, has mean 0.13 and 0.17, and
  # worst 0.67.
  assert refined.mean() < 0.05
  assert refined.max() < 0.35
  assert errors(official, points).mean() > 0.1


def test_covariance_is_that_of_the_blurred_peak(rng):
  points = np.float32(rng.uniform([13, 24], [17, 29], (4, 6, 2)))
  heatmaps = draw(points, 2.0, size=(52, 33))
  # 2^2 for the peak plus the kernel's 3.81. The cut kernel is narrower at its
  # ends than at its top, where the curvature is taken: measured 7.98.
  expected = np.broadcast_to((4.0 + 3.81) * np.eye(2), (4, 6, 2, 2))
  for border in ("refine", "official"):
    decoded = decode_heatmaps(heatmaps, blur_kernel=11, border=border)
    np.testing.assert_allclose(decoded.covariances, expected, atol=0.3)
  raw = decode_heatmaps(heatmaps, blur_kernel=1).covariances
  np.testing.assert_allclose(raw[1, 2], 4.0 * np.eye(2), atol=1e-2)


def test_covariance_follows_the_axes_of_the_peak():
  ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
  offset = np.stack([xs - 8.3, ys - 9.6], -1)
  covariance = np.array([[4.0, 1.5], [1.5, 2.0]])
  form = np.einsum("hwi,ij,hwj->hw", offset, np.linalg.inv(covariance), offset)
  decoded = decode_heatmaps(
    jnp.asarray(np.exp(-form / 2))[..., None], blur_kernel=1
  )
  # No modulation: exact up to the float32 logarithms.
  np.testing.assert_allclose(decoded.covariances[0], covariance, atol=1e-2)
  np.testing.assert_allclose(decoded.keypoints[0], [8.3, 9.6], atol=1e-3)


# Against the references.


def well_conditioned(point, start, hessian):
  """Whether float32 can give the official point to 1e-4 px.

  A float32 logarithm near the clip is exact to 2e-6, and so the derivatives; a
  step s of a Hessian with smallest eigenvalue e is then off by
  2e-6 (1 + |s|) / e, which is below 1e-4 px if e > 0.02 (1 + |s|).
  """
  if hessian is None:
    return True
  smallest = np.abs(np.linalg.eigvalsh(hessian)).min()
  return smallest > 0.02 * (1.0 + np.linalg.norm(point - start))


@pytest.mark.parametrize("blur_kernel", [3, 11, 17])
def test_official_equals_the_authors_algorithm(rng, blur_kernel):
  compared = 0
  for name, maps in map_families(rng).items():
    decoded = decode_heatmaps(
      maps, blur_kernel=blur_kernel, border="official"
    ).keypoints.reshape(-1, 2)
    for ours, heatmap in zip(np.asarray(decoded), each_map(maps), strict=True):
      theirs, hessian = reference.dark_point(heatmap, blur_kernel)
      start = reference.argmax_point(heatmap)
      if well_conditioned(theirs, start, hessian):
        compared += 1
        inside = np.clip(theirs, 0.0, LAST)
        np.testing.assert_allclose(ours, inside, atol=1e-4, err_msg=name)
  # 8 families of 120 maps; nearly all are well-conditioned.
  assert compared > 800


def test_official_meets_the_clip_in_some_maps(rng):
  # Where the blurred map is negative beside the maximum, the clip at 1e-10
  # decides, and with it the maximum of the whole blurred map. This keeps the
  # comparison above honest: it has such maps.
  clipped = 0
  for heatmap in each_map(map_families(rng)["partly negative"]):
    x, y = reference.argmax_point(heatmap).astype(int)
    if reference.dark_point(heatmap, 3)[1] is not None:
      near = np.s_[y - 2 : y + 3, x - 2 : x + 3]
      clipped += reference.modulated_map(heatmap, 3)[near].min() < 0
  assert clipped >= 5  # 9 of 120 with this seed


@pytest.mark.parametrize(
  ("method", "point"),
  [
    ("argmax", reference.argmax_point),
    ("sign", reference.sign_point),
    ("eq1", reference.eq1_point),
  ],
)
def test_simple_decoders_equal_their_references(rng, method, point):
  for name, maps in map_families(rng).items():
    decoded = decode_heatmaps(maps, **METHODS[method])
    expected = [point(m) for m in each_map(maps)]
    np.testing.assert_allclose(
      # 1e-5 px: one rounding of float32 near 20.
      np.reshape(decoded.keypoints, (-1, 2)),
      expected,
      atol=1e-5,
      err_msg=name,
    )
    assert np.isnan(decoded.covariances).all()


def test_ties_go_to_the_first_maximum_in_row_major_order(rng):
  maps = np.float32(rng.integers(0, 4, (30, *SIZE, 3)))
  decoded = decode_heatmaps(maps, method="argmax")
  expected = [reference.argmax_point(m) for m in each_map(maps)]
  np.testing.assert_array_equal(
    np.reshape(decoded.keypoints, (-1, 2)), expected
  )


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_the_raw_maxima(rng, method):
  for maps in map_families(rng).values():
    decoded = decode_heatmaps(maps, **METHODS[method])
    np.testing.assert_array_equal(decoded.scores, maps.max((1, 2)))


@pytest.mark.parametrize("blur_kernel", [1, 3, 5, 7, 11, 13, 17, 25])
def test_taps_equal_opencv(blur_kernel):
  # 9 is left out: OpenCV 4 computed it, OpenCV 5 has a table.
  theirs = reference.cv2.getGaussianKernel(blur_kernel, 0).ravel()
  ours = blur.gaussian_taps(blur_kernel)
  np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_taps_of_9_are_symmetric_with_sum_1():
  taps = blur.gaussian_taps(9)
  np.testing.assert_array_equal(taps, taps[::-1])
  assert taps.sum() == 1.0  # 256 parts of 1/256, exact in binary


# The people of COCO val2017.


@pytest.fixture(scope="module")
def coco_points(test_data):
  """Labelled keypoints [N, 2] of val2017 inside their 32 x 24 maps."""
  path = test_data / "coco_val_gt" / "person_keypoints_val2017.json"
  people = json.loads(path.read_text())["annotations"]
  people = [p for p in people if p["num_keypoints"]]
  keypoints = np.array([p["keypoints"] for p in people], float)
  keypoints = keypoints.reshape(-1, 17, 3)
  center, scale = geometry.box_to_center_scale(
    [p["bbox"] for p in people], crop_size=(128, 96), alignment="dark"
  )
  crop_from_image = geometry.crop_from_image(
    center, scale, crop_size=(128, 96), alignment="dark"
  )
  heatmap_from_crop = geometry.heatmap_from_crop(
    crop_size=(128, 96), heatmap_size=(32, 24), alignment="dark"
  )
  points = geometry.apply_affine(
    geometry.compose(heatmap_from_crop, crop_from_image), keypoints[..., :2]
  )[keypoints[..., 2] > 0]
  inside = ((points >= 0) & (points <= [23, 31])).all(-1)
  return np.float32(points[inside][::7])


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_refine_beats_official_on_coco(coco_points, rng, noise):
  count = len(coco_points) // 5 * 5
  points = coco_points[:count].reshape(-1, 5, 2)
  heatmaps = np.array(draw(points, 1.0, size=(32, 24)))
  heatmaps += noise * rng.normal(size=heatmaps.shape).astype(np.float32)
  ours = errors(decode_heatmaps(heatmaps, blur_kernel=3), points)
  theirs = errors(
    decode_heatmaps(heatmaps, blur_kernel=3, border="official"), points
  )
  assert ours.mean() < theirs.mean()
  if not noise:
    # The goal of the method, in heatmap px; measured 0.0016 and 0.002.
    assert ours.mean() < 0.005
    assert np.percentile(ours, 99) < 0.02

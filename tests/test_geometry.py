"""Boxes, crops and heatmaps under the three alignments.

Tolerances: float64 maps of points below 1000 px round to about 1e-12 px; 1e-9
leaves room and still sees any real difference.
"""

import jax
import numpy as np
import pytest

from darkjax import geometry

CROP, HEATMAP = (256, 192), (64, 48)
TOLERANCE = 1e-9


def crop_matrix(center, scale, rotation=0.0, *, alignment, crop_size=CROP):
  return geometry.crop_from_image(
    np.array(center),
    np.array(scale),
    rotation,
    crop_size=crop_size,
    alignment=alignment,
  )


def heatmap_matrix(alignment):
  return geometry.heatmap_from_crop(
    crop_size=CROP, heatmap_size=HEATMAP, alignment=alignment
  )


def moved(matrix, *points):
  return geometry.apply_affine(matrix, np.array(points, float))


def test_hrnet_scales_by_widths_about_the_half_size():
  # Factor 192/96 = 2 on both axes; the centre goes to (96, 128).
  matrix = crop_matrix([50, 60], [96, 128], alignment="hrnet")
  np.testing.assert_allclose(
    moved(matrix, [50, 60], [51, 60], [50, 61]),
    [[96, 128], [98, 128], [96, 130]],
    atol=TOLERANCE,
  )


def test_dark_scales_by_widths_less_one_about_the_middle_pixel():
  # Factor 191/95 on both axes; the centre goes to (95.5, 127.5).
  matrix = crop_matrix([50, 60], [96, 128], alignment="dark")
  np.testing.assert_allclose(
    moved(matrix, [50, 60], [51, 60], [50, 61]),
    [[95.5, 127.5], [95.5 + 191 / 95, 127.5], [95.5, 127.5 + 191 / 95]],
    atol=TOLERANCE,
  )


def test_udp_maps_the_corner_pixels_of_the_box_to_those_of_the_crop():
  # A box from pixel 2 to 97 and 4 to 131: 96x128 pixels, middle (49.5, 67.5).
  matrix = crop_matrix([49.5, 67.5], [96, 128], alignment="udp")
  np.testing.assert_allclose(
    moved(matrix, [2, 4], [97, 131]), [[0, 0], [191, 255]], atol=TOLERANCE
  )


@pytest.mark.parametrize(
  ("alignment", "expected"),
  [
    # Pixel 0 is pixel 0, and four crop pixels are one of the heatmap.
    ("hrnet", [[0.25, 0, 0], [0, 0.25, 0]]),
    # 47/191 on both axes, so rows are centred: (63 - 255·47/191)/2.
    (
      "dark",
      [[47 / 191, 0, 0], [0, 47 / 191, (63 - 255 * 47 / 191) / 2]],
    ),
    # All four corners correspond.
    ("udp", [[47 / 191, 0, 0], [0, 63 / 255, 0]]),
  ],
)
def test_heatmap_from_crop(alignment, expected):
  np.testing.assert_allclose(
    heatmap_matrix(alignment), expected, atol=TOLERANCE
  )


def test_dark_heatmap_is_an_affine_of_its_own_from_the_image():
  # DarkPose maps boxes straight to heatmaps with (W'-1)/(w-1).
  through = geometry.compose(
    heatmap_matrix("dark"), crop_matrix([7, 9], [60, 80], 0.3, alignment="dark")
  )
  straight = crop_matrix(
    [7, 9], [60, 80], 0.3, alignment="dark", crop_size=HEATMAP
  )
  np.testing.assert_allclose(through, straight, atol=TOLERANCE)


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_a_turned_box_keeps_its_middle_and_turns_the_picture_back(alignment):
  # A quarter turn takes the box's x axis to the image's y axis, so the image
  # point one px further down is one step to the right in the crop.
  matrix = crop_matrix([50, 60], [96, 128], np.pi / 2, alignment=alignment)
  (middle, below) = moved(matrix, [50, 60], [50, 61])
  straight = crop_matrix([50, 60], [96, 128], alignment=alignment)
  np.testing.assert_allclose(
    middle, moved(straight, [50, 60])[0], atol=TOLERANCE
  )
  np.testing.assert_allclose(
    below - middle, [straight[0, 0], 0], atol=TOLERANCE
  )


@pytest.mark.parametrize("alignment", ["hrnet", "dark"])
def test_turning_is_a_similarity(alignment):
  linear = crop_matrix([5, 6], [30, 40], 0.7, alignment=alignment)[:, :2]
  factor = crop_matrix([5, 6], [30, 40], alignment=alignment)[0, 0]
  np.testing.assert_allclose(
    linear @ linear.T, factor**2 * np.eye(2), atol=TOLERANCE
  )


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_inverse_and_composition(alignment, rng):
  matrix = crop_matrix([50, 60], [96, 128], 0.4, alignment=alignment)
  points = rng.uniform(-50, 300, (3, 5, 2))
  back = geometry.apply_affine(
    np.stack([geometry.invert(matrix)] * 3),
    geometry.apply_affine(np.stack([matrix] * 3), points),
  )
  np.testing.assert_allclose(back, points, atol=TOLERANCE)
  identity = geometry.compose(geometry.invert(matrix), matrix)
  np.testing.assert_allclose(identity, np.eye(3)[:2], atol=TOLERANCE)


@pytest.mark.parametrize("alignment", ["dark", "udp"])
def test_mirroring_the_crop_mirrors_the_heatmap(alignment, rng):
  # The reason that these alignments need no flip shift.
  points = rng.uniform(0, 190, (7, 2))
  mirrored = points * [-1, 1] + [CROP[1] - 1, 0]
  matrix = heatmap_matrix(alignment)
  np.testing.assert_allclose(
    moved(matrix, *mirrored)[:, 0],
    HEATMAP[1] - 1 - moved(matrix, *points)[:, 0],
    atol=TOLERANCE,
  )


def test_hrnet_mirrors_three_quarters_of_a_pixel_off(rng):
  points = rng.uniform(0, 190, (7, 2))
  mirrored = points * [-1, 1] + [CROP[1] - 1, 0]
  matrix = heatmap_matrix("hrnet")
  back = HEATMAP[1] - 1 - moved(matrix, *mirrored)[:, 0]
  np.testing.assert_allclose(
    back - moved(matrix, *points)[:, 0], -0.75, atol=TOLERANCE
  )


@pytest.mark.parametrize(
  ("alignment", "center"),
  [("hrnet", [40, 80]), ("dark", [39.5, 79.5]), ("udp", [39.5, 79.5])],
)
def test_box_centers(alignment, center):
  result, scale = geometry.box_to_center_scale(
    [10, 20, 60, 120], crop_size=CROP, alignment=alignment
  )
  np.testing.assert_allclose(result, center)
  # 60 is narrower than 120·192/256 = 90; then 25 % are added.
  np.testing.assert_allclose(scale, [112.5, 150])


def test_a_wide_box_grows_in_height():
  _, scale = geometry.box_to_center_scale(
    [0, 0, 96, 10], crop_size=CROP, alignment="dark", padding=1.0
  )
  np.testing.assert_allclose(scale, [96, 128])


def test_boxes_come_in_any_number():
  boxes = np.tile([10.0, 20.0, 60.0, 120.0], (2, 3, 1))
  center, scale = geometry.box_to_center_scale(
    boxes, crop_size=CROP, alignment="dark"
  )
  matrices = crop_matrix(center, scale, np.zeros((2, 3)), alignment="dark")
  assert matrices.shape == (2, 3, 2, 3)
  np.testing.assert_allclose(
    matrices[1, 2],
    crop_matrix([39.5, 79.5], [112.5, 150], alignment="dark"),
    atol=TOLERANCE,
  )


@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_a_tiny_box_still_gives_a_finite_crop(alignment):
  center, scale = geometry.box_to_center_scale(
    [10, 20, 0.3, 0.2], crop_size=CROP, alignment=alignment
  )
  matrix = crop_matrix(center, scale, alignment=alignment)
  # The smallest box is 2 px wide: at most 191 crop pixels for each of its own.
  assert 0 < matrix[0, 0] <= 191


@pytest.mark.parametrize(
  "bbox", [[0, 0, 0, 5], [0, 0, 5, -1], [np.nan, 0, 5, 5], [0, np.inf, 5, 5]]
)
def test_impossible_boxes_are_refused(bbox):
  with pytest.raises(ValueError, match="finite numbers and positive size"):
    geometry.box_to_center_scale(bbox, crop_size=CROP, alignment="dark")


def test_unknown_alignment_lists_the_names():
  with pytest.raises(ValueError, match="hrnet, dark, udp"):
    heatmap_matrix("mmpose")


def test_covariances_follow_the_linear_part(rng):
  # A cloud of points and its sample covariance, moved the same way.
  matrix = crop_matrix([5, 6], [30, 40], 0.7, alignment="udp")
  cloud = rng.normal(size=(500, 2)) @ [[2.0, 0.3], [0.0, 1.0]]
  before, after = np.cov(cloud.T), np.cov(moved(matrix, *cloud).T)
  result = geometry.apply_linear(matrix, before[None])[0]
  # Sample covariances transform exactly; 1e-9 relative is rounding.
  np.testing.assert_allclose(result, after, rtol=1e-9)


def test_nothing_is_left_to_the_rounding_of_matrix_units():
  # On GPUs a product of float32 matrices has 11 bits by default.
  def both(matrix, points, covariances):
    return (
      geometry.apply_affine(matrix, points),
      geometry.apply_linear(matrix, covariances),
    )

  shapes = [(3, 2, 3), (3, 5, 2), (3, 5, 2, 2)]
  traced = jax.make_jaxpr(both)(*map(jax.numpy.ones, shapes))
  assert "dot_general" not in str(traced)

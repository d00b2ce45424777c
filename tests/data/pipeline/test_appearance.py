"""Changes of pixels: their shares and ranges, and pixels changed by hand."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from darkjax.data.pipeline import appearance, augment, tf_crop

SIZE = (32, 24)  # height, width
COUNT = 4000
IDENTITY = np.eye(3, 4).ravel()


def drawn(**changes) -> np.ndarray:
  uniform = np.random.default_rng(0).random((COUNT, 18))
  return appearance.parameters(augment.Augmentation(**changes), uniform, SIZE)


def change(
  image: np.ndarray, matrix=IDENTITY, patch=(0,) * 7, blur=0.0, quality=0
) -> np.ndarray:
  values = np.array([*np.ravel(matrix), *patch, blur, quality], np.float32)
  return tf_crop.change(tf.constant(image), tf.constant(values)).numpy()


def photograph() -> np.ndarray:
  return np.random.default_rng(1).integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def test_nothing_asked_for_changes_nothing():
  parameters = drawn()
  np.testing.assert_array_equal(parameters[:, :12], [IDENTITY] * COUNT)
  np.testing.assert_array_equal(parameters[:, 12:14], parameters[:, 14:16])
  assert not parameters[:, 19:].any()
  np.testing.assert_array_equal(
    tf_crop.change(tf.constant(photograph()), tf.constant(parameters[0])),
    photograph(),
  )


def test_each_change_comes_with_its_probability_and_in_its_range():
  parameters = drawn(
    occlusion_probability=0.4, blur_probability=0.3, jpeg_probability=0.2
  )
  patch = parameters[:, 14:16] - parameters[:, 12:14]
  # Four standard errors of a share over 4,000 draws: 4 * 0.5 / sqrt(4000).
  for found, share in (
    (patch.min(-1) > 0, 0.4),
    (parameters[:, 19] > 0, 0.3),
    (parameters[:, 20] > 0, 0.2),
  ):
    assert abs(found.mean() - share) < 0.032
  assert patch.max(0) == pytest.approx([0.4 * 24, 0.4 * 32], rel=0.01)
  blur = parameters[parameters[:, 19] > 0, 19]
  assert (blur.min(), blur.max()) == pytest.approx((0.5, 1.5), abs=0.01)
  quality = np.unique(parameters[parameters[:, 20] > 0, 20])
  np.testing.assert_array_equal(quality, np.arange(15, 75))


def test_colours_vary_around_themselves():
  matrix = drawn(color_factor=0.4)[:, :12].reshape(-1, 3, 4)
  white = matrix @ [255, 255, 255, 1]
  # 1.4 times the light and contrast, and 1.1 times a channel, at the most.
  highest = 255 * 1.4 * 1.4 * 1.1 - 127.5 * 0.4
  lowest = 255 * 0.6 * 0.6 * 0.9 + 127.5 * 0.4
  assert white.max() <= highest
  assert white.min() >= lowest
  assert white.mean() == pytest.approx(255, abs=4 * 90 / 63)
  grey = matrix @ [100, 100, 100, 1]
  assert grey.std(-1).mean() < 10  # saturation leaves grey, but for channels


def test_a_matrix_maps_colours_and_is_cut_at_the_limits():
  swapped = [[0, 1, 0, 10], [1, 0, 0, -20], [0, 0, 2, 0]]
  image = np.full((*SIZE, 3), [100, 5, 200], np.uint8)
  assert (change(image, swapped) == [15, 80, 255]).all()
  image[..., 0] = 3
  assert (change(image, swapped) == [15, 0, 255]).all()


def test_a_patch_covers_its_pixels_alone():
  image = photograph()
  found = change(image, patch=(2, 3, 10, 20, 9, 8, 7))
  expected = image.copy()
  expected[3:20, 2:10] = [9, 8, 7]
  np.testing.assert_array_equal(found, expected)


def test_a_blurred_point_is_a_gaussian():
  image = np.zeros((*SIZE, 3), np.uint8)
  image[12, 12] = 255
  found = change(image, blur=0.8)
  kernel = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.8**2))
  expected = 255 * np.outer(kernel, kernel) / kernel.sum() ** 2
  # Half a grey level of rounding.
  np.testing.assert_allclose(found[9:16, 9:16, 1], expected, atol=0.51)
  flat = np.full((*SIZE, 3), 77, np.uint8)
  np.testing.assert_array_equal(change(flat, blur=1.5), flat)


def test_jpeg_is_that_of_its_quality():
  image = photograph()
  file = io.BytesIO()
  PIL.Image.fromarray(image).save(file, "JPEG", quality=40)
  expected = np.asarray(PIL.Image.open(file)).astype(float)
  difference = np.abs(change(image, quality=40) - expected).mean()
  # Decoders smooth colours between their samples differently: a few grey
  # levels, where quality 40 itself moves pixels of noise by about forty.
  assert difference < 0.2 * np.abs(image - expected).mean()

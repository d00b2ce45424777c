"""Reading and warping photographs without TensorFlow."""

import numpy as np
import PIL.Image
import pytest

from darkjax import geometry
from darkjax.data.images import photo as image
from darkjax.data.pipeline import tf_crop


def _affine(*, factor, rotation, center, crop_size, alignment="dark"):
  scale = np.array(crop_size[::-1]) / factor
  return geometry.crop_from_image(
    np.asarray(center, float),
    scale,
    rotation,
    crop_size=crop_size,
    alignment=alignment,
  )


@pytest.mark.parametrize("rotation", [0.0, 0.6])
@pytest.mark.parametrize("factor", [0.4, 1.0, 2.7])
@pytest.mark.parametrize("center", [(30.2, 21.7), (-3.0, 4.5), (70.0, 50.0)])
def test_warp_equals_the_crop_of_training(rng, rotation, factor, center):
  # Noise is the worst case; the centres put the crop inside, over the upper
  # left border and over the lower right one.
  photo = rng.integers(0, 256, (47, 64, 3), np.uint8)
  matrix = _affine(
    factor=factor, rotation=rotation, center=center, crop_size=(40, 24)
  )
  ours = image.warp(photo, matrix, (40, 24)).astype(int)
  inverse = geometry.invert(matrix).astype(np.float32)
  theirs = tf_crop.warp(photo, inverse, (40, 24)).numpy().astype(int)
  # One grey level: coordinates are float64 here and float32 there.
  np.testing.assert_allclose(ours, theirs, atol=1)
  assert (ours != theirs).mean() < 0.01


def test_warp_maps_a_ramp_exactly():
  # The pixel at (x, y) holds 2x + y (red) and 3y (green): after the warp they
  # tell which point of the image each crop pixel shows.
  y, x = np.mgrid[:50, :60]
  photo = np.stack([2 * x + y, 3 * y, 0 * x], -1).astype(np.uint8)
  matrix = _affine(
    factor=2.0, rotation=0.0, center=(30, 24), crop_size=(32, 48)
  )
  crop = image.warp(photo, matrix, (32, 48))
  rows, columns = np.mgrid[:32, :48]
  points = geometry.apply_affine(
    geometry.invert(matrix), np.stack([columns, rows], -1).reshape(-1, 2)
  ).reshape(32, 48, 2)
  # Half a level: rounding to uint8.
  assert abs(crop[..., 0] - points @ [2, 1]).max() <= 0.5 + 1e-6
  assert abs(crop[..., 1] - points @ [0, 3]).max() <= 0.5 + 1e-6


def test_warp_blends_with_black_at_the_border():
  # By hand: one white pixel, sampled at x = -0.25, 0.25, 0.75, 1.25.
  white = np.full((1, 1, 3), 255, np.uint8)
  matrix = np.array([[2.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
  crop = image.warp(white, matrix, (1, 4))
  np.testing.assert_array_equal(crop[0, :, 0], [191, 191, 64, 0])


def test_warp_of_a_box_far_outside_is_black(rng):
  photo = rng.integers(1, 256, (9, 7, 3), np.uint8)
  matrix = np.array([[1.0, 0.0, 1e4], [0.0, 1.0, -1e7]])
  assert not image.warp(photo, matrix, (8, 6)).any()


def test_jpeg_has_the_pixels_of_training(test_data):
  path = test_data / "lsp/images/im1001.jpg"
  theirs = tf_crop.decode_image(path.read_bytes()).numpy()
  # Both are libjpeg-turbo with the accurate integer transform.
  np.testing.assert_array_equal(image.read(path), theirs)


def test_files_pil_images_and_arrays_agree(rng, tmp_path):
  photo = rng.integers(0, 256, (6, 8, 3), np.uint8)
  pil = PIL.Image.fromarray(photo)
  path = tmp_path / "photo.png"
  pil.save(path)
  for given in (photo, pil, path, str(path)):
    np.testing.assert_array_equal(image.read(given), photo)


@pytest.mark.parametrize(
  ("mode", "value", "expected"),
  [
    ("L", 100, (100, 100, 100)),
    ("RGBA", (10, 20, 30, 0), (10, 20, 30)),  # dropped, not blended
    ("I;16", 0x12FF, (0x12, 0x12, 0x12)),  # the upper 8 bits
    ("I", 0x12FF, (0x12, 0x12, 0x12)),
    ("I", 0xFF, (0xFF, 0xFF, 0xFF)),  # 8 bits in 32
    ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ("1", 1, (255, 255, 255)),
  ],
)
def test_other_modes_become_rgb(mode, value, expected):
  pixels = image.read(PIL.Image.new(mode, (5, 4), value))
  assert pixels.shape == (4, 5, 3)
  assert pixels.dtype == np.uint8
  np.testing.assert_array_equal(pixels[2, 3], expected)


def test_sixteen_bit_files_are_read_as_in_training(rng, tmp_path):
  grey = rng.integers(0, 2**16, (6, 5), np.uint16)
  PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
  data = (tmp_path / "grey.png").read_bytes()
  np.testing.assert_array_equal(
    image.read(tmp_path / "grey.png"), tf_crop.decode_image(data).numpy()
  )


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1)])
def test_grey_arrays_become_rgb(rng, shape):
  grey = rng.integers(0, 256, shape, np.uint8)
  expected = np.stack([grey.reshape(6, 8)] * 3, -1)
  np.testing.assert_array_equal(image.read(grey), expected)


def test_alpha_of_arrays_is_dropped(rng):
  rgba = rng.integers(0, 256, (6, 8, 4), np.uint8)
  np.testing.assert_array_equal(image.read(rgba), rgba[..., :3])


def _turned_file(path, photo):
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # turn by 90° clockwise to see it upright
  PIL.Image.fromarray(photo).save(path, exif=exif)
  return path


def test_files_are_turned_upright(rng, tmp_path):
  stored = rng.integers(0, 256, (6, 8, 3), np.uint8)
  path = _turned_file(tmp_path / "turned.png", stored)
  upright = np.rot90(stored, -1)
  np.testing.assert_array_equal(image.read(path), upright)
  np.testing.assert_array_equal(image.read(PIL.Image.open(path)), upright)
  np.testing.assert_array_equal(image.read(path, upright=False), stored)


def test_missing_file_is_named():
  with pytest.raises(FileNotFoundError, match=r"nowhere/photo\.jpg"):
    image.read("nowhere/photo.jpg")


def test_a_folder_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="it is a folder"):
    image.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0"])
def test_files_that_are_no_images_are_named(tmp_path, content):
  path = tmp_path / "broken.jpg"
  path.write_bytes(content)
  with pytest.raises(ValueError, match=r"broken\.jpg is not an image"):
    image.read(path)


def test_truncated_file_is_named(rng, tmp_path):
  path = tmp_path / "cut.png"
  PIL.Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
  path.write_bytes(path.read_bytes()[:2000])
  with pytest.raises(ValueError, match=r"cut\.png is not an image"):
    image.read(path)


@pytest.mark.parametrize(
  ("array", "match"),
  [
    (np.zeros((4, 5, 3), np.float32), "uint8 .* got float32"),
    (np.zeros((4, 5, 3), bool), "uint8 .* got bool"),
    (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
    (np.zeros((4, 0), np.uint8), "at least one pixel"),
    (np.zeros((4, 5, 2), np.uint8), r"got shape \(4, 5, 2\)"),
    (np.zeros((2, 4, 5, 3), np.uint8), "passed as a list"),
    (np.zeros(5, np.uint8), r"got shape \(5,\)"),
  ],
)
def test_arrays_that_are_no_images_are_refused(array, match):
  with pytest.raises(ValueError, match=match):
    image.read(array)


def test_floating_point_pil_images_are_refused():
  with pytest.raises(ValueError, match="mode F"):
    image.read(PIL.Image.new("F", (3, 3)))

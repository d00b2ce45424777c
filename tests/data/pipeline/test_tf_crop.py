"""Decoding and warping pixels, eagerly and inside tf.data."""

import io

import coco_folder
import cv2
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from darkjax import geometry
from darkjax.data.pipeline import tf_crop

CROP_SIZE = (40, 28)


def encode(image: PIL.Image.Image, kind: str, **options) -> bytes:
  buffer = io.BytesIO()
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def picture(height: int = 64, width: int = 48) -> PIL.Image.Image:
  return PIL.Image.fromarray(coco_folder.image(height, width))


def noise(height: int, width: int) -> np.ndarray:
  rng = np.random.default_rng(3)
  return rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_decode_as_pillow_decodes_them(mode, progressive):
  image = picture().convert(mode)
  data = encode(image, "jpeg", quality=90, progressive=progressive)
  expected = PIL.Image.open(io.BytesIO(data)).convert("RGB")
  decoded = tf_crop.decode_image(tf.constant(data)).numpy()
  assert decoded.dtype == np.uint8
  # Both are libjpeg-turbo with the accurate transform: no difference.
  np.testing.assert_array_equal(decoded, np.asarray(expected))


def test_cmyk_jpegs_decode_to_the_colours_they_show():
  image = picture()
  data = encode(image.convert("CMYK"), "jpeg", quality=100, subsampling=0)
  decoded = tf_crop.decode_image(tf.constant(data)).numpy()
  # Rounding of the transform and of the product with black, grey levels.
  np.testing.assert_allclose(decoded, np.asarray(image), atol=3)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1", "LA"])
def test_pngs_decode_to_rgb(mode):
  image = picture().convert(mode)
  decoded = tf_crop.decode_image(tf.constant(encode(image, "png"))).numpy()
  np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


def test_16_bit_pngs_keep_their_upper_bits():
  values = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) * 21
  _, data = cv2.imencode(".png", values)
  decoded = tf_crop.decode_image(tf.constant(data.tobytes())).numpy()
  np.testing.assert_array_equal(
    decoded, np.repeat(values[..., None] >> 8, 3, 2)
  )


def test_exif_orientation_is_ignored():
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # turn by 90 degrees to show
  data = encode(picture(64, 48), "jpeg", exif=exif)
  assert tf_crop.decode_image(tf.constant(data)).shape == (64, 48, 3)


JPEGS = {
  "4:2:0": {"subsampling": 2},
  "4:2:2": {"subsampling": 1},
  "4:4:4": {"subsampling": 0},
  "progressive": {"subsampling": 2, "progressive": True},
  "restarts": {"subsampling": 2, "restart_marker_blocks": 3},
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_window_has_the_pixels_of_the_full_image(kind):
  height, width = 253, 317
  data = encode(
    PIL.Image.fromarray(noise(height, width)), "jpeg", **JPEGS[kind]
  )
  full = tf_crop.decode_image(tf.constant(data)).numpy()
  rng = np.random.default_rng(7)
  for _ in range(25):
    center, scale = rng.uniform(0, (width, height)), rng.uniform(5, 90)
    matrix = geometry.crop_from_image(
      center,
      np.array([scale, scale * 10 / 7]),
      rng.uniform(-3, 3),
      crop_size=CROP_SIZE,
      alignment="dark",
    )
    whole = warp(full, matrix, CROP_SIZE).numpy()
    window = tf_crop.windows(
      matrix, crop_size=CROP_SIZE, image_size=np.array([height, width])
    )
    part = tf_crop.decode_window(tf.constant(data), window)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ window[1::-1]
    # The float32 matrix of the warp rounds differently: 1 grey level, where
    # noise has steps of 255.
    found = warp(part, moved, CROP_SIZE).numpy()
    np.testing.assert_allclose(found.astype(int), whole.astype(int), atol=1)
    assert (found != whole).mean() < 0.01


def test_a_png_window_is_a_slice():
  data = encode(picture(), "png")
  full = tf_crop.decode_image(tf.constant(data)).numpy()
  part = tf_crop.decode_window(
    tf.constant(data), np.array([5, 7, 20, 30], np.int32)
  )
  np.testing.assert_array_equal(part, full[5:25, 7:37])


def test_windows_are_inside_the_image():
  size = np.array([50, 80])
  matrices = [
    geometry.crop_from_image(
      np.array(center, float),
      np.array([14.0, 20.0]),
      crop_size=CROP_SIZE,
      alignment="hrnet",
    )
    for center in ([40, 25], [-500, 25], [40, 900], [0, 0])
  ]
  found = tf_crop.windows(
    np.stack(matrices), crop_size=CROP_SIZE, image_size=size
  )
  assert found.dtype == np.int32
  assert (found[:, :2] >= 0).all()
  assert (found[:, 2:] >= 1).all()
  assert (found[:, :2] + found[:, 2:] <= size).all()


def warp(image, crop_from_image, crop_size):
  image_from_crop = geometry.invert(crop_from_image).astype(np.float32)
  return tf_crop.warp(image, image_from_crop, crop_size)


def crops_of(image, matrices, crop_size, how):
  if how == "eager":
    return [warp(image, m, crop_size).numpy() for m in matrices]
  inverses = geometry.invert(np.stack(matrices)).astype(np.float32)
  dataset = tf.data.Dataset.from_tensor_slices(inverses)
  dataset = dataset.map(lambda m: tf_crop.warp(image, m, crop_size))
  return list(dataset.as_numpy_iterator())


def matrices(count: int, height: int, width: int) -> list[np.ndarray]:
  """Crops that shrink, grow, turn, mirror and reach over the border."""
  rng = np.random.default_rng(11)
  made = []
  for i in range(count):
    scale = np.exp(rng.uniform(np.log(10), np.log(2 * width)))
    matrix = geometry.crop_from_image(
      rng.uniform(-5, (width + 5, height + 5)),
      np.array([scale, scale * 10 / 7]),
      rng.uniform(-np.pi, np.pi) * (i % 3 > 0),
      crop_size=CROP_SIZE,
      alignment=("hrnet", "dark", "udp")[i % 3],
    )
    flip = np.array([[-1.0, 0, width - 1], [0, 1, 0]])
    made.append(geometry.compose(matrix, flip) if i % 2 else matrix)
  return made


def cv2_warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  return cv2.warpAffine(
    image,
    matrix,
    CROP_SIZE[::-1],
    flags=cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_CONSTANT,
    borderValue=0,
  )


@pytest.mark.parametrize("how", ["eager", "tf.data"])
def test_warp_is_that_of_opencv_on_noise(how):
  image, chosen = noise(90, 120), matrices(24, 90, 120)
  for found, matrix in zip(
    crops_of(image, chosen, CROP_SIZE, how), chosen, strict=True
  ):
    difference = np.abs(found.astype(int) - cv2_warp(image, matrix))
    assert difference.max() <= 1  # grey level
    assert difference.mean() < 0.01


def test_warp_is_that_of_opencv_on_photographs(test_data):
  paths = sorted((test_data / "coco/train2017").glob("*.jpg"))[:3]
  for path in paths:
    image = tf_crop.decode_image(tf.constant(path.read_bytes())).numpy()
    for matrix in matrices(6, *image.shape[:2]):
      found = warp(image, matrix, CROP_SIZE).numpy()
      assert np.abs(found.astype(int) - cv2_warp(image, matrix)).max() <= 1


@pytest.mark.parametrize("how", ["eager", "tf.data"])
def test_warp_reads_the_right_place_of_an_index_ramp(how):
  # Red counts columns by 2, green rows by 3, blue is 100: exact to rounding.
  y, x = np.mgrid[0:80, 0:110]
  ramp = np.stack([2 * x, 3 * y, 0 * x + 100], -1).astype(np.uint8)
  for matrix, found in zip(
    matrices(12, 80, 110),
    crops_of(ramp, matrices(12, 80, 110), CROP_SIZE, how),
    strict=True,
  ):
    v, u = np.mgrid[0 : CROP_SIZE[0], 0 : CROP_SIZE[1]]
    points = np.stack([u, v], -1).reshape(-1, 2).astype(float)
    source = geometry.apply_affine(geometry.invert(matrix), points)
    source = source.reshape(*CROP_SIZE, 2)
    inside = ((source >= 0) & (source <= [109, 79])).all(-1)
    expected = np.concatenate(
      [source * [2, 3], np.full((*CROP_SIZE, 1), 100.0)], -1
    )
    # Half a grey level of rounding, and float32 coordinates.
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.5 + 1e-3)
    outside = ((source <= -1) | (source >= [110, 80])).any(-1)
    assert not found[outside].any()


def test_the_identity_returns_the_image():
  image = noise(*CROP_SIZE)
  identity = np.eye(3)[:2]
  np.testing.assert_array_equal(warp(image, identity, CROP_SIZE), image)

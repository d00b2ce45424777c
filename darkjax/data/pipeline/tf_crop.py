"""Decoding of image parts, warping and changing of crops, by TensorFlow ops.

EXIF orientation is not applied: coordinates refer to the pixels in the file.
The warp is compiled by XLA, in a quarter of the time of TensorFlow's own op; as
XLA compiles for fixed shapes, pixels are copied into buffers of a few sizes.
"""

import functools
import os

import numpy as np
import tensorflow as tf

from darkjax import geometry

# Pixels around the needed part that are decoded too: one because libjpeg gets
# the outermost row or column of a part wrong, one for rounding.
_MARGIN = 2

_BLUR_RADIUS = 3  # px, two of the largest standard deviations

# Pixels of the buffers; the largest holds any image that encoded.py accepts.
_BUFFERS = tuple(2**i for i in range(14, 28))


def decode_image(data: tf.Tensor) -> tf.Tensor:
  """Returns the pixels [H, W, 3] uint8, RGB, of an image file (scalar string).

  JPEG (grey, colour, CMYK) and PNG (1 to 16 bits, of which the upper 8 are
  kept; grey, colour, palette; alpha is dropped, not blended). EXIF orientation
  is not applied.
  """
  return tf.cond(
    _is_jpeg(data),
    lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
    lambda: tf.io.decode_png(data, channels=3),
  )


def decode_window(data: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
  """Decodes a part of an image file; a JPEG's other parts are not decoded.

  `window` [4] int32 (y, x, height, width), px, must be inside the image. The
  result [height, width, 3] is that part of `decode_image`, except that JPEG
  pixels at the window's edge may differ (see `windows`).
  """
  y, x, height, width = tf.unstack(window)
  return tf.cond(
    _is_jpeg(data),
    lambda: tf.io.decode_and_crop_jpeg(
      data, window, channels=3, dct_method="INTEGER_ACCURATE"
    ),
    lambda: tf.io.decode_png(data, channels=3)[y : y + height, x : x + width],
  )


def _is_jpeg(data: tf.Tensor) -> tf.Tensor:
  return tf.equal(tf.strings.substr(data, 0, 3), b"\xff\xd8\xff")


def windows(
  crop_from_image: np.ndarray,
  *,
  crop_size: tuple[int, int],
  image_size: np.ndarray,
) -> np.ndarray:
  """Returns the part of an image that a crop reads, with a margin for JPEG.

  That is [..., 4] int32 (y, x, height, width), px, inside the image and not
  empty. Sizes are (height, width), `image_size` is [..., 2].
  """
  height, width = crop_size
  corners_crop = [(x, y) for x in (0.0, width - 1) for y in (0.0, height - 1)]
  corners = geometry.apply_affine(
    geometry.invert(crop_from_image), np.array(corners_crop)
  )
  last = np.asarray(image_size)[..., ::-1] - 1
  first = np.clip(np.floor(corners.min(-2)) - _MARGIN, 0, last)
  end = np.clip(np.ceil(corners.max(-2)) + _MARGIN, 0, last)
  window = np.concatenate([first[..., ::-1], (end - first + 1)[..., ::-1]], -1)
  return window.astype(np.int32)


def warp(
  image: tf.Tensor, image_from_crop: tf.Tensor, crop_size: tuple[int, int]
) -> tf.Tensor:
  """Resamples an image: bilinear, zero outside, no smoothing before shrinking.

  Within one grey level of cv2.warpAffine(INTER_LINEAR, BORDER_CONSTANT). Image
  and crop are [height, width, 3] uint8, `image_from_crop` [2, 3] float32.
  """
  _start_compiler()
  pixels = tf.reshape(image, [-1, 3])
  count = tf.shape(pixels)[0]
  size = tf.gather(_BUFFERS, tf.searchsorted(_BUFFERS, [count]))[0]
  pixels = tf.concat([pixels, tf.zeros([size - count, 3], tf.uint8)], 0)
  return _sample(pixels, tf.shape(image), image_from_crop, crop_size)


@functools.cache
@tf.autograph.experimental.do_not_convert
def _start_compiler() -> None:
  """Starts TensorFlow's XLA without XLA_FLAGS.

  A flag meant for JAX that TensorFlow does not have would end the process.
  """
  flags = os.environ.pop("XLA_FLAGS", None)
  try:
    with tf.init_scope():
      tf.function(tf.identity, jit_compile=True)(tf.zeros(()))
  finally:
    if flags is not None:
      os.environ["XLA_FLAGS"] = flags


@tf.function(jit_compile=True)
def _sample(
  pixels: tf.Tensor,
  size: tf.Tensor,
  image_from_crop: tf.Tensor,
  crop_size: tuple[int, int],
) -> tf.Tensor:
  """Each crop pixel as the weighted sum of four pixels [N, 3]."""
  row = tf.range(crop_size[0], dtype=tf.float32)[:, None, None]
  column = tf.range(crop_size[1], dtype=tf.float32)[:, None]
  x, y = (
    line[0] * column + (line[1] * row + line[2])
    for line in tf.unstack(image_from_crop)
  )
  height, width = size[0], size[1]
  left, weight_left, weight_right = _neighbours(x, width)
  upper, weight_upper, weight_lower = _neighbours(y, height)
  first = tf.squeeze(upper * width + left, -1)
  corners = (
    (first, weight_upper * weight_left),
    (first + 1, weight_upper * weight_right),
    (first + width, weight_lower * weight_left),
    (first + width + 1, weight_lower * weight_right),
  )
  values = sum(
    tf.cast(tf.gather(pixels, index), tf.float32) * weight
    for index, weight in corners
  )
  # To uint8, half to even, faster than by tf.round: a float32 from 2^23 to 2^24
  # has no bits for a fraction, so the sum is rounded; we take its last byte.
  return tf.cast(tf.bitcast(values + 1.5 * 2**23, tf.int32), tf.uint8)


def _neighbours(
  coordinate: tf.Tensor, size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """The first of two neighbouring indices inside the image, and two weights.

  A weight is 1 minus the distance, and at least 0: outside the image it falls
  to zero over one pixel, wherever the two indices had to stay.
  """
  last = tf.maximum(size - 2, 0)
  first = tf.clip_by_value(tf.floor(coordinate), 0.0, tf.cast(last, tf.float32))
  distance = coordinate - first
  second_weight = tf.maximum(1 - tf.abs(distance - 1), 0.0)
  return (
    tf.cast(first, tf.int32),
    tf.maximum(1 - tf.abs(distance), 0.0),
    tf.where(size > 1, second_weight, 0.0),
  )


def change(image: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
  """Changes a crop [H, W, 3] uint8 as `appearance.parameters` [SIZE] say.

  In the order in which a picture comes about: something stands in front of the
  person, the lens blurs, light and colours are recorded, a file is compressed.
  """
  matrix = tf.reshape(parameters[:12], [3, 4])
  left, top, right, bottom = tf.unstack(parameters[12:16])
  sigma, quality = parameters[19], tf.cast(parameters[20], tf.int32)
  height, width, _ = image.shape
  row = tf.range(height, dtype=tf.float32)[:, None, None]
  column = tf.range(width, dtype=tf.float32)[:, None]
  inside = (column >= left) & (column < right) & (row >= top) & (row < bottom)
  pixels = tf.where(inside, parameters[16:19], tf.cast(image, tf.float32))
  pixels = tf.cond(sigma > 0, lambda: _blur(pixels, sigma), lambda: pixels)
  pixels = tf.linalg.matmul(pixels, matrix[:, :3], transpose_b=True)
  pixels = tf.clip_by_value(tf.round(pixels + matrix[:, 3]), 0, 255)
  pixels = tf.cast(pixels, tf.uint8)
  return tf.cond(
    quality > 0,
    lambda: tf.image.adjust_jpeg_quality(pixels, quality),
    lambda: pixels,
  )


def _blur(pixels: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
  """A Gaussian along both axes of [H, W, 3]; the border's pixels mirror."""
  distance = tf.range(-_BLUR_RADIUS, _BLUR_RADIUS + 1, dtype=tf.float32)
  kernel = tf.nn.softmax(-(distance**2) / (2 * sigma**2))
  margin = [_BLUR_RADIUS, _BLUR_RADIUS]
  pixels = tf.pad(pixels, [margin, margin, [0, 0]], "SYMMETRIC")
  height, width = (size - 2 * _BLUR_RADIUS for size in pixels.shape[:2])
  taps = list(enumerate(tf.unstack(kernel)))
  rows = tf.add_n([weight * pixels[i : i + height] for i, weight in taps])
  return tf.add_n([weight * rows[:, i : i + width] for i, weight in taps])

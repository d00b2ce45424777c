"""The input that a network of a file gets: size, channels, values."""

from unittest import mock

import detector_files
import numpy as np
import pytest

from darkjax.inference.detectors import letterbox
from darkjax.inference.detectors.load import load_detector

# One colour everywhere and the size of the input: no resampling, no grey.
IMAGE = np.broadcast_to(np.array([51, 102, 204], np.uint8), (64, 96, 3))


def _means(tmp_path, **options):
  """The detector whose score is the first channel, class the second's value."""
  path = detector_files.save(
    tmp_path / "a.onnx",
    {"output0": detector_files.CHANNEL_MEANS},
    **{k: options.pop(k) for k in ("dtype", "metadata") if k in options},
  )
  return load_detector(path, min_score=0, **options)


def _network_input(detector, image):
  """What the network of a detector is run on."""
  run = detector._network.run
  with mock.patch.object(detector._network, "run", side_effect=run) as spy:
    detector(image)
  return spy.call_args.args[0]


def test_values_and_order_are_those_of_the_form_or_the_options(tmp_path):
  mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  parts = np.array([0.2, 0.4, 0.8])  # by hand: 51, 102 and 204 of 255
  for options, expected in (
    ({}, parts),  # YOLO
    ({"order": "bgr"}, parts[::-1]),
    ({"values": "0-255", "order": "bgr"}, [204, 102, 51]),
    ({"values": "imagenet"}, (parts - mean) / std),
    ({"values": "imagenet", "order": "bgr"}, ((parts - mean) / std)[::-1]),
  ):
    pixels = _network_input(_means(tmp_path, **options), IMAGE)
    assert pixels.shape == (64, 96, 3)
    np.testing.assert_allclose(pixels[7, 9], expected, rtol=1e-6)


def test_the_network_gets_its_channels_first(tmp_path):
  # Class 0 is the mean of green, 0.4, if channels come first.
  detector = _means(tmp_path, person_class=0)
  outputs = detector._network.run(np.float32(IMAGE) / 255)
  # Sums of 6,144 numbers in float32.
  np.testing.assert_allclose(
    outputs["output0"][0, 0, 4:], [0.2, 0.4], rtol=1e-4
  )


def test_bytes_are_passed_as_they_are(tmp_path):
  detector = _means(tmp_path, dtype="uint8")
  np.testing.assert_array_equal(
    _network_input(detector, IMAGE)[0, 0], [51, 102, 204]
  )
  outputs = detector._network.run(IMAGE)
  np.testing.assert_array_equal(outputs["output0"][0, 0, 4:], [51, 102])
  with pytest.raises(ValueError, match="its input is of bytes; values=0-1"):
    _means(tmp_path, dtype="uint8", values="0-1")


def test_halves_are_passed_as_halves(tmp_path):
  detector = _means(tmp_path, dtype="float16")
  outputs = detector._network.run(np.float32(IMAGE) / 255)
  # 11 bits of mantissa.
  np.testing.assert_allclose(
    outputs["output0"][0, 0, 4:], [0.2, 0.4], rtol=5e-4
  )


@pytest.mark.parametrize(
  ("shape", "size"),
  [
    ((1, 3, 64, 96), (64, 96)),
    ((4, 3, 64, 96), (64, 96)),  # a batch of four
    (("batch", 3, "height", "width"), (640, 640)),
    (("batch", "channels", "height", "width"), (640, 640)),
    (("batch", 3, 64, "width"), (64, 640)),
    ((1, 64, 96, 3), (64, 96)),
    ((3, 64, 96), (64, 96)),
  ],
)
def test_size_and_layout_are_those_of_the_file(shape, size, tmp_path):
  rows = np.array([[[0, 0, 640, 640, 0.9, 0]]], np.float32)
  path = detector_files.save(tmp_path / "a.onnx", {"out": rows}, shape=shape)
  detector = load_detector(path)
  assert _network_input(detector, IMAGE).shape == (*size, 3)
  assert len(detector(IMAGE).boxes) == 1


def test_an_open_size_is_told_by_the_metadata_or_an_option(tmp_path):
  rows = np.array([[[0, 0, 9, 9, 0.9, 0]]], np.float32)
  path = detector_files.save(
    tmp_path / "a.onnx",
    {"out": rows},
    shape=("batch", 3, "height", "width"),
    metadata={"imgsz": "[320, 416]"},
  )
  for given, size in (
    (path, (320, 416)),
    (f"{path}?size=256", (256, 256)),
    (f"{path}?size=256x320", (256, 320)),
  ):
    assert _network_input(load_detector(given), IMAGE).shape == (*size, 3)
  fixed = detector_files.save(tmp_path / "b.onnx", {"out": rows})
  with pytest.raises(ValueError, match=r"64 x 96 px and no other, got .*256"):
    load_detector(fixed, size=256)


def test_torchvision_takes_photographs_of_any_size(tmp_path):
  outputs = {
    "boxes": np.array([[1, 2, 31, 42]], np.float32),
    "labels": np.array([1]),
    "scores": np.array([0.5], np.float32),
  }
  path = detector_files.save(
    tmp_path / "a.onnx", outputs, shape=(3, "height", "width")
  )
  detector = load_detector(path)
  image = np.zeros((123, 45, 3), np.uint8)
  assert _network_input(detector, image).shape == (123, 45, 3)
  np.testing.assert_allclose(detector(image).boxes, [[1, 2, 30, 40]])
  fixed = detector_files.save(tmp_path / "b.onnx", outputs, shape=(3, 64, 96))
  with pytest.raises(ValueError, match="fit=none is for files"):
    load_detector(fixed, fit="none")


@pytest.mark.parametrize(
  ("fit", "inside", "scale", "offset"),
  [
    # 60 x 30 px: 1.6 times larger fills the width of 96 and 48 rows of 64.
    ("corner", (slice(0, 48), slice(0, 96)), (1.6, 1.6), (0, 0)),
    ("center", (slice(8, 56), slice(0, 96)), (1.6, 1.6), (0, 8)),
    ("stretch", (slice(0, 64), slice(0, 96)), (1.6, 64 / 30), (0, 0)),
  ],
)
def test_letterbox_pads_with_grey(fit, inside, scale, offset):
  image = np.full((30, 60, 3), 200, np.uint8)
  pixels, input_from_image = letterbox.fit_image(image, (64, 96), fit)
  expected = np.full((64, 96, 3), 114)
  expected[inside] = 200
  np.testing.assert_array_equal(pixels, expected)
  np.testing.assert_allclose(input_from_image.scale, scale)
  np.testing.assert_allclose(input_from_image.offset, offset)


@pytest.mark.parametrize("fit", ["corner", "center", "stretch", "none"])
def test_pixels_lie_where_the_matrix_says(fit):
  # A ramp along both axes, in grey levels per image px, edges at 0.
  y, x = np.mgrid[:50, :70] + 0.5
  image = np.stack([2 * x, 3 * y, x + y], axis=2).astype(np.uint8)
  pixels, input_from_image = letterbox.fit_image(image, (96, 128), fit)
  points = np.array([[20, 20, 60, 40]])  # px of the input
  corners = input_from_image.corners_image(points)
  for x_input, y_input, x_image, y_image in (
    (*points[0, :2], *corners[0, :2]),
    (*points[0, 2:], *corners[0, 2:]),
  ):
    # Four pixels around the point; grey levels: rounded twice.
    around = pixels[y_input - 1 : y_input + 1, x_input - 1 : x_input + 1]
    red, green, _ = around.reshape(4, 3).mean(0)
    np.testing.assert_allclose(
      [red, green], [2 * x_image, 3 * y_image], atol=1.6
    )


def test_people_are_the_class_that_the_file_names(tmp_path):
  rows = np.array([[[0, 0, 9, 9, 0.9, 2], [0, 0, 20, 20, 0.8, 0]]], np.float32)

  def load(names):
    path = detector_files.save(
      tmp_path / "a.onnx", {"out": rows}, metadata={"names": names}
    )
    return load_detector(path)

  for names, score in (
    ("{0: 'person', 1: 'dog', 2: 'cat'}", 0.8),
    ("{0: 'dog', 1: 'cat', 2: 'Person'}", 0.9),
    ("['dog', 'cat', 'person']", 0.9),
    ("{2: 'pedestrian'}", 0.9),  # the only one
    ("not a list", 0.8),
  ):
    np.testing.assert_allclose(load(names)(IMAGE).scores, [score])
  with pytest.raises(ValueError, match=r"none of its 2 .* \['dog', 'cat'\]"):
    load("{0: 'dog', 1: 'cat'}")


def test_settings_of_mmdeploy_are_said_to_be_assumed(tmp_path, caplog):
  outputs = {
    "dets": np.zeros((1, 3, 5), np.float32),
    "labels": np.zeros((1, 3), np.int64),
  }
  path = detector_files.save(tmp_path / "a.onnx", outputs)
  load_detector(path, order="bgr", values="0-255")
  assert not caplog.records
  load_detector(path)
  assert "assumed is RTMDet's" in caplog.text

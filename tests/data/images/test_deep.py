"""Images of more than 8 bits: scaled by their range, never silently dark."""

import struct

import cv2
import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest
from image_files import with_chunk, write_deep

from darkjax.data.images import photo

_VALUES = np.linspace(0, 4095, 30 * 40).reshape(30, 40).astype(np.uint16)
COLOURS = np.stack([_VALUES, _VALUES[::-1], _VALUES // 2], -1)


def write(path, values, *, bits=None, tags=()):
  """A PNG, or a TIFF where tags are given."""
  if tags:
    info = PIL.TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags:
      info[tag] = value
    PIL.Image.fromarray(values).save(path, "tiff", tiffinfo=info)
    return
  data = write_deep(".png", values)
  if bits:
    channels = values.shape[2] if values.ndim == 3 else 1
    data = with_chunk(data, b"sBIT", bytes([bits] * channels))
  path.write_bytes(data)


@pytest.mark.parametrize("values", [_VALUES, COLOURS], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_png_states_its_range(tmp_path, values, bits, caplog):
  values = values >> 2 if bits == 10 else values
  write(tmp_path / "a.png", values, bits=bits)
  expected = values >> (bits - 8)  # of all bits the upper 8
  expected = np.broadcast_to(expected.reshape(30, 40, -1), (30, 40, 3))
  np.testing.assert_array_equal(photo.read(tmp_path / "a.png"), expected)
  assert not caplog.text


def test_values_stretched_to_sixteen_bits_are_read_as_such(tmp_path, caplog):
  # As the standard of PNG has it: sBIT says how many bits were there before.
  write(tmp_path / "a.png", _VALUES * 16, bits=12)
  seen = photo.read(tmp_path / "a.png")[..., 0]
  np.testing.assert_array_equal(seen, _VALUES >> 4)
  assert not caplog.text


@pytest.mark.parametrize("tag", [281, 341])
def test_a_tiff_states_its_range(tmp_path, tag, caplog):
  write(tmp_path / "a.tif", _VALUES, tags=((tag, 4095),))
  seen = photo.read(tmp_path / "a.tif")[..., 0]
  np.testing.assert_array_equal(seen, _VALUES >> 4)
  assert not caplog.text


@pytest.mark.parametrize("values", [_VALUES, COLOURS], ids=["grey", "colour"])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_dark_values_without_a_range_are_warned_of(
  tmp_path, values, suffix, caplog
):
  path = tmp_path / f"a{suffix}"
  path.write_bytes(write_deep(suffix, values))
  seen = photo.read(path)
  assert seen.max() == 15
  assert "largest value 4095 of 65535: read dark" in caplog.text
  assert str(path) in caplog.text


def test_grey_with_alpha_is_scaled_as_well(tmp_path):
  values = np.stack([_VALUES] * 4, -1)
  write(tmp_path / "a.png", values, bits=12)
  seen = photo.read(tmp_path / "a.png")
  np.testing.assert_array_equal(seen[..., 0], _VALUES >> 4)


def test_deflated_colours_keep_all_bits(tmp_path):
  path = tmp_path / "a.tiff"
  options = (cv2.IMWRITE_TIFF_COMPRESSION, 5)
  path.write_bytes(write_deep(".tiff", COLOURS * 16, *options))
  np.testing.assert_array_equal(photo.read(path), COLOURS >> 4)


def test_other_depths_are_refused(tmp_path):
  PIL.Image.fromarray(np.ones((4, 5), np.float32)).save(tmp_path / "a.tif")
  with pytest.raises(ValueError, match=r"a\.tif: .* got floating point"):
    photo.read(tmp_path / "a.tif")
  large = PIL.Image.fromarray(np.full((4, 5), 70_000, np.int32))
  with pytest.raises(ValueError, match="up to 70000 in 32 bits"):
    photo.read(large)


def write_packed(path, values: np.ndarray) -> None:
  """A TIFF of 12 bits per pixel, two of them in three bytes."""
  first, second = values[:, ::2].astype(int), values[:, 1::2].astype(int)
  packed = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
  data = np.stack(packed, -1).astype(np.uint8).tobytes()
  height, width = values.shape
  tags = {
    256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1,
    278: height, 279: len(data),
  }  # fmt: skip
  entries = [struct.pack("<HHII", tag, 4, 1, n) for tag, n in tags.items()]
  head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries)
  path.write_bytes(head + bytes(4) + data)


def test_twelve_packed_bits_are_a_range(tmp_path, caplog):
  write_packed(tmp_path / "a.tif", _VALUES)
  seen = photo.read(tmp_path / "a.tif")[..., 0]
  np.testing.assert_array_equal(seen, _VALUES >> 4)
  assert not caplog.text

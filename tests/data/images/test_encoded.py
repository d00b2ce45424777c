"""Image files of every kind: training reads the pixels that `Pose` reads."""

import json

import coco_folder
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from image_files import (
  HEIGHT,
  PIXELS,
  WIDTH,
  animated,
  without_adobe,
  write,
  write_deep,
)

from darkjax.data.coco import prepare
from darkjax.data.images import encoded, photo
from darkjax.data.pipeline import tf_crop

DEEP = PIXELS.astype(int) * 257
# Bytes, and whether records keep them.
KINDS = {
  "jpeg": (write("jpeg"), True),
  "progressive jpeg": (write("jpeg", progressive=True), True),
  "grey jpeg": (write("jpeg", "L"), True),
  "cmyk jpeg": (write("jpeg", "CMYK"), False),
  "cmyk jpeg without marker": (without_adobe(write("jpeg", "CMYK")), False),
  "png": (write("png"), True),
  "grey png": (write("png", "L"), True),
  "palette png": (write("png", "P"), True),
  "black and white png": (write("png", "1"), True),
  "alpha png": (write("png", "RGBA"), True),
  "grey alpha png": (write("png", "LA"), True),
  "transparent palette": (write("png", "P", transparency=3), True),
  "transparent colour": (write("png", transparency=(9, 9, 9)), True),
  "apng": (animated("png"), True),
  "gif": (write("gif"), False),
  "animated gif": (animated("gif"), False),
  "webp": (write("webp", lossless=True), False),
  "alpha webp": (write("webp", "RGBA", lossless=True), False),
  "animated webp": (animated("webp"), False),
  "bmp": (write("bmp"), False),
  "tiff": (write("tiff"), False),
  "deflated tiff": (write("tiff", compression="tiff_adobe_deflate"), False),
  "cmyk tiff": (write("tiff", "CMYK"), False),
  "pages of tiff": (animated("tiff"), False),
  "16-bit png": (write_deep(".png", DEEP), False),
  "16-bit grey png": (write_deep(".png", DEEP[..., 0]), False),
  "16-bit tiff": (write_deep(".tiff", DEEP), False),
}
if "AVIF" in PIL.Image.SAVE:  # since Pillow 11.3
  KINDS["avif"] = (write("avif"), False)


@pytest.mark.parametrize("name", KINDS)
def test_training_and_pose_read_the_same_pixels(tmp_path, name):
  data, keeps_bytes = KINDS[name]
  path = tmp_path / "photo"
  path.write_bytes(data)
  for upright in (False, True):
    record, header = encoded.read_image(path, upright=upright)
    assert (record == data) == header.keeps_bytes == keeps_bytes
    seen = photo.read(path, upright=upright)
    trained = tf_crop.decode_image(record).numpy()
    np.testing.assert_array_equal(seen, trained)
  assert seen.shape == (HEIGHT, WIDTH, 3)
  assert header.stored_size == (HEIGHT, WIDTH)
  # Grey levels: some are lossy, or have 216 colours.
  if "grey" not in name and "white" not in name:
    assert abs(seen.astype(int) - PIXELS).mean() < 30


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_frames_of_a_turned_image(tmp_path, kind, orientation):
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  options = {"lossless": True} if kind == "webp" else {}
  path = tmp_path / "turned"
  path.write_bytes(write(kind, exif=exif, **options))
  (tmp_path / "plain").write_bytes(write(kind, **options))
  stored = photo.read(tmp_path / "plain", upright=False)
  reference = PIL.Image.fromarray(stored)
  reference.getexif()[0x0112] = orientation
  # Pillow is the reference for what orientations mean.
  upright = np.asarray(PIL.ImageOps.exif_transpose(reference))
  for frame, expected in ((False, stored), (True, upright)):
    np.testing.assert_array_equal(photo.read(path, upright=frame), expected)
    record, header = encoded.read_image(path, upright=frame)
    np.testing.assert_array_equal(tf_crop.decode_image(record), expected)
    assert header.orientation == orientation
    assert header.size(upright=frame) == expected.shape[:2]


def test_heic_is_read_where_its_extra_is_installed(tmp_path):
  pillow_heif = pytest.importorskip("pillow_heif")
  path = tmp_path / "IMG_1.HEIC"
  image = PIL.Image.fromarray(PIXELS)
  pillow_heif.from_pillow(image).save(path, quality=90)
  record, header = encoded.read_image(path)
  np.testing.assert_array_equal(tf_crop.decode_image(record), photo.read(path))
  assert header.stored_size == (HEIGHT, WIDTH)
  # Grey levels: lossy, with half the resolution in colour.
  assert abs(photo.read(path).astype(int) - PIXELS).mean() < 10


def load(tmp_path, size, orientation, **options):
  """One turned image in a json that has the size (height, width), or none."""
  what = coco_folder.content(1, size=(HEIGHT, WIDTH))
  annotations, images = coco_folder.write(tmp_path, what)
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  (images / "1.jpg").write_bytes(write("jpeg", exif=exif))
  for field, value in zip(
    ("height", "width"), size or (None, None), strict=True
  ):
    what["images"][0].pop(field)
    if value:
      what["images"][0][field] = value
  annotations.write_text(json.dumps(what))
  return prepare.load(
    annotations, images, cache_dir=tmp_path / "cache", **options
  )


@pytest.mark.parametrize("upright", [False, True])
def test_labels_of_either_frame_are_trained_on(tmp_path, upright, caplog):
  size = (WIDTH, HEIGHT) if upright else (HEIGHT, WIDTH)
  dataset = load(tmp_path, size, 6, upright=upright)
  assert dataset.people.image_size.tolist() == [list(size)]
  record = next(iter(dataset.dataset().as_numpy_iterator()))
  pixels = tf_crop.decode_image(record["image"]).numpy()
  path = tmp_path / "images/1.jpg"
  np.testing.assert_array_equal(pixels, photo.read(path, upright=upright))
  assert "EXIF" not in caplog.text
  flag = r"--stored.*upright=False" if upright else r"--upright.*upright=True"
  with pytest.raises(ValueError, match=f"EXIF turns it.*{flag}"):
    load(tmp_path, size[::-1], 6, upright=upright)


@pytest.mark.parametrize(
  ("size", "orientation"), [(None, 6), ((HEIGHT, WIDTH), 3)]
)
def test_a_frame_that_no_size_decides_is_warned_of(
  tmp_path, caplog, size, orientation
):
  for _ in range(2):  # also when the records are there
    caplog.clear()
    load(tmp_path, size, orientation)
    assert "1 images are turned by EXIF" in caplog.text
  caplog.clear()
  load(tmp_path, size, orientation, upright=True)
  assert "EXIF" not in caplog.text

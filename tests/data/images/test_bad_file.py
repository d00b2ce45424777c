"""Files that are no images: what they are, and the fix."""

import io
import sys

import coco_folder
import PIL.Image
import pytest

from darkjax.data.images import encoded, photo


def jpeg(**options) -> bytes:
  buffer = io.BytesIO()
  image = PIL.Image.fromarray(coco_folder.image(64, 48))
  image.save(buffer, "jpeg", **options)
  return buffer.getvalue()


POINTER = (
  b"version https://git-lfs.github.com/spec/v1\n"
  b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e23\n"
  b"size 12345\n"
)
BAD = {
  "pointer": (POINTER, "it is a Git LFS pointer to a file of 12345 bytes; run"),
  "empty": (b"", r"it is empty \(0 bytes\)"),
  "page": (b"\n<!DOCTYPE html><p>404", "it is a web page"),
  "xml": (b"<?xml version='1.0'?><Error/>", "it is a web page"),
  "half jpeg": (jpeg()[:900], "it is a JPEG that ends early, after 900 bytes"),
  "start of a jpeg": (jpeg()[:20], "it is a JPEG that ends early"),
  "half progressive": (jpeg(progressive=True)[:900], "it is a JPEG that ends"),
  "zeros": (bytes(500), "it has zeros for content"),
  "text": (b"no image", "it is of no known format"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_for_what_it_is(tmp_path, name):
  data, message = BAD[name]
  path = tmp_path / "photo.jpg"
  path.write_bytes(data)
  message = rf"photo\.jpg is not an image that can be read: {message}"
  for read in (photo.read, encoded.read_image):
    with pytest.raises(ValueError, match=message) as caught:
      read(path)
    assert " object at 0x" not in str(caught.value)


def test_heic_without_its_extra_names_it(tmp_path, monkeypatch):
  path = tmp_path / "IMG_1.HEIC"
  path.write_bytes(b"\0\0\0\x1cftypheic" + bytes(60))
  monkeypatch.setitem(sys.modules, "pillow_heif", None)
  for kind in ("HEIF", "AVIF"):
    monkeypatch.delitem(PIL.Image.OPEN, kind, raising=False)
  with pytest.raises(ValueError, match=r'pip install "darkjax\[heic\]"'):
    photo.read(path)


def test_messages_show_no_object_in_memory():
  image = PIL.Image.open(io.BytesIO(jpeg()[:900]))
  with pytest.raises(ValueError, match="image is not an image"):
    photo.read(image)
  with (
    pytest.raises(ValueError, match=r"x is not an image .* \(no 'it' here\)"),
    photo.decoding("x"),
  ):
    raise OSError(f"no '{io.BytesIO()}' here")

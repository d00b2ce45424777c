"""Pictures as files: their forms, and what is refused."""

import PIL.Image
import pytest

from darkjax.viz import picture_file


@pytest.mark.parametrize(
  ("name", "form"),
  [
    ("a.png", "PNG"),
    ("a.JPG", "JPEG"),
    ("b/a.jpeg", "JPEG"),
    ("a.webp", "WEBP"),
  ],
)
def test_the_suffix_says_the_form(tmp_path, name, form):
  picture_file.save(PIL.Image.new("RGB", (3, 2), "red"), tmp_path / name)
  with PIL.Image.open(tmp_path / name) as picture:
    assert (picture.format, picture.size) == (form, (3, 2))


def test_other_suffixes_are_refused_before_there_is_a_picture(tmp_path):
  for name in ("a.txt", "a", "a.mpo.psd"):
    with pytest.raises(ValueError, match="is not a format of pictures"):
      picture_file.check(tmp_path / name)
  (tmp_path / "folder.png").mkdir()
  with pytest.raises(IsADirectoryError):
    picture_file.check(tmp_path / "folder.png")


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
  path = tmp_path / "a.png"
  path.write_bytes(b"before")

  def fail(self, encoded, kind, quality):
    encoded.write(b"half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(PIL.Image.Image, "save", fail)
  with pytest.raises(OSError, match="No space"):
    picture_file.save(PIL.Image.new("RGB", (3, 2)), path)
  assert path.read_bytes() == b"before"
  assert list(tmp_path.iterdir()) == [path]

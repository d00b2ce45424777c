"""Which photographs folders hold, and what is said of the rest."""

import logging

import pytest

from darkjax.predict import folders


@pytest.fixture
def folder(tmp_path):
  """Three photographs, two of them in subfolders, and other files."""
  for name in (
    "a.JPG", "cam1/a.jpg", "cam2/a.jpg", "out/a.jpg", "clip.mp4", "._a.jpg",
    "notes.txt", "cam1/more.txt", "NAME", "b.TXT", ".cache/a.jpg",
  ):  # fmt: skip
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  (tmp_path / "in/folder.jpg").mkdir()
  return tmp_path / "in"


def names(*arguments, **options):
  return [p.name for p in folders.find_photographs(arguments, **options)]


def test_what_is_left_out_is_logged_by_suffix(folder, caplog):
  caplog.set_level(logging.INFO)
  assert names(str(folder), out=folder / "out") == ["a.JPG"]
  assert caplog.messages == [
    f"{folder}: left out: 4 files that are no photographs (2 .txt, 1 none, "
    "1 .mp4); 2 photographs in subfolders (--recursive)"
  ]


def test_subfolders_are_read_where_asked_for(folder, caplog):
  caplog.set_level(logging.INFO)
  found = folders.find_photographs(
    [str(folder)], recursive=True, out=folder / "out"
  )
  assert [p.name for p in found] == ["a.JPG", "cam1/a.jpg", "cam2/a.jpg"]
  assert all(p.path == folder / p.name for p in found)
  assert "photographs in" not in caplog.text
  assert "3 .txt" in caplog.text


@pytest.mark.parametrize(
  "suffix", ["jfif", "AVIF", "heic", "gif", "tif", "webp", "bmp", "jpe"]
)
def test_suffixes_of_cameras_and_tools_are_photographs(tmp_path, suffix):
  (tmp_path / f"a.{suffix}").touch()
  assert names(str(tmp_path)) == [f"a.{suffix}"]


def test_a_folder_without_photographs_says_what_it_holds(folder):
  (folder / "a.JPG").unlink()
  with pytest.raises(
    FileNotFoundError, match=r"2 \.txt.*3 photographs in subfolders"
  ):
    names(str(folder))


def test_two_photographs_of_one_name_are_refused(folder):
  with pytest.raises(ValueError, match=r"twice: a\.jpg;.*--recursive"):
    names(str(folder / "cam1"), str(folder / "cam2"))

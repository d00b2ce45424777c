"""Files found by the names that tools write."""

import pathlib
import time
import unicodedata

import pytest

from darkjax.data.images import names

FILES = ("photos/im 1.jpg", "photos/IMG_2.JPG", "other/000000000139.jpg")


@pytest.fixture
def folder(tmp_path):
  for name in FILES:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
  return tmp_path


@pytest.mark.parametrize(
  ("written", "file"),
  [
    ("photos/im 1.jpg", "photos/im 1.jpg"),
    (r"photos\im 1.jpg", "photos/im 1.jpg"),
    (r".\photos\\im 1.jpg", "photos/im 1.jpg"),
    ("./photos//im 1.jpg", "photos/im 1.jpg"),
    ("photos/im%201.jpg", "photos/im 1.jpg"),
    ("https://host:80/up/photos/im%201.jpg?token=a#b", "photos/im 1.jpg"),
    ("s3://bucket/photos/im 1.jpg", "photos/im 1.jpg"),
    ("/data/local-files/?d=photos/im%201.jpg", "photos/im 1.jpg"),
    ("/home/me/set/photos/im 1.jpg", "photos/im 1.jpg"),
    (r"C:\Users\me\im 1.jpg", "photos/im 1.jpg"),
    (r"..\..\upload\4\im 1.jpg", "photos/im 1.jpg"),
    ("im 1.jpg", "photos/im 1.jpg"),
    ("photos/IM 1.JPG", "photos/im 1.jpg"),
    ("photos/img_2.jpg", "photos/IMG_2.JPG"),
    ("IMG_2", "photos/IMG_2.JPG"),
    ("img_2", "photos/IMG_2.JPG"),
    ("000000000139", "other/000000000139.jpg"),
    ("139", "other/000000000139.jpg"),
    ("IMG_2.png", None),
    ("IMG_3.jpg", None),
    ("", None),
    (".", None),
    ("photos", None),
    ("a\0b.jpg", None),
    ("x" * 5000, None),
    ("http://[broken", None),
  ],
)
def test_a_name_is_found_as_tools_write_it(folder, written, file):
  found = names.FolderNames(folder).find(written)
  assert (found and pathlib.PurePosixPath(found).as_posix()) == file
  assert names.FileNames(FILES).find(written) == file


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_normal_forms_of_unicode_are_one_name(tmp_path, on_disk, written):
  file = unicodedata.normalize(on_disk, "Müller é.jpg")
  (tmp_path / file).touch()
  name = unicodedata.normalize(written, "Müller é.jpg")
  for known in (names.FolderNames(tmp_path), names.FileNames([file])):
    assert known.find(name) == file
    assert known.find("elsewhere/" + name) == file


def test_an_existing_name_is_itself_whatever_it_looks_like(tmp_path):
  odd = ("a%20b.jpg", "a b.jpg", r"a\b.jpg", "A b.jpg")
  for name in odd:
    (tmp_path / name).touch()
  for known in (names.FolderNames(tmp_path), names.FileNames(odd)):
    assert [known.find(name) for name in odd] == list(odd)


def test_names_of_a_json_may_be_the_odd_ones():
  known = names.FileNames([r"x\a.jpg", "http://host/y/b%20c.JPG", "d"])
  assert known.find("/here/x/a.jpg") == r"x\a.jpg"
  assert known.find("b c.jpg") == "http://host/y/b%20c.JPG"
  assert known.find("/here/d.png") == "d"


def test_the_longest_tail_decides():
  known = names.FileNames(["train/1.jpg", "val/1.jpg", "val/x/1.jpg", "1.jpg"])
  assert known.find("/d/train/1.jpg") == "train/1.jpg"
  assert known.find("/d/val/x/1.jpg") == "val/x/1.jpg"
  assert known.find("./1.jpg") == "1.jpg"


@pytest.mark.parametrize(
  ("existing", "written"),
  [
    (("a/1.jpg", "b/1.jpg"), "c/1.jpg"),
    (("a/1.jpg", "b/1.jpg"), "1.jpg"),
    (("A.jpg", "a.JPG"), "a.jpg"),
    (("a.jpg", "a.png"), "a"),
    (("01.jpg", "001.jpg"), "1"),
  ],
)
def test_several_that_could_be_meant_are_none(existing, written):
  known = names.FileNames(existing)
  assert known.find(written) is None
  assert known.nearest(written) in existing


def test_a_file_that_another_name_means_is_not_guessed(folder):
  wanted = ["other/im 1.jpg", "photos/im 1.jpg", "x/img_2.jpg", "y/img_2.jpg"]
  known = names.FolderNames(folder, wanted)
  found = [known.find(name) for name in wanted]
  assert found == [None, "photos/im 1.jpg", None, None]
  assert names.FolderNames(folder, wanted[:1]).find(wanted[0])


def test_messages_show_the_nearest_name(folder):
  known = names.FolderNames(folder)
  assert known.nearest("photos/im_1.jpg") == "photos/im 1.jpg"
  assert known.hint("IMG_3.jpg") == "the nearest name is photos/IMG_2.JPG"
  assert names.FileNames(["a/1.jpg", "b/1.jpg"]).hint("1.jpg") == (
    "it may be any of a/1.jpg, b/1.jpg"
  )
  assert names.FileNames([]).hint("1.jpg") == "there are no files"


def test_an_exact_name_lists_no_folder(folder, monkeypatch):
  known = names.FolderNames(folder)
  monkeypatch.setattr(names.os, "walk", None)
  assert known.find(r".\photos\im%201.jpg") == "photos/im 1.jpg"


def test_hidden_files_are_not_guessed(tmp_path):
  (tmp_path / ".cache").mkdir()
  (tmp_path / ".cache/a.jpg").touch()
  (tmp_path / "._b.jpg").touch()
  known = names.FolderNames(tmp_path)
  assert known.find("a.jpg") is None
  assert known.nearest("b.jpg") is None
  assert known.find(".cache/a.jpg") == ".cache/a.jpg"


def test_many_names_take_little_time_each():
  # 300 sequences of 100 frames of the same names.
  known = names.FileNames(
    f"s{i}/{n:06}.jpg" for i in range(300) for n in range(100)
  )
  start = time.thread_time()
  for i in range(300):
    for n in range(100):
      assert known.find(rf"D:\d\S{i}\{n:06}.JPG") == f"s{i}/{n:06}.jpg"
  assert known.nearest("s5/00007x.jpg") == "s5/000070.jpg"
  # Seconds; 1 here. Comparing with every name would take minutes.
  assert time.thread_time() - start < 20

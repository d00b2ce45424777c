"""Which files are photographs, and the ids they have in results."""

import pathlib

import pytest

from darkjax.predict import photographs


def _ids(names, told):
  return photographs.image_ids([pathlib.Path(n) for n in names], told)


@pytest.mark.parametrize(
  ("names", "told", "expected"),
  [
    (("007.jpg", "12.jpg"), (None, None), [7, 12]),
    (("007.jpg", "im12.jpg"), (None, None), [0, 1]),
    (("007.jpg", "7.jpg"), (None, None), [0, 1]),
    (("007.jpg", "12.jpg"), (1, 5), [1, 5]),
    (("007.jpg", "12.jpg"), (1, None), [1, 12]),
    (("007.jpg", "12.jpg"), (12, None), [12, 0]),
    (("a.jpg", "b.jpg", "c.jpg"), (None, 0, None), [1, 0, 2]),
  ],
)
def test_image_ids(names, told, expected):
  assert _ids(names, told) == expected


def test_two_photographs_are_not_one_image():
  with pytest.raises(ValueError, match=r"1\.jpg, 01\.jpg are one image .*, 1;"):
    _ids(("1.jpg", "01.jpg", "2.jpg"), (1, 1, 2))


def test_folders_give_visible_files_with_a_photograph_s_suffix(tmp_path):
  for name in ("b.png", "a.JPG", "._a.jpg", "notes.txt"):
    (tmp_path / name).touch()
  (tmp_path / "folder.jpg").mkdir()
  found = photographs.find([str(tmp_path)])
  assert [path.name for path in found] == ["a.JPG", "b.png"]

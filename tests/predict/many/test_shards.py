"""Shards: which photographs they hold, and runs that go on."""

import logging
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from darkjax.predict.many import shards
from darkjax.predict.many.shards import Shard
from darkjax.runtime import errors

SETTINGS = {"checkpoint": "a", "nms": "hard"}


@pytest.fixture
def photos(tmp_path):
  folder = tmp_path / "photos"
  for name in ("b.jpg", "a.png", "deep/c.JPG", "notes.txt", ".hidden.jpg"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
  return folder


def names(found):
  return [[pathlib.Path(path).name for path in s.paths] for s in found]


def test_folders_patterns_and_files_each_photograph_once(photos):
  inputs = [str(photos), str(photos / "*.jpg"), str(photos / "**" / "*.*")]
  found = shards.find(inputs, 2)
  assert names(found) == [["a.png", "b.jpg"], ["c.JPG"]]
  assert names(shards.find([str(photos / "a.png")], 9)) == [["a.png"]]


def test_a_folder_may_hold_photographs_beside_parquet(photos, caplog):
  caplog.set_level(logging.INFO)
  pq.write_table(pa.table({"path": ["x.jpg"]}), photos / "deep" / "a.parquet")
  (shard,) = shards.find([str(photos)], 9)
  assert names([shard]) == [["a.png", "b.jpg", "x.jpg", "c.JPG"]]
  assert f"{photos}: 1 files of other kinds left out" in caplog.text


@pytest.mark.parametrize("pattern", ["", "**", "found/*"])
def test_results_below_the_input_are_not_read(photos, pattern):
  out = photos / "found"
  shards.start(out, SETTINGS, [])
  shards.write(out, 0, pa.table({"path": ["a.png"]}))
  if pattern == "found/*":
    with pytest.raises(FileNotFoundError, match=r"matches .*found/\*"):
      shards.find([str(photos / pattern)], 9, out=out)
  else:
    (shard,) = shards.find([str(photos / pattern)], 9, out=out)
    assert sorted(names([shard])[0]) == ["a.png", "b.jpg", "c.JPG"]


def test_paths_in_parquet(tmp_path, caplog):
  table = pa.table({"path": ["x/2.jpg", None, "x/1.jpg"], "n": [1, 2, 3]})
  pq.write_table(table, tmp_path / "list.parquet")
  (shard,) = shards.find([str(tmp_path / "list.parquet")], 10)
  assert list(shards.read(shard)) == [(p, p) for p in ("x/2.jpg", "x/1.jpg")]
  assert "list.parquet: 1 rows without a path left out" in caplog.text


@pytest.mark.parametrize("named", [False, True])
def test_images_in_parquet_are_a_shard_a_row_group(tmp_path, named):
  images = [b"one", b"two", None]
  if named:
    images = [{"bytes": i, "path": f"{n}.jpg"} for n, i in enumerate(images)]
  file = tmp_path / "some.parquet"
  pq.write_table(pa.table({"image": images}), file, row_group_size=2)
  found = shards.find([str(tmp_path)], 10)
  read = [list(shards.read(shard)) for shard in found]
  assert [[data for _, data in rows] for rows in read] == [
    [b"one", b"two"],
    ["2.jpg" if named else b""],  # the file, where there are no bytes
  ]
  expected = ["0.jpg", "1.jpg"] if named else [f"{file}:0:0", f"{file}:0:1"]
  assert [name for name, _ in read[0]] == expected


def test_what_cannot_be_read_is_named(photos, tmp_path):
  with pytest.raises(FileNotFoundError, match=r"nothing\.jpg"):
    shards.find([str(photos / "nothing.jpg")], 5)
  file = tmp_path / "some.parquet"
  for columns, message in (
    ({"url": ["a"]}, r"has the columns url \(string\); expected path"),
    ({"path": [1], "image": [[1]]}, r"path \(int64\), image \(list"),
    ({"image": [{"bytes": "a"}]}, r"image \(struct<bytes: string>\)"),
    ({"path": pa.array([], pa.string())}, "no row names a photograph"),
    ({"image": pa.array([], pa.binary())}, "no row names a photograph"),
  ):
    pq.write_table(pa.table(columns), file)
    with pytest.raises(ValueError, match=message):
      shards.find([str(file)], 5)


@pytest.mark.parametrize("content", [b"", b"PAR1 but no more", b"PAR1" * 9])
def test_damaged_parquet_is_a_mistake_in_one_line(tmp_path, content):
  (tmp_path / "bad.parquet").write_bytes(content)
  with pytest.raises(ValueError, match=r"bad\.parquet is not a Par") as caught:
    shards.find([str(tmp_path)], 5)
  assert errors.is_user_error(caught.value)


def test_text_in_categories_is_text(tmp_path):
  paths = pa.array(["a.jpg", "b.jpg"]).dictionary_encode()
  pq.write_table(pa.table({"path": paths}), tmp_path / "a.parquet")
  assert names(shards.find([str(tmp_path)], 5)) == [["a.jpg", "b.jpg"]]


def test_a_run_goes_on_with_what_is_missing(tmp_path):
  found = [Shard([f"{n}.jpg"]) for n in range(3)]
  assert shards.start(tmp_path / "out", SETTINGS, found) == [0, 1, 2]
  table = pa.table({"path": ["1.jpg"]})
  shards.write(tmp_path / "out", 1, table)
  assert shards.start(tmp_path / "out", SETTINGS, found) == [0, 2]
  assert pq.read_table(tmp_path / "out").equals(table)  # the folder as one
  for settings, others, named in (
    (SETTINGS | {"nms": "none"}, found, "with other nms;"),
    (SETTINGS, found[:2], "with other shards, photographs_digest;"),
  ):
    with pytest.raises(ValueError, match=named):
      shards.start(tmp_path / "out", settings, others)


def test_errors_of_a_run_are_counted(tmp_path):
  for n, column in enumerate((["gone", None], [None], ["bad", "gone"])):
    table = pa.table({"error": pa.array(column, pa.string())})
    shards.write(tmp_path, n, table)
  assert shards.count_errors(tmp_path) == 3


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_description_of_a_run_is_named(tmp_path, content):
  (tmp_path / "_run.json").write_text(content)
  with pytest.raises(ValueError, match=r"_run\.json") as caught:
    shards.start(tmp_path, SETTINGS, [])
  assert errors.is_user_error(caught.value)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
  def fail(table, part):
    part.write_bytes(b"half")
    raise OSError(28, "No space left on device", str(part))

  monkeypatch.setattr(pq, "write_table", fail)
  with pytest.raises(OSError, match="No space"):
    shards.write(tmp_path, 0, pa.table({"path": ["a"]}))
  assert not list(tmp_path.iterdir())

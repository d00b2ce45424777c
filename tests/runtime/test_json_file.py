"""Json files in every encoding, and where a malformed one is wrong."""

import codecs
import pathlib
import re

import pytest

import darkjax
from darkjax.runtime.json_file import read_json

TEXT = '{"name": "Zoë 走",\n "score": 0.5}'
CONTENT = {"name": "Zoë 走", "score": 0.5}


@pytest.mark.parametrize(
  ("mark", "encoding"),
  [
    (b"", "utf-8"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (b"", "utf-16-le"),
    (b"", "utf-16-be"),
    (b"", "utf-32-le"),
    (b"", "utf-32-be"),
  ],
)
def test_every_encoding_of_unicode_is_read(tmp_path, mark, encoding):
  path = tmp_path / "a.json"
  path.write_bytes(mark + TEXT.encode(encoding))
  assert read_json(path) == CONTENT
  assert read_json(str(path)) == CONTENT


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (b"", "the file is empty"),
    (b" \n", "the file is empty"),
    (b'{"a": [1, 2,\n]}', r"line 2, column 1 \(.*take it out"),
    (b'{"a": 1,\n }', r"line 2, column 2 \(.*take it out"),
    (
      b'{"a": {"x": 1},\n "b": [{"x": 1},\n  {"id": 1, "id": 2}]}',
      r"line 3, column 3 \(.*key 'id' twice",
    ),
    (
      codecs.BOM_UTF16_LE + '{"é": 1, "é": 1}'.encode("utf-16-le"),
      r"line 1, column 1 \(.*key 'é' twice",
    ),
    (b'[1,\n 2,\n "x": 3]', r"line 3, column 5 \(.*delimiter"),
    (b"[1,\n 2", r"line 2, column 3 \(.*cut short"),
    (b"[1] [2]", r"line 1, column 5 \(Extra data.*several json values"),
    (b'{"a": 1}\n{"a": 2}\n', r"line 2, column 1 .*several json values"),
    (b"{'a': 1}", "double quotes and no comments"),
    (b'// labels\n{"a": 1}', "double quotes and no comments"),
    (b"\x1f\x8b\x08\x00", "a gzip archive: unpack it"),
    (b"PK\x03\x04\x14", "a zip archive: unpack it"),
    (b"\n<!DOCTYPE html>", "a web page or xml file"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (
      '{"a": 1,\n "na": "Zoë"}'.encode("cp1252"),
      r"line 2, column 11 \(byte 0xeb is not utf-8\); .*1252, .* is 'ë'",
    ),
    (
      codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1],
      "not utf-16.*cut short",
    ),
    (b"[" * 100_000, "recursion"),
    (b"1" * 5_000, "digits"),
  ],
)
def test_malformed_files_are_named_with_line_and_column(
  tmp_path, data, message
):
  path = tmp_path / "a.json"
  path.write_bytes(data)
  with pytest.raises(ValueError, match=rf"a\.json: not valid json.*{message}"):
    read_json(path)


def test_missing_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.json"):
    read_json(tmp_path / "none.json")


def test_rooms_that_read_users_files_have_no_other_reader():
  package = pathlib.Path(darkjax.__file__).parent
  rooms = ("data", "metrics", "viz", "inference", "evaluate", "predict")
  modules = [path for room in rooms for path in (package / room).rglob("*.py")]
  assert len(modules) > 50
  assert [
    p for p in modules if re.search(r"json\.load(s\(.*read_|\()", p.read_text())
  ] == []

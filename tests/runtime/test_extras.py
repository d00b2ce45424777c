"""Packages of extras: imported, or named with what needs them."""

import json.decoder
import sys

import pytest

from darkjax.runtime import errors, extras


def test_a_module_is_returned_by_its_dotted_name():
  decoder = extras.load("json.decoder", extra="a", purpose="this")
  assert decoder is json.decoder


@pytest.mark.parametrize("module", ["absent_package", "absent_package.part"])
def test_a_missing_package_is_a_mistake_in_one_line(module):
  with pytest.raises(ImportError) as caught:
    extras.load(module, extra="video", purpose="a webcam")
  assert errors.is_user_error(caught.value)
  assert errors.one_line(caught.value) == (
    f"a webcam needs {module}: pip install 'darkjax[video]'"
  )


def test_a_package_that_fails_says_why(tmp_path, monkeypatch):
  (tmp_path / "broken_package.py").write_text("import absent_of_broken")
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(
    ImportError,
    match=r"this needs broken_package, which cannot be imported "
    r"\(No module named 'absent_of_broken'\): pip install 'darkjax\[a\]'",
  ):
    extras.load("broken_package", extra="a", purpose="this")
  assert "broken_package" not in sys.modules

"""The pages of docs/: their Python runs, and prints what they say it does."""

import doctest
import importlib.util
import re

import pytest
from paths import ROOT

DOCS = ROOT / "docs"
PAGES = ("decoder.md", "decode_any_model.md")


def blocks(page: str) -> list[str]:
  """The Python blocks of a page, each after its line number in newlines."""
  text = (DOCS / page).read_text()
  return [
    "\n" * text[: found.start(1)].count("\n") + found[1]
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
  ]


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page_prints_what_it_says(page):
  names, left_out = {}, 0
  has_torch = importlib.util.find_spec("torch") is not None
  runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
  for block in blocks(page):
    if "torch" in block and not has_torch:
      left_out += 1
      continue
    test = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
    assert test.examples, f"{page} shows Python that no test can run:\n{block}"
    runner.run(test, clear_globs=False)
    names = test.globs
  assert runner.summarize(verbose=False).failed == 0
  if left_out:
    pytest.skip(f"{left_out} blocks need torch; the others hold")


def anchors(page: str) -> set[str]:
  """What GitHub calls the headings of a page, if they are plain words."""
  headings = re.findall(r"^#+ (.*)$", (DOCS / page).read_text(), re.M)
  plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
  return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
  links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", (DOCS / page).read_text())
  assert links
  for target, anchor in links:
    assert (DOCS / (target or page)).is_file(), f"{page} links to {target}"
    if anchor:
      assert anchor in anchors(target or page), f"{page} links to #{anchor}"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.*g")))
def test_pictures_are_small(path):
  assert path.stat().st_size < 150_000

"""The site of docs/ builds without warnings, and its API has every name."""

import importlib.util
import subprocess
import sys

import pytest
from paths import ROOT

import darkjax


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  if importlib.util.find_spec("sphinx") is None:
    pytest.skip("needs Sphinx: pip install 'darkjax[docs]'")
  folder = tmp_path_factory.mktemp("site")
  command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
  command += ["-d", folder / "doctrees", "-b", "html", ROOT / "docs", folder]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  return folder


def test_the_front_page_is_the_readme(site):
  page = (site / "index.html").read_text()
  first = (ROOT / "README.md").read_text().splitlines()[2]
  assert first.split(":")[0] in page
  assert "comparison.jpg" in page


def test_the_reference_has_every_public_name(site):
  text = "".join(p.read_text() for p in (site / "api").glob("*.html"))
  for name in darkjax.__all__:
    assert f'id="darkjax.{name}"' in text, name


def test_links_to_files_outside_lead_to_their_pages(site):
  assert 'href="contributing.html"' in (site / "index.html").read_text()
  assert (
    'href="../weights.html"'
    in (site / "results" / "longer_runs.html").read_text()
  )

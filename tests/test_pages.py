"""README and docs: their Python runs, and their commands are real ones.

Each Python block runs, and each command is run by this file or by the tests of
its script, unless a comment above the block says what it needs, as in
`<!-- needs COCO -->`. Its flags are checked even then.
"""

import doctest
import importlib
import importlib.util
import os
import re
import sys
import tomllib
import types

import commands
import pages
import pytest
from pages import DOCS, PAGES, ROOT

from darkjax.__main__ import COMMANDS
from darkjax.runtime import command

BASH = {
  f"{pages.name(page)}:{block.line}": block
  for page in PAGES
  for block in pages.blocks(page, "bash")
}
# Commands that take long, and the tests that call what they print.
CALLED_ELSEWHERE = {"models": "tests/models/test_cost.py"}
# Of ml_collections, when a configuration is read.
reads_configs = pytest.mark.filterwarnings(
  "ignore:the load_module:DeprecationWarning"
)
WITH_PYTHON = [page for page in PAGES if pages.blocks(page, "python")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """The working directory of the pages' commands, like a clone's."""
  for shown in ("configs", "docs"):
    (tmp_path / shown).symlink_to(ROOT / shown)
  (own,) = [
    block.text
    for block in pages.blocks(DOCS / "your_data.md", "python")
    if "def get_config" in block.text
  ]
  (tmp_path / "hands.py").write_text(own)
  monkeypatch.chdir(tmp_path)
  # As installed; a checkout has them beside the package.
  configs = types.ModuleType("darkjax.configs")
  configs.__path__ = [str(ROOT / "configs")]
  monkeypatch.setitem(sys.modules, "darkjax.configs", configs)
  return tmp_path


@pytest.mark.parametrize("page", WITH_PYTHON, ids=pages.name)
def test_python_of_a_page_runs_and_prints_what_it_says(page, folder):
  names, left_out = {}, 0
  has_torch = importlib.util.find_spec("torch") is not None
  runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
  for block in pages.blocks(page, "python"):
    if block.needs:
      continue
    if "torch" in block.text and not has_torch:
      left_out += 1
      continue
    source = "\n" * block.line + block.text
    if ">>>" in source:
      test = doctest.DocTestParser().get_doctest(
        source, names, page.name, str(page), 0
      )
      runner.run(test, clear_globs=False)
      names = test.globs
    else:
      exec(compile(source, str(page), "exec"), names)
  assert runner.summarize(verbose=False).failed == 0
  if left_out:
    pytest.skip(f"{left_out} blocks need torch; the others run")


def split(words: list[str]) -> tuple[str, list[str]]:
  """A darkjax command's name and its arguments; "" for other programs."""
  if words[0] == "darkjax":
    return words[1], words[2:]
  if words[:2] == ["python", "-m"] and words[2].startswith("darkjax."):
    return words[2].removeprefix("darkjax."), words[3:]
  return "", words


def script_flags(path: str) -> set[str]:
  """Names of the flags that a script and those it imports define, as patterns.

  Read from the source: some scripts import packages that are not installed.
  """
  source = (ROOT / path).read_text()
  for other in re.findall(r"^import (\w+)$", source, re.M):
    imported = ROOT / "scripts" / f"{other}.py"
    source += imported.read_text() if imported.is_file() else ""
  defined = re.findall(r"(?:DEFINE_|define\.)\w+\(\s*f?\"([^\"]+)\"", source)
  assert defined, f"{path} defines no flags"
  return {re.sub(r"{\w+}", r"\\w+", name) for name in defined}


def command_flags(name: str) -> set[str]:
  """Names of the flags that a command of darkjax defines."""
  text = commands.run(name, "--help").stdout
  return set(re.findall(r"^ +--(?:\[no\])?([\w-]+):", text, re.M))


def check_names(arguments: list[str], known: set[str]) -> None:
  """Fails for a flag that is not known; --noNAME and --NAME.FIELD are."""
  used = {a[2:].partition("=")[0] for a in arguments if a.startswith("--")}
  pattern = rf"(no)?({'|'.join(known)})(\..*)?|help"
  unknown = {f for f in used if not re.fullmatch(pattern, f.replace("-", "_"))}
  assert not {f for f in unknown if not re.fullmatch(pattern, f)}


def extras() -> dict[str, list[str]]:
  """The optional dependencies of pyproject.toml."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  return project["optional-dependencies"]


@reads_configs
@pytest.mark.parametrize("block", BASH)
def test_commands_of_a_page_have_the_flags_they_use(block, folder):
  for words in pages.commands(BASH[block].text):
    name, arguments = split(words)
    if name:
      module = importlib.import_module(COMMANDS[name])
      command.parse(module.define_flags, [name, *arguments])
    elif words[0] == "python":
      check_names(words[2:], script_flags(words[1]))
    elif words[0] == "bash":
      assert (ROOT / words[1]).is_file()
    else:
      assert words[:2] == ["pip", "install"], f"what is {words}?"
      for names in re.findall(r"^(?:\.|darkjax)\[([\w,]+)\]", words[-1]):
        assert set(names.split(",")) <= set(extras())


@reads_configs
@pytest.mark.parametrize("block", [n for n in BASH if not BASH[n].needs])
def test_commands_that_need_nothing_are_run(block, folder):
  for words in pages.commands(BASH[block].text):
    name, arguments = split(words)
    if name in CALLED_ELSEWHERE:
      assert (ROOT / CALLED_ELSEWHERE[name]).is_file()
    elif name:
      done = commands.run(name, *arguments)
      assert done.returncode == 0, done.stderr
    elif words[0] == "python":
      script = os.path.basename(words[1]).removesuffix(".py")
      tests = (ROOT / "tests" / "scripts").glob("*.py")
      assert any(re.search(rf"\b{script}\b", t.read_text()) for t in tests)


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_commands_in_the_text_have_the_flags_they_name(page):
  for words in pages.inline_commands(page):
    name, arguments = split(words)
    known = command_flags(name) if name else script_flags(words[1])
    check_names(arguments, known)


@pytest.mark.parametrize(
  "path", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda path: path.name
)
def test_shell_scripts_use_flags_that_exist(path):
  lines = path.read_text().replace("\\\n", " ").splitlines()
  for line in lines:
    found = re.match(r"\s*python -m darkjax\.([\w.]+) (.*)", line)
    if found:
      check_names(found[2].split(), command_flags(found[1]))


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_pages_name_extras_that_exist(page):
  for names in re.findall(r"darkjax\[([\w,]+)\]", page.read_text()):
    assert set(names.split(",")) <= set(extras()), names


def test_every_extra_is_documented():
  text = (DOCS / "install.md").read_text()
  assert set(re.findall(r"^\| `darkjax\[(\w+)\]`", text, re.M)) == set(extras())


def test_the_readme_is_short():
  assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def anchors(page) -> set[str]:
  """What GitHub calls the headings of a page, if they are plain words."""
  headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
  plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
  return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_what_a_page_links_to_is_there(page):
  links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text())
  for target, anchor in links:
    if target.startswith("https://"):
      continue
    path = page.parent / target if target else page
    assert path.exists(), f"links to {target}"
    if anchor:
      assert anchor in anchors(path), f"links to {target}#{anchor}"


def test_every_page_is_linked_from_another():
  texts = {page: page.read_text() for page in PAGES}
  for page in DOCS.rglob("*.md"):
    others = (text for other, text in texts.items() if other != page)
    assert any(page.name in text or page.stem in text for text in others)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.*g")))
def test_pictures_are_small(path):
  assert path.stat().st_size < 150_000

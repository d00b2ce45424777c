"""The Markdown pages of the repository, and the code that they show."""

import functools
import pathlib
import re
import shlex
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from paths import ROOT

DOCS = ROOT / "docs"
PAGES = [
  ROOT / "README.md",
  ROOT / "CONTRIBUTING.md",
  ROOT / "darkjax" / "assets" / "README.md",
  *sorted(DOCS.rglob("*.md")),
]
_BLOCK = re.compile(
  r"^(?: *<!-- needs (?P<needs>.*?) -->\n)?(?P<indent> *)```(?P<language>\w+)\n"
  r"(?P<text>.*?)^(?P=indent)```$",
  re.M | re.S,
)
# Loops of the shell, around the commands that the tests look at.
_SHELL = {"for", "done"}
# What the pages leave to their readers, and a value that the flags accept.
_VARIABLES = {"$i": "0", "$table": "1"}


class Block(NamedTuple):
  """A fenced block: its text, its first line, and what it needs to run."""

  text: str
  line: int
  needs: str | None


def name(page: pathlib.Path) -> str:
  """The page's path in the repository."""
  return page.relative_to(ROOT).as_posix()


@functools.cache
def blocks(page: pathlib.Path, language: str) -> list[Block]:
  """The blocks of a page in a language."""
  text = page.read_text()
  found = [m for m in _BLOCK.finditer(text) if m["language"] == language]
  return [
    Block(
      text=textwrap.dedent(m["text"]),
      line=text[: m.start("text")].count("\n"),
      needs=m["needs"],
    )
    for m in found
  ]


def commands(text: str) -> Iterator[list[str]]:
  """The commands of a shell script, as lists of words."""
  for line in text.replace("\\\n", " ").splitlines():
    for variable, value in _VARIABLES.items():
      line = line.replace(variable, value)
    words = shlex.split(line, comments=True)
    if words and words[0] not in _SHELL:
      yield words


def inline_commands(page: pathlib.Path) -> Iterator[list[str]]:
  """Commands in a page's running text and tables."""
  text = _BLOCK.sub("", page.read_text())
  for code in re.findall(r"`((?:darkjax|python) [^`]*--[^`]*)`", text):
    yield shlex.split(code.replace("\n", " "))

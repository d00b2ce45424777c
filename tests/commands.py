"""Commands called in this process: what they print, and their exit status."""

import contextlib
import io
from typing import NamedTuple
from unittest import mock

from darkjax.__main__ import COMMANDS
from darkjax.runtime import command


class Finished(NamedTuple):
  """As of a process: exit status, and its output as text."""

  returncode: int
  stdout: str
  stderr: str


def run(name: str, *arguments) -> Finished:
  """`darkjax NAME ARGUMENTS` without its set-up of logging and caches.

  Or a module of scripts/ by its name.
  """
  out, err = io.StringIO(), io.StringIO()
  status = 0
  with (
    mock.patch("darkjax.runtime.startup.start"),
    contextlib.redirect_stdout(out),
    contextlib.redirect_stderr(err),
  ):
    try:
      command.run_module(COMMANDS.get(name, name), [name, *map(str, arguments)])
    except SystemExit as end:
      status = end.code or 0
  return Finished(status, out.getvalue(), err.getvalue())

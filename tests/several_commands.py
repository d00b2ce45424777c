"""Runs commands of darkjax one after the other, as one of several processes.

Run by test_distributed.py with a json file: a list of [NAME, COMMAND,
ARGUMENTS...]. The first command joins the other processes. What a command
writes goes to NAME.log beside the file and ends with its exit status, also
where it would have ended the process; the last one ends it.
"""

import json
import os
import pathlib
import sys
from unittest import mock

from darkjax.__main__ import COMMANDS
from darkjax.runtime import command, distributed, startup


def main(path: pathlib.Path) -> None:
  distributed.start, startup.start = (
    once(distributed.start),
    once(startup.start),
  )
  *commands, last = json.loads(path.read_text())
  for name, *argv in commands:
    write_to(path.with_name(f"{name}.log"))
    with mock.patch("os._exit", sys.exit):
      try:
        run(argv)
      except SystemExit as end:
        slow = {"keras", "matplotlib", "pandas"} & set(sys.modules)
        print(f"needlessly imported: {slow or None}")
        print("exit status", end.code, flush=True)
  name, *argv = last
  write_to(path.with_name(f"{name}.log"))
  run(argv)


def once(function):
  left = [function]
  return lambda *args: left.pop()(*args) if left else None


def write_to(path: pathlib.Path) -> None:
  with path.open("w") as file:
    for stream in (1, 2):
      os.dup2(file.fileno(), stream)


def run(argv: list[str]) -> None:
  command.run_module(COMMANDS[argv[0]], argv)


if __name__ == "__main__":
  main(pathlib.Path(sys.argv[1]))

"""Frame of every command: flags, help, and errors that are one line.

A command is a module with `main(flags, arguments)` and
`define_flags(define)`, and ends in

    if __name__ == "__main__":
      command.run(main, define_flags)

A mistake of the user ends it with one line on stderr and exit status 2; with
`DARKJAX_TRACEBACK=1` in the environment, and for any fault of darkjax itself,
the traceback is shown.
"""

import functools
import importlib
import inspect
import os
import pathlib
import sys
import traceback
import types
from collections.abc import Callable, Sequence

from absl import flags as absl_flags
from ml_collections import config_flags

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
USER_ERROR = 2  # exit status

_DEFINERS = ("bool", "enum", "float", "integer", "list", "multi_string")

Define = types.SimpleNamespace
DefineFlags = Callable[[Define], None]
# What a command reads: one attribute per flag.
Flags = absl_flags.FlagValues
Main = Callable[[Flags, Sequence[str]], int | None]


def run(
  main: Main, define_flags: DefineFlags, argv: Sequence[str] | None = None
) -> None:
  """Runs a command and exits with its status.

  Args:
    main: takes the flags and the arguments that are not flags; returns the exit
      status, None for 0.
    define_flags: adds the command's flags.
    argv: the program's name and its arguments; default `sys.argv`.

  Raises:
    SystemExit: always; 2 after a user's mistake.
  """
  argv = list(sys.argv if argv is None else argv)
  if {"--help", "-h", "-help", "--helpfull"} & set(argv[1:]):
    print(_help(main, define_flags))
    sys.exit(0)
  try:
    values, arguments = parse(define_flags, argv)
    status = main(values, arguments)
  except Exception as error:
    if not is_user_error(error) or os.environ.get("DARKJAX_TRACEBACK") == "1":
      raise
    print(f"error: {error}", file=sys.stderr, flush=True)
    sys.exit(USER_ERROR)
  sys.exit(status)


def run_module(name: str, argv: Sequence[str] | None = None) -> None:
  """`run` for the command that a module holds, imported only now."""
  module = importlib.import_module(name)
  run(module.main, module.define_flags, argv)


def parse(
  define_flags: DefineFlags, argv: Sequence[str]
) -> tuple[Flags, list[str]]:
  """Returns the flags of a command line, and its other arguments.

  Raises:
    absl.flags.Error: unknown flags, or values that they refuse.
  """
  values = absl_flags.FlagValues()
  define_flags(_definer(values, argv))
  return values, values(list(argv))[1:]


def _definer(values: Flags, argv: Sequence[str] = ()) -> Define:
  """Absl's DEFINE functions by short names, bound to `values`."""
  bound = {
    name: functools.partial(
      getattr(absl_flags, f"DEFINE_{name}"), flag_values=values
    )
    for name in (*_DEFINERS, "string", "alias")
  }
  return Define(
    **bound,
    config=functools.partial(
      config_flags.DEFINE_config_file, flag_values=values, sys_argv=list(argv)
    ),
    check=functools.partial(absl_flags.register_validator, flag_values=values),
    required=functools.partial(
      absl_flags.mark_flags_as_required, flag_values=values
    ),
  )


def is_user_error(error: BaseException) -> bool:
  """Tells a user's mistake from a fault of the program.

  A file or folder that cannot be used, a flag, and what this package itself
  raises as ValueError, ImportError or FloatingPointError are the user's to
  correct; the same errors out of a library are faults.
  """
  if isinstance(error, absl_flags.Error):
    return True
  if isinstance(error, OSError):
    return error.filename is not None or _raised_here(error)
  kinds = ValueError | ImportError | FloatingPointError
  return isinstance(error, kinds) and _raised_here(error)


def _raised_here(error: BaseException) -> bool:
  frames = traceback.extract_tb(error.__traceback__)
  return bool(frames) and PACKAGE in pathlib.Path(frames[-1].filename).parents


def _help(main: Main, define_flags: DefineFlags) -> str:
  values = absl_flags.FlagValues()
  define_flags(_definer(values))
  text = inspect.getdoc(inspect.getmodule(main)) or ""
  return f"{text}\n\nflags:\n{values.get_help()}"

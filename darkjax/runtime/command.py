"""Frame of every command: its flags, its help, and how it ends.

A command is a module with `main(flags, arguments)` and
`define_flags(define)`, and ends in

    if __name__ == "__main__":
      command.run(main, define_flags)
"""

import functools
import importlib
import inspect
import io
import itertools
import pathlib
import re
import runpy
import sys
import textwrap
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags as absl_flags
from ml_collections.config_flags import config_flags

from darkjax.runtime import errors

_KINDS = ("bool", "enum", "float", "integer", "list", "multi_string", "string")

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
    main: of flags and other arguments; returns the exit status, None for 0.
    define_flags: adds the command's flags.
    argv: the program's name and its arguments; default `sys.argv`.

  Raises:
    SystemExit: always, but for a fault of darkjax, see errors.py.
  """
  argv = list(sys.argv if argv is None else argv)
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):  # names may hold what none prints
      stream.reconfigure(errors="backslashreplace")
  try:
    if {"--help", "-h", "-help", "--helpfull"} & set(argv[1:]):
      print(help_text(main, define_flags))
      status: int | None = 0
    else:
      status = main(*parse(define_flags, argv))
    sys.stdout.flush()  # so that a closed pipe is noticed here
  except (Exception, KeyboardInterrupt) as error:
    folder = pathlib.Path(inspect.getfile(main)).resolve().parent
    status = errors.explain(error, folder=folder)
    if status is None:
      raise
  sys.exit(status)


def run_module(name: str, argv: Sequence[str] | None = None) -> None:
  """`run` for the command that a module holds, imported only now."""
  module = importlib.import_module(name)
  run(module.main, module.define_flags, argv)


def parse(
  define_flags: DefineFlags, argv: Sequence[str]
) -> tuple[Flags, list[str]]:
  """Returns the flags of a command line, and its other arguments.

  Flags may be written with hyphens in place of underscores.

  Raises:
    absl.flags.Error: unknown, missing or refused flags or configurations.
  """
  argv = [
    re.sub(r"(?<=^--)[^=]+", lambda name: name[0].replace("-", "_"), text)
    for text in argv
  ]
  values, required = _define(define_flags, argv)
  _refuse_spaced_booleans(values, argv)
  try:
    arguments = values(argv)[1:]
  except (AttributeError, KeyError) as error:
    # How ml_collections refuses a field that the configuration does not have.
    text: Any = error
    while isinstance(text, BaseException):
      text = text.args[0]
    problem = f"unknown field in --config.FIELD: {text}"
    raise absl_flags.Error(problem) from error
  missing = [f"--{name}" for name in required if values[name].value is None]
  if missing:
    raise absl_flags.Error(f"missing {', '.join(missing)}; see --help")
  return values, arguments


def _refuse_spaced_booleans(values: Flags, argv: Sequence[str]) -> None:
  """Refuses `--flag false`, of which absl reads --flag, and false beside it."""
  for flag, word in itertools.pairwise(argv):
    name = flag.lstrip("-")
    is_boolean = flag != name and name in values and values[name].boolean
    if is_boolean and word.lower() in ("true", "false", "yes", "no"):
      raise absl_flags.Error(f"write --{name}={word}, got --{name} {word}")


def refuse_arguments(arguments: Sequence[str]) -> None:
  """Raises ValueError for what is no flag, in commands that take flags only."""
  if arguments:
    raise ValueError(
      f"got {' '.join(arguments)}, which is no flag; write --FLAG=VALUE"
    )


def _define(
  define_flags: DefineFlags, argv: Sequence[str] = ()
) -> tuple[Flags, list[str]]:
  """Returns a command's flags, not yet parsed, and the required ones' names."""
  values = absl_flags.FlagValues()
  required: list[str] = []

  def config(name: str, default: str | None, help_string: str) -> None:
    config_flags.DEFINE_config_file(
      name, default, help_string, flag_values=values, sys_argv=list(argv)
    )
    values[name].parser = _ConfigParser(name)

  functions = {kind: getattr(absl_flags, f"DEFINE_{kind}") for kind in _KINDS}
  functions["check"] = absl_flags.register_validator
  bound = {
    name: functools.partial(function, flag_values=values)
    for name, function in functions.items()
  }
  define_flags(Define(**bound, config=config, required=required.extend))
  return values, required


class _ConfigParser(config_flags.ConfigFileFlagParser):
  """Parser of `--config`, a file with `get_config`; errors are the user's."""

  def parse(self, path: str):
    file, variant = config_path(path)
    try:
      get_config = runpy.run_path(str(file))["get_config"]
      return get_config(*filter(None, [variant])).lock()
    except Exception as error:
      where = [
        f", line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
      ]
      kind = type(error).__name__ + "".join(where[-1:])
      raise ValueError(f"{kind}: {errors.one_line(error)}") from error


def config_path(name: str) -> tuple[pathlib.Path, str]:
  """Returns the file of a configuration and the variant asked for.

  Args:
    name: a path, or the name of a file in the checkout's configs/ or the
      installed `darkjax.configs`; a variant follows a colon.

  Raises:
    ValueError: no configuration has this name.
  """
  match = re.fullmatch(r"(.+?)(?::(\w+))?", name)
  if match is None:
    raise ValueError("expected a path or a name, got an empty one")
  stem, variant = match[1], match[2] or ""
  if not stem.isidentifier():
    return pathlib.Path(stem), variant
  folder = errors.PACKAGE / "configs"
  if not folder.is_dir():
    folder = errors.PACKAGE.parent / "configs"
  path = folder / f"{stem}.py"
  if not path.is_file():
    names = sorted(file.stem for file in folder.glob("[!_]*.py"))
    raise ValueError(
      f"no configuration {stem!r}: expected the path of a file, such as "
      f"./{stem}.py, or one of {', '.join(names)}"
    )
  return path, variant


def help_text(main: Main, define_flags: DefineFlags) -> str:
  """Returns the help of a command: its module's docstring and its flags."""
  values, required = _define(define_flags)
  lines = [_describe_flag(values[n], required=n in required) for n in values]
  text = inspect.getdoc(inspect.getmodule(main)) or ""
  return "\n".join([text, "", "Flags:", *(lines or ["  none"])])


def _describe_flag(flag: absl_flags.Flag, *, required: bool) -> str:
  name = f"[no]{flag.name}" if flag.boolean else flag.name
  default = (flag.default_as_str or "").strip("'")
  notes = [flag.parser.syntactic_help, f"default: {default}" if default else ""]
  notes = ["required"] if required else [*filter(None, notes)]
  # absl appends how to repeat a flag on lines of its own.
  text = " ".join(flag.help.split()) + f" ({', '.join(notes)})" * bool(notes)
  return textwrap.fill(
    f"--{name}: {text}",
    width=80,
    initial_indent="  ",
    subsequent_indent="      ",
    break_on_hyphens=False,
  )

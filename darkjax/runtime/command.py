"""Frame of every command: flags, help, exit status, and one-line errors.

A command is a module with `main(flags, arguments)` and
`define_flags(define)`, and ends in

    if __name__ == "__main__":
      command.run(main, define_flags)

A user's mistake ends it with one line on stderr and exit status 2, Ctrl-C with
130. A fault of darkjax itself shows its traceback, and with
`DARKJAX_TRACEBACK=1` in the environment so does a mistake.
"""

import functools
import importlib
import inspect
import os
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

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# Exit statuses, as shells and other programs use them.
USER_ERROR, INTERRUPTED, CLOSED_PIPE = 2, 130, 141

# What the extra `train` adds to an installation, by the name of the module.
_TRAIN_PACKAGES = {
  "pycocotools": "pycocotools",
  "tensorboard": "TensorBoard",
  "tensorflow": "TensorFlow",
  "tensorflow_datasets": "TensorFlow Datasets",
}

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
    SystemExit: always, but for a fault of darkjax.
  """
  argv = list(sys.argv if argv is None else argv)
  try:
    if {"--help", "-h", "-help", "--helpfull"} & set(argv[1:]):
      print(help_text(main, define_flags))
      status = 0
    else:
      values, arguments = parse(define_flags, argv)
      status = main(values, arguments)
    sys.stdout.flush()  # so that a closed pipe is noticed here
  except (Exception, KeyboardInterrupt) as error:
    status = explain(error)
    if status is None:
      raise
  sys.exit(status)


def run_module(name: str, argv: Sequence[str] | None = None) -> None:
  """`run` for the command that a module holds, imported only now."""
  try:
    module = importlib.import_module(name)
  except ImportError as error:
    status = explain(error)
    if status is None:
      raise
    sys.exit(status)
  run(module.main, module.define_flags, argv)


def explain(error: BaseException, prefix: str = "error") -> int | None:
  """Prints what ended a command as one line, if it was not a fault of darkjax.

  Args:
    error: that ended it.
    prefix: of the line.

  Returns:
    The exit status, or None for an error whose traceback is to be shown.
  """
  if isinstance(error, BrokenPipeError) and error.filename is None:
    # The reader of our output is gone, as in `| head`: no more of it, not even
    # what the interpreter flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return CLOSED_PIPE
  if os.environ.get("DARKJAX_TRACEBACK") == "1":
    return None
  if isinstance(error, KeyboardInterrupt):
    print("interrupted", file=sys.stderr, flush=True)
    return INTERRUPTED
  if not is_user_error(error):
    return None
  print(f"{prefix}: {_one_line(error)}", file=sys.stderr, flush=True)
  return USER_ERROR


def parse(
  define_flags: DefineFlags, argv: Sequence[str]
) -> tuple[Flags, list[str]]:
  """Returns the flags of a command line, and its other arguments.

  Flags may be written with hyphens in place of underscores.

  Raises:
    absl.flags.Error: unknown flags, values that they refuse, a configuration
      that cannot be read or has no such field.
  """
  argv = [_with_underscores(argument) for argument in argv]
  values = absl_flags.FlagValues()
  define = _definer(values, argv)
  define_flags(define)
  try:
    arguments = values(argv)[1:]
  except (AttributeError, KeyError) as error:
    # How ml_collections refuses a field that the configuration does not have.
    text: Any = error
    while isinstance(text, BaseException):
      text = text.args[0]
    raise absl_flags.Error(
      f"unknown field in --config.FIELD: {text}"
    ) from error
  missing = [f"--{n}" for n in define.required_names if values[n].value is None]
  if missing:
    raise absl_flags.Error(f"missing {', '.join(missing)}; see --help")
  return values, arguments


def _with_underscores(argument: str) -> str:
  if not argument.startswith("--"):
    return argument
  name, equals, value = argument.partition("=")
  return "--" + name[2:].replace("-", "_") + equals + value


def _definer(values: Flags, argv: Sequence[str] = ()) -> Define:
  """Absl's DEFINE functions by short names, bound to `values`."""
  bound = {
    name: functools.partial(
      getattr(absl_flags, f"DEFINE_{name}"), flag_values=values
    )
    for name in (*_DEFINERS, "string")
  }
  required_names: list[str] = []
  return Define(
    **bound,
    config=functools.partial(_define_config, values=values, argv=list(argv)),
    check=functools.partial(absl_flags.register_validator, flag_values=values),
    required=required_names.extend,
    required_names=required_names,
  )


def _define_config(name: str, default, help_string: str, *, values, argv):
  config_flags.DEFINE_config_file(
    name, default, help_string, flag_values=values, sys_argv=argv
  )
  values[name].parser = _ConfigParser(name)


class _ConfigParser(config_flags.ConfigFileFlagParser):
  """Parser of `--config`: a file whose `get_config` returns the configuration.

  Everything that goes wrong in it is the user's to correct.
  """

  def parse(self, path: str):
    path, variant = config_path(path)
    try:
      get_config = runpy.run_path(str(path))["get_config"]
      return get_config(*filter(None, [variant])).lock()
    except Exception as error:
      lines = [
        f", line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
      ]
      where = lines[-1] if lines else ""
      raise ValueError(
        f"{type(error).__name__}{where}: {_one_line(error)}"
      ) from error


def config_path(name: str) -> tuple[pathlib.Path, str]:
  """Returns the file of a configuration and the variant asked for.

  Args:
    name: a path, or a name as in "coco_hrnet_w32_256x192", which is a file of
      the checkout's configs/ or of the installed `darkjax.configs`; a variant
      follows a colon, as in "NAME:biased".

  Raises:
    ValueError: no configuration has this name.
  """
  match = re.fullmatch(r"(.+?)(?::(\w+))?", name)
  if match is None:
    raise ValueError("expected a path or a name, got an empty one")
  stem, variant = match[1], match[2] or ""
  if not stem.isidentifier():
    return pathlib.Path(stem), variant
  folder = PACKAGE / "configs"
  if not folder.is_dir():
    folder = PACKAGE.parent / "configs"
  path = folder / f"{stem}.py"
  if not path.is_file():
    names = sorted(file.stem for file in folder.glob("[!_]*.py"))
    raise ValueError(
      f"no configuration {stem!r}: expected the path of a file, such as "
      f"./{stem}.py, or one of {', '.join(names)}"
    )
  return path, variant


def is_user_error(error: BaseException) -> bool:
  """Tells a user's mistake from a fault of darkjax.

  A mistake is a file or folder that cannot be used, a flag, a missing package
  of the extra `train`, or what a `raise` in this package says as one of the
  types below; out of a library the same types are faults.
  """
  if isinstance(error, absl_flags.Error) or _lacks_train(error):
    return True
  if isinstance(error, OSError) and error.filename is not None:
    return True
  kinds = OSError | ValueError | ImportError | FloatingPointError | RuntimeError
  if not isinstance(error, kinds):
    return False
  frames = traceback.extract_tb(error.__traceback__)
  # JAX removes its own frames, so that the file alone does not tell.
  return (
    bool(frames)
    and PACKAGE in pathlib.Path(frames[-1].filename).parents
    and (frames[-1].line or "").startswith("raise")
  )


def _lacks_train(error: BaseException) -> str | None:
  """Returns the package of the extra `train` that is not installed, if so."""
  if not isinstance(error, ModuleNotFoundError) or error.name is None:
    return None
  return _TRAIN_PACKAGES.get(error.name.partition(".")[0])


def _one_line(error: BaseException) -> str:
  missing = _lacks_train(error)
  if missing:
    return f"this needs {missing}: pip install 'darkjax[train]'"
  if isinstance(error, OSError) and error.filename is not None:
    return f"{error.filename}: {error.strerror}"
  return " ".join(str(error).split())


def help_text(main: Main, define_flags: DefineFlags) -> str:
  """Returns the help of a command: its module's docstring and its flags."""
  values = absl_flags.FlagValues()
  define = _definer(values)
  define_flags(define)
  lines = [
    _describe_flag(values[name], required=name in define.required_names)
    for name in values
  ]
  text = inspect.getdoc(inspect.getmodule(main)) or ""
  return "\n".join([text, "", "Flags:", *(lines or ["  none"])])


def _describe_flag(flag: absl_flags.Flag, *, required: bool) -> str:
  name = f"[no]{flag.name}" if flag.boolean else flag.name
  default = (flag.default_as_str or "").strip("'")
  notes = [flag.parser.syntactic_help, f"default: {default}" if default else ""]
  notes = ["required"] if required else [*filter(None, notes)]
  # absl appends how to repeat a flag on lines of its own.
  text = " ".join(flag.help.split()) + (f" ({', '.join(notes)})" * bool(notes))
  return textwrap.fill(
    f"--{name}: {text}",
    width=80,
    initial_indent="  ",
    subsequent_indent="      ",
    break_on_hyphens=False,
  )

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
from ml_collections.config_flags import config_flags

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
USER_ERROR = 2  # exit status

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
    print(f"error: {_message(error)}", file=sys.stderr, flush=True)
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
    config=functools.partial(_define_config, values=values, argv=list(argv)),
    check=functools.partial(absl_flags.register_validator, flag_values=values),
    required=functools.partial(
      absl_flags.mark_flags_as_required, flag_values=values
    ),
  )


class _ConfigParser(config_flags.ConfigFileFlagParser):
  """Parser of `--config`, which also takes the name of a packaged file."""

  def parse(self, path: str):
    return super().parse(config_path(path))


def _define_config(name: str, default, help_string: str, *, values, argv):
  config_flags.DEFINE_config_file(
    name, default, help_string, flag_values=values, sys_argv=argv
  )
  values[name].parser = _ConfigParser(name=name)


def config_path(name: str) -> str:
  """Returns the file of a configuration, given by name or as a path.

  Args:
    name: a path, or a name as in "coco_hrnet_w32_256x192", which is a file of
      the checkout's configs/ or of the installed `darkjax.configs`. An option
      after a colon, as in "NAME:biased", is kept.

  Raises:
    ValueError: no configuration has this name.
  """
  stem, colon, option = name.partition(":")
  if not stem.isidentifier():
    return name
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
  return f"{path}{colon}{option}"


def is_user_error(error: BaseException) -> bool:
  """Tells a user's mistake from a fault of the program.

  A file or folder that cannot be used, a flag, and what this package itself
  raises as ValueError, ImportError or FloatingPointError are the user's to
  correct, and so is an installation without the extra `train`; the same errors
  out of a library are faults.
  """
  if isinstance(error, absl_flags.Error) or _lacks_train(error):
    return True
  if isinstance(error, OSError):
    return error.filename is not None or _raised_here(error)
  kinds = ValueError | ImportError | FloatingPointError
  return isinstance(error, kinds) and _raised_here(error)


def _lacks_train(error: BaseException) -> str | None:
  """Returns the package of the extra `train` that is not installed, if so."""
  if not isinstance(error, ModuleNotFoundError) or error.name is None:
    return None
  return _TRAIN_PACKAGES.get(error.name.partition(".")[0])


def _message(error: BaseException) -> str:
  missing = _lacks_train(error)
  if missing:
    return f"this needs {missing}: pip install 'darkjax[train]'"
  return str(error)


def _raised_here(error: BaseException) -> bool:
  frames = traceback.extract_tb(error.__traceback__)
  return bool(frames) and PACKAGE in pathlib.Path(frames[-1].filename).parents


def _help(main: Main, define_flags: DefineFlags) -> str:
  values = absl_flags.FlagValues()
  define_flags(_definer(values))
  text = inspect.getdoc(inspect.getmodule(main)) or ""
  return f"{text}\n\nflags:\n{values.get_help()}"

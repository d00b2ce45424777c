"""Errors that end a command: a user's mistake in one line, a fault in full.

A mistake ends it with exit status 2 and Ctrl-C with 130. A fault of darkjax
itself shows its traceback, and with `DARKJAX_TRACEBACK=1` in the environment so
does a mistake.
"""

import os
import pathlib
import sys
import traceback

from absl import flags as absl_flags

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


def explain(
  error: BaseException,
  prefix: str = "error",
  *,
  folder: pathlib.Path = PACKAGE,
) -> int | None:
  """Prints in one line what ended a command, unless it is a fault of darkjax.

  Args:
    error: what was raised.
    prefix: begins the line.
    folder: of the command; what modules in it raise may be a user's mistake.

  Returns:
    The exit status, or None for an error whose traceback is to be shown.
  """
  if isinstance(error, BrokenPipeError) and error.filename is None:
    # The reader of the output is gone, as with `| head`. Nothing more goes
    # there, not even what the interpreter flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return CLOSED_PIPE
  if os.environ.get("DARKJAX_TRACEBACK") == "1":
    return None
  if isinstance(error, KeyboardInterrupt):
    print("interrupted", file=sys.stderr, flush=True)
    return INTERRUPTED
  if not is_user_error(error, folder):
    return None
  print(f"{prefix}: {one_line(error)}", file=sys.stderr, flush=True)
  return USER_ERROR


def is_user_error(error: BaseException, folder: pathlib.Path = PACKAGE) -> bool:
  """Tells a user's mistake from a fault of darkjax.

  Mistakes are flags, unusable files, a missing package of the extra `train` and
  the types below from a `raise` in this package or the folder of a command, not
  out of a library.
  """
  if isinstance(error, absl_flags.Error) or _lacks_train(error):
    return True
  if isinstance(error, OSError) and error.filename is not None:
    return True
  kinds = OSError | ValueError | ImportError | FloatingPointError | RuntimeError
  if not isinstance(error, kinds):
    return False
  *_, last = traceback.extract_tb(error.__traceback__)
  # JAX removes its own frames, so that the file alone does not tell.
  ours = {PACKAGE, folder}.intersection(
    pathlib.Path(last.filename).resolve().parents
  )
  return bool(ours) and (last.line or "").startswith("raise")


def one_line(error: BaseException) -> str:
  """Returns the message of an error without line breaks."""
  missing = _lacks_train(error)
  if missing:
    return f"this needs {missing}: pip install 'darkjax[train]'"
  if isinstance(error, OSError) and error.filename is not None:
    return f"{error.filename}: {error.strerror}"
  return " ".join(str(error).split())


def _lacks_train(error: BaseException) -> str | None:
  """Returns the package of the extra `train` that is not installed, if so."""
  if not isinstance(error, ModuleNotFoundError) or error.name is None:
    return None
  return _TRAIN_PACKAGES.get(error.name.partition(".")[0])

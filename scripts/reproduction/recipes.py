"""Configuration of a training command, compared with that of a run."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import ml_collections

from darkjax.runtime import command
from darkjax.train import resume

# How often a run logs and saves, which does not change its result.
_FREE = (
  "train.log_every_steps",
  "train.checkpoint_every_epochs",
  "train.keep_checkpoints",
)


def recipe(arguments: Sequence[str]) -> dict[str, Any]:
  """Returns the configuration of `python -m darkjax.train ARGUMENTS`.

  By dotted name, without the paths of a machine and how often a run logs.

  Raises:
    absl.flags.Error: an unknown field, or a wrong value.
  """
  flags, _ = command.parse(_define_flags, ["train", *arguments])
  return _fields(json.loads(flags.config.to_json_best_effort()))


def _define_flags(define: command.Define) -> None:
  define.config("config", None, "Configuration.")
  define.string("workdir", None, "Folder of the run.")


def changes(folder: pathlib.Path, expected: dict[str, Any]) -> list[str]:
  """Returns the differences of a run, which need not exist, from a recipe.

  Fields that the run's version did not have are ignored.
  """
  path = folder / "config.json"
  if not path.exists():
    return []
  there = _fields(json.loads(path.read_text()))
  return [
    f"{name} was {there[name]}, is now {expected[name]}"
    for name in sorted(there.keys() & expected)
    if there[name] != expected[name]
  ]


def _fields(content: dict[str, Any]) -> dict[str, Any]:
  fields = resume.shared_fields(ml_collections.ConfigDict(content))
  return {name: value for name, value in fields.items() if name not in _FREE}

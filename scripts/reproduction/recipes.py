"""What a training command sets, and whether a folder was trained that way."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import config_path  # noqa: F401 so that configs/ is found
import ml_collections
from absl import flags
from ml_collections import config_flags

from darkjax.train import resume

# How often a run speaks and saves, which changes nothing of what it learns.
_FREE = (
  "train.log_every_steps",
  "train.checkpoint_every_epochs",
  "train.keep_checkpoints",
)


def recipe(arguments: Sequence[str]) -> dict[str, Any]:
  """The configuration that flags of darkjax.train make, by dotted name.

  Left out is where a machine has its files, and how often a run speaks.

  Args:
    arguments: as in `python -m darkjax.train ARGUMENTS`.

  Raises:
    absl.flags.Error, AttributeError: a field that configurations do not have,
      or a value it cannot have.
  """
  values, line = flags.FlagValues(), ["train", *arguments]
  holder = config_flags.DEFINE_config_file(
    "config", flag_values=values, sys_argv=line
  )
  flags.DEFINE_string("workdir", None, "", flag_values=values)
  values(line)
  return _fields(json.loads(holder.value.to_json_best_effort()))


def changes(folder: pathlib.Path, wanted: dict[str, Any]) -> list[str]:
  """What of a recipe the run in a folder did otherwise.

  Args:
    folder: workdir of a run, which need not be there yet.
    wanted: from `recipe`.

  Returns:
    Sentences; fields that the run's version did not have do not count.
  """
  path = folder / "config.json"
  if not path.exists():
    return []
  there = _fields(json.loads(path.read_text()))
  return [
    f"{name} was {there[name]}, is now {wanted[name]}"
    for name in sorted(there.keys() & wanted)
    if there[name] != wanted[name]
  ]


def _fields(content: dict[str, Any]) -> dict[str, Any]:
  fields = resume.shared_fields(ml_collections.ConfigDict(content))
  return {name: value for name, value in fields.items() if name not in _FREE}

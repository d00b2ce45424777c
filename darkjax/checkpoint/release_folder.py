"""A release: a folder of model.safetensors and config.json, to hand on.

The weights are a file of `weight_file`, complete without the other. config.json
shows people and programs what they are: convention with the skeleton, model,
calibration, licence and metrics.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from darkjax.checkpoint import weight_file
from darkjax.checkpoint.metadata import Metadata
from darkjax.runtime import files
from darkjax.runtime.json_file import read_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"
# Fields of config.json that are the weights' own.
_OF_WEIGHTS = ("convention", "model", "calibration")


def write(
  folder: str | pathlib.Path,
  variables: Any,
  metadata: Metadata,
  *,
  licence: str,
  metrics: Mapping[str, float],
) -> None:
  """Writes a release that `read` understands.

  Args:
    folder: a new or empty one, or that of a release, which is replaced.
    variables: {"params": ..., "batch_stats": ...}.
    metadata: of the weights; its config is left out.
    licence: how the weights may be used.
    metrics: name to number.

  Raises:
    ValueError: an empty licence, a folder of something else, or see
      `weight_file.write`.
  """
  folder = pathlib.Path(folder)
  if not licence.strip():
    raise ValueError(
      "a release says how its weights may be used: --licence='Apache-2.0', or "
      "'research only' where the photographs ask for it"
    )
  if folder.exists() and not is_release(folder) and any(folder.iterdir()):
    raise ValueError(f"{folder} holds something else; name a new folder")
  metadata = metadata._replace(config={})
  weight_file.write(folder / WEIGHTS, variables, metadata)
  fields = metadata.to_json() | {"licence": licence, "metrics": dict(metrics)}
  del fields["config"]
  text = json.dumps(fields, indent=2, ensure_ascii=False)
  files.write_whole(folder / CONFIG, f"{text}\n".encode())


def is_release(folder: str | pathlib.Path) -> bool:
  """Returns whether a folder has the weights of one.

  The folder of a run has a config.json too.
  """
  return (pathlib.Path(folder) / WEIGHTS).is_file()


def read(folder: str | pathlib.Path) -> tuple[dict[str, Any], Metadata]:
  """Reads what `write` wrote.

  Returns:
    ({"params": ..., "batch_stats": ...} of float32 arrays, metadata).

  Raises:
    FileNotFoundError: the description is missing.
    ValueError: one of the files is damaged, or they do not belong together.
  """
  folder = pathlib.Path(folder)
  if not (folder / CONFIG).is_file():
    raise FileNotFoundError(
      f"{folder} has no {CONFIG}: a release of darkjax is a folder of "
      f"{WEIGHTS} and {CONFIG}; copy or download both"
    )
  described = read_json(folder / CONFIG)
  if not isinstance(described, Mapping):
    raise ValueError(
      f"{folder / CONFIG} describes a release in an object, got "
      f"{type(described).__name__}"
    )
  variables, metadata = weight_file.read(folder / WEIGHTS)
  own = json.loads(json.dumps(metadata.to_json()))
  for name in _OF_WEIGHTS:
    if described.get(name) != own[name]:
      raise ValueError(
        f"{folder / CONFIG}: its {name} is not that of {WEIGHTS}; the two "
        "files are of different releases, or one was edited"
      )
  return variables, metadata

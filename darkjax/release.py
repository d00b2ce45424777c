"""Weights of a run to hand on: `python -m darkjax.release`.

    python -m darkjax.release --checkpoint=runs/NAME --out=NAME --licence=TEXT
    python -m darkjax.release --checkpoint=runs/NAME --out=NAME.safetensors

The first writes a folder of model.safetensors and config.json, which
`Pose.from_pretrained` reads from the disk or, uploaded, from the Hugging Face
hub; the second one small file. Both hold the parameters in half precision, the
convention, the model's name and the calibration, and are read wherever a
checkpoint's folder is. The configuration of the training, which names folders
of the machine, is left out, so an evaluation needs --annotations and --images.
"""

import logging
import pathlib

import numpy as np

from darkjax import checkpoint
from darkjax.checkpoint import release_folder, weight_file
from darkjax.runtime import command, json_file, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments) -> None:
  """Writes the folder or the file."""
  command.refuse_arguments(arguments)
  startup.start()
  path = pathlib.Path(flags.out)
  is_file = path.suffix == weight_file.SUFFIX
  metrics = _read_metrics(flags.metrics)
  variables, metadata = checkpoint.load(flags.checkpoint)
  if is_file:
    checkpoint.save_file(path, variables, metadata._replace(config={}))
  else:
    checkpoint.save_release(
      path, variables, metadata, licence=flags.licence, metrics=metrics
    )
  weights = path if is_file else path / release_folder.WEIGHTS
  _LOG.info("%s: %.2f MB", path, weights.stat().st_size / 1e6)


def _read_metrics(path: str | None) -> dict[str, float]:
  """Returns the finite numbers that evaluate wrote, {} without a file."""
  metrics = json_file.read_json(path) if path else {}
  numbers = isinstance(metrics, dict) and all(
    isinstance(value, int | float) for value in metrics.values()
  )
  if not numbers:
    raise ValueError(
      f"{path}: metrics are an object of numbers by name, as darkjax evaluate "
      "--metrics=FILE writes them"
    )
  return {n: value for n, value in metrics.items() if np.isfinite(value)}


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("checkpoint", None, "Folder of a run, or weights.")
  define.string(
    "out",
    None,
    f"Folder to write, or with the ending {weight_file.SUFFIX} one file.",
  )
  define.string("licence", "", "How the weights may be used; for a folder.")
  define.string(
    "metrics", None, "Json of evaluate --metrics, to put into the folder."
  )
  define.required(["checkpoint", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)

"""Weights of a run as one small file: `python -m darkjax.release`.

    python -m darkjax.release --checkpoint=runs/NAME --out=NAME.safetensors

The file holds the parameters in half precision, the convention and the model's
name, and is read wherever a checkpoint's folder is. The configuration of the
training, which names folders of the machine, is left out, so an evaluation
needs --annotations and --images.
"""

import logging
import pathlib

from darkjax import checkpoint
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments) -> None:
  """Writes the file."""
  del arguments
  startup.start()
  path = pathlib.Path(flags.out)
  path.parent.mkdir(parents=True, exist_ok=True)
  variables, metadata = checkpoint.load(flags.checkpoint)
  checkpoint.save_file(path, variables, metadata._replace(config={}))
  _LOG.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("checkpoint", None, "Folder of a run, or file of weights.")
  define.string("out", None, "File to write, .safetensors.")
  define.required(["checkpoint", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)

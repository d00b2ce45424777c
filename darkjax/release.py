"""Weights of a run as one small file: `python -m darkjax.release`.

    python -m darkjax.release --checkpoint=runs/NAME --out=NAME.npz

The file holds the parameters in half precision, the convention they were
trained with and the model's name, and goes wherever a checkpoint's folder goes:
`--checkpoint=NAME.npz`, `Pose.from_checkpoint`, `--config.pretrained`. The
configuration of the training, which names folders of the machine, stays behind,
so that an evaluation must be told its data (--annotations, --images).
"""

import logging
import pathlib
from collections.abc import Sequence

from absl import app, flags

from darkjax import checkpoint, startup

_LOG = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> None:
  """Writes the file."""
  del argv
  startup.start()
  path = pathlib.Path(flags.FLAGS.out)
  path.parent.mkdir(parents=True, exist_ok=True)
  variables, metadata = checkpoint.load(flags.FLAGS.checkpoint)
  checkpoint.save_file(path, variables, metadata.convention, metadata.model)
  _LOG.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
  flags.DEFINE_string(
    "checkpoint", None, "Folder of a run or of weights.", required=True
  )
  flags.DEFINE_string("out", None, "File to write, .npz.", required=True)
  app.run(main)

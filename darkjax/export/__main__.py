"""Export: `python -m darkjax.export --checkpoint=DIR --format=onnx --out=DIR`.

One file takes any number of uint8 crops and returns keypoints in crop pixels
and scores; normalization, the flip test and the decoder are inside.
darkjax.json beside it describes input and output.

  stablehlo  model.stablehlo, for `jax.export.deserialize` without darkjax, on
             CPU, CUDA and TPU
  onnx       model.onnx, for ONNX Runtime; `pip install "darkjax[onnx]"`
  savedmodel a folder for `tf.saved_model.load`; not for converters of
             TensorFlow's own operations (TFLite), as XLA runs inside

Results are those of the Python call; on float32 weights a runtime's rounding
changes them by less than 1e-3 crop pixels.
"""

import logging
from collections.abc import Sequence

from darkjax.convention import METHODS
from darkjax.export import description, formats
from darkjax.heatmaps.options import BORDERS
from darkjax.inference.predictor import Predictor
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments: Sequence[str]) -> None:
  """Exports a checkpoint."""
  command.refuse_arguments(arguments)
  startup.start()
  predictor = Predictor.from_checkpoint(
    flags.checkpoint,
    flags.step,
    method=flags.method,
    border=flags.border,
    flip_test=flags.flip_test,
    covariances=flags.covariances,
  )
  path = formats.write(predictor, flags.out, format=flags.format)
  files = [path, *path.rglob("*")]
  size = sum(file.stat().st_size for file in files if file.is_file())
  _LOG.info("%s: %.1f MB, described in %s", path, size / 1e6, description.NAME)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("checkpoint", None, "Folder of a run or of weights.")
  define.integer("step", None, "Step of the run; default: the latest.")
  define.string("format", None, f"One of {', '.join(formats.FORMATS)}.")
  define.string("out", None, "New folder to write to.")
  define.enum(
    "method", None, METHODS, "Decoder; default: the one for the network's head."
  )
  define.enum("border", "refine", BORDERS, "DARK: how to treat the border.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.bool("covariances", False, "Add columns xx, xy, yy of the covariance.")
  define.required(["checkpoint", "format", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)

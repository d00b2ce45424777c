"""Export: `python -m darkjax.export --checkpoint=DIR --format=onnx --out=DIR`.

The whole graph leaves JAX in one file: uint8 crops in, keypoints in crop pixels
and scores out; normalising, the flip test and the decoder are inside, and the
number of crops is open. Beside it lies darkjax.json, which says what to feed.

  stablehlo  model.stablehlo, for `jax.export.deserialize` without darkjax, on
             CPU, CUDA and TPU
  onnx       model.onnx, for ONNX Runtime; `pip install "darkjax[onnx]"`
  savedmodel a folder for `tf.saved_model.load`; XLA runs inside TensorFlow, so
             that converters of TensorFlow's own operations (TFLite) cannot
             read it

Arithmetic is that of the Python call; what a runtime rounds otherwise is below
1e-3 crop pixels on float32 weights.
"""

import logging

from darkjax import inference
from darkjax.export import description, formats
from darkjax.heatmaps import decode
from darkjax.inference.predictor import Graph
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments) -> None:
  """Exports what the flags name."""
  del arguments
  startup.start()
  graph = Graph.from_checkpoint(
    flags.checkpoint,
    step=flags.step,
    method=flags.method,
    border=flags.border,
    flip_test=flags.flip_test,
    covariances=flags.covariances,
  )
  path = formats.write(graph, flags.out, format=flags.format)
  files = [path, *path.rglob("*")]
  size = sum(file.stat().st_size for file in files if file.is_file())
  _LOG.info("%s: %.1f MB, described in %s", path, size / 1e6, description.NAME)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.string("checkpoint", None, "Folder of a run or of weights.")
  define.integer("step", None, "Which step of it; default: the latest.")
  define.string("format", None, f"One of {', '.join(formats.FORMATS)}.")
  define.string("out", None, "New folder of what is written.")
  define.enum("method", "dark", inference.METHODS, "Decoder.")
  define.enum("border", "refine", decode.BORDERS, "Of the dark decoder.")
  define.bool("flip_test", True, "Average with the mirrored crop.")
  define.bool("covariances", False, "Add columns xx, xy, yy.")
  define.required(["checkpoint", "format", "out"])


if __name__ == "__main__":
  command.run(main, define_flags)

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

import functools
import json
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
from jax import export as jax_export

from darkjax.export import description
from darkjax.inference.onnx.convert import to_onnx
from darkjax.inference.predictor import Graph

_LOG = logging.getLogger(__name__)

# File or folder of each format.
FORMATS = {
  "stablehlo": "model.stablehlo",
  "onnx": "model.onnx",
  "savedmodel": "savedmodel",
}
PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
  graph: Graph, *, platforms: Sequence[str] = PLATFORMS
) -> bytes:
  """Serialises a graph for `jax.export.deserialize`.

  Args:
    graph: what is exported.
    platforms: that it will run on.

  Returns:
    What a file holds. JAX reads it for at least six months after the version
    that wrote it; keep the checkpoint for longer.
  """
  exported = jax_export.export(jax.jit(graph.__call__), platforms=platforms)
  return bytes(exported(graph.images).serialize())


def to_savedmodel(graph: Graph, folder: str | os.PathLike) -> None:
  """Writes a graph as a TensorFlow SavedModel, weights as variables.

  Args:
    graph: what is exported.
    folder: new folder. `tf.saved_model.load` gives an object whose `find` takes
      the crops; the signature "serving_default" takes "images" and gives
      "keypoints".

  Raises:
    ImportError: TensorFlow is not installed.
  """
  try:
    import tensorflow as tf
  except ImportError as error:
    raise ImportError(
      "export to SavedModel needs TensorFlow: pip install tensorflow"
    ) from error
  from jax.experimental import jax2tf  # loads TensorFlow

  sizes = ", ".join(str(side) for side in graph.images.shape[1:])
  converted = jax2tf.convert(
    graph.apply, polymorphic_shapes=[None, f"(b, {sizes})"], with_gradient=False
  )
  module = tf.Module()
  module.weights = jax.tree.map(
    functools.partial(tf.Variable, trainable=False), graph.variables
  )
  images = tf.TensorSpec((None, *graph.images.shape[1:]), tf.uint8, "images")
  module.find = tf.function(
    lambda images: {"keypoints": converted(module.weights, images)},
    input_signature=[images],
    autograph=False,
  )
  tf.saved_model.save(module, str(folder), signatures=module.find)


def write(
  graph: Graph, out: str | os.PathLike, *, format: str, **options: Any
) -> pathlib.Path:
  """Writes a graph and its description.

  Args:
    graph: what is exported.
    out: new or empty folder.
    format: one of `FORMATS`.
    **options: of `to_stablehlo` (platforms) or `to_onnx` (opset).

  Returns:
    The file, or for "savedmodel" the folder, in `out`.

  Raises:
    ValueError: an unknown format, or a folder that holds something.
    ImportError: the format's package is missing.
  """
  if format not in FORMATS:
    raise ValueError(f"format is one of {list(FORMATS)}, got {format!r}")
  out = pathlib.Path(out)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise ValueError(
      f"an export goes into a new or empty folder, {out} holds something; "
      "name another --out or remove it"
    )
  path = out / FORMATS[format]
  if format == "savedmodel":
    to_savedmodel(graph, path)
  else:
    content = _content(graph, format, **options)
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  text = json.dumps(description.describe(graph), indent=2)
  (out / description.NAME).write_text(text + "\n")
  return path


def _content(graph: Graph, format: str, **options) -> bytes:
  if format == "stablehlo":
    return to_stablehlo(graph, **options)
  return to_onnx(graph, **options).SerializeToString()

"""Export formats: StableHLO, ONNX and TensorFlow's SavedModel."""

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
from darkjax.inference.predictor import Predictor

_LOG = logging.getLogger(__name__)

# File or folder of each format.
FORMATS = {
  "stablehlo": "model.stablehlo",
  "onnx": "model.onnx",
  "savedmodel": "savedmodel",
}
PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
  predictor: Predictor, *, platforms: Sequence[str] = PLATFORMS
) -> bytes:
  """Serializes a predictor for `jax.export.deserialize`.

  JAX promises to read it for six months; keep the checkpoint for longer.
  """
  exported = jax_export.export(jax.jit(predictor.__call__), platforms=platforms)
  return bytes(exported(predictor.input_spec).serialize())


def to_savedmodel(predictor: Predictor, folder: str | os.PathLike[str]) -> None:
  """Writes a predictor as a TensorFlow SavedModel, weights as variables.

  `tf.saved_model.load(folder)` returns an object whose `find` takes the crops;
  the signature "serving_default" takes "images" and returns "keypoints".

  Raises:
    ImportError: TensorFlow is not installed.
  """
  import tensorflow as tf  # of the extra `train`, which errors.py names
  from jax.experimental import jax2tf  # loads TensorFlow

  shape = predictor.input_spec.shape[1:]
  converted = jax2tf.convert(
    predictor.apply,
    polymorphic_shapes=[None, f"(b, {', '.join(map(str, shape))})"],
    with_gradient=False,
  )
  module = tf.Module()
  module.weights = jax.tree.map(
    functools.partial(tf.Variable, trainable=False), predictor.variables
  )
  images = tf.TensorSpec((None, *shape), tf.uint8, "images")
  module.find = tf.function(
    lambda images: {"keypoints": converted(module.weights, images)},
    input_signature=[images],
    autograph=False,
  )
  tf.saved_model.save(module, str(folder), signatures=module.find)


def write(
  predictor: Predictor,
  out: str | os.PathLike[str],
  *,
  format: str,
  **options: Any,
) -> pathlib.Path:
  """Writes a predictor and its description.

  Args:
    predictor: the network with its decoder.
    out: new or empty folder.
    format: one of `FORMATS`.
    **options: of `to_stablehlo` (platforms) or `to_onnx` (opset).

  Returns:
    The file, or for "savedmodel" the folder.

  Raises:
    ValueError: an unknown format, or a folder that is not empty.
    ImportError: the format's package is missing.
  """
  if format not in FORMATS:
    raise ValueError(f"format is one of {list(FORMATS)}, got {format!r}")
  out = pathlib.Path(out)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise ValueError(
      f"an export needs a new or empty folder, {out} is not; choose another "
      "--out or remove it"
    )
  path = out / FORMATS[format]
  if format == "savedmodel":
    to_savedmodel(predictor, path)
  else:
    if format == "onnx":
      content = to_onnx(predictor, **options).SerializeToString()
    else:
      content = to_stablehlo(predictor, **options)
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  text = json.dumps(description.describe(predictor), indent=2)
  (out / description.NAME).write_text(text + "\n")
  return path

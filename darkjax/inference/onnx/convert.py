"""A graph for ONNX Runtime, converted by jax2onnx."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Iterator

import jax.numpy as jnp

from darkjax.inference.onnx import resize
from darkjax.inference.onnx.simplify import simplify
from darkjax.inference.predictor import Graph

# The newest that ONNX Runtime 1.20 (2024) reads.
OPSET = 21


def to_onnx(graph: Graph, *, output: str = "keypoints", opset: int = OPSET):
  """Converts a graph through jax2onnx.

  ONNX Runtime has no bfloat16 convolution on CPUs, so that a network that
  computes in bfloat16 is exported in float32, which its parameters are in.

  Args:
    graph: what is exported.
    output: "keypoints" for all of it, see `Graph.__call__`, or "heatmaps" for
      what comes before the decoder.
    opset: version of ONNX's operators.

  Returns:
    An `onnx.ModelProto` with input "images" and that output.

  Raises:
    ImportError: jax2onnx is not installed.
  """
  try:
    import jax2onnx
  except ImportError as error:
    raise ImportError(
      'export to ONNX needs jax2onnx: pip install "darkjax[onnx]"'
    ) from error
  if getattr(graph.model, "dtype", None) == jnp.bfloat16:
    model = graph.model.clone(dtype=jnp.dtype("float32"))
    graph = dataclasses.replace(graph, model=model)
  functions = {
    "keypoints": graph,
    "heatmaps": functools.partial(graph.heatmaps, graph.variables),
  }
  images = graph.images  # once: each has a symbol of its own
  with _errors_only("jax2onnx"), _errors_only("onnx_ir"):
    model = jax2onnx.to_onnx(
      simplify(functions[output], images),
      inputs=[images],
      model_name="darkjax",
      opset=opset,
      input_names=["images"],
      output_names=[output],
    )
  resize.use_resize(model)
  return model


@contextlib.contextmanager
def _errors_only(name: str) -> Iterator[None]:
  """Silences a logger that tells of every step."""
  logger = logging.getLogger(name)
  before = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(before)

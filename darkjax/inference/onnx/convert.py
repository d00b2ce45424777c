"""Conversion of a predictor to ONNX by jax2onnx."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from darkjax.inference.onnx import resize
from darkjax.inference.onnx.simplify import simplify
from darkjax.inference.predictor import Predictor
from darkjax.runtime import extras

# The newest that ONNX Runtime 1.20 (2024) reads.
OPSET = 21


def to_onnx(
  predictor: Predictor, *, output: str = "keypoints", opset: int = OPSET
) -> Any:
  """Converts a predictor to ONNX.

  Networks that compute in bfloat16 are exported in float32: ONNX Runtime has no
  bfloat16 convolution on CPUs.

  Args:
    predictor: a network with its weights and decoder.
    output: "keypoints", see `Predictor.apply`, or "heatmaps", without decoder.
    opset: version of ONNX's operators.

  Returns:
    An `onnx.ModelProto` with input "images" and that output.

  Raises:
    ImportError: jax2onnx is not installed.
  """
  jax2onnx = extras.load("jax2onnx", extra="onnx", purpose="export to ONNX")
  if getattr(predictor.model, "dtype", None) == jnp.bfloat16:
    model = predictor.model.clone(dtype=jnp.dtype("float32"))
    predictor = dataclasses.replace(predictor, model=model)
  method = predictor.apply if output == "keypoints" else predictor.heatmaps
  function = functools.partial(method, predictor.variables)
  images = predictor.input_spec  # once: each has a symbol of its own
  with _errors_only("jax2onnx", "onnx_ir"):
    model = jax2onnx.to_onnx(
      simplify(function, images),
      inputs=[images],
      model_name="darkjax",
      opset=opset,
      input_names=["images"],
      output_names=[output],
    )
  resize.use_resize(model)
  return model


@contextlib.contextmanager
def _errors_only(*names: str) -> Iterator[None]:
  """Silences loggers that log every step."""
  levels = {log: log.level for log in map(logging.getLogger, names)}
  try:
    for log in levels:
      log.setLevel(logging.ERROR)
    yield
  finally:
    for log, level in levels.items():
      log.setLevel(level)

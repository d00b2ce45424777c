"""What runs a graph on batches of crops: JAX, or ONNX Runtime.

A backend takes crops and their matrices, of any number, and gives keypoints in
the image, of at least as many rows; both give the same to 1e-3 px.
"""

import dataclasses

import jax
import numpy as np

from darkjax import compiler, geometry, inference
from darkjax.graph import Graph
from darkjax.onnx_graph import to_onnx


class JaxBackend:
  """XLA, on any device; compiles for batches of 1, 2, 4, ... rows.

  Input buffers are not donated: no output has the size of an input, so that
  there is nothing that XLA could use them for.
  """

  def __init__(self, graph: Graph):
    """Sends the weights to the device; nothing is compiled yet."""
    self._variables = jax.device_put(graph.variables)
    self._locate = compiler.tuned(jax.jit(graph.locate))
    self._compiled = set()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> inference.Keypoints:
    """Finds keypoints; returns before they are computed.

    Args:
      images: [B, H, W, 3] uint8 RGB crops.
      image_from_heatmap: [B, 2, 3], px.
      rest: these are the last people of many. They take a program that is
        there if one fits, although a smaller one would be faster.

    Returns:
      Keypoints of B or more rows, of which the first B count.
    """
    rows = self._rows(len(images), rest)
    self._compiled.add(rows)
    return self._locate(
      self._variables,
      _pad_rows(images, rows),
      _pad_rows(image_from_heatmap.astype(np.float32), rows),
    )

  def _rows(self, count: int, rest: bool) -> int:
    """The size of the program: a power of two, unless another is at hand."""
    there = [rows for rows in self._compiled if rows >= count]
    return min(there) if rest and there else 1 << (count - 1).bit_length()


def _pad_rows(array: np.ndarray, rows: int) -> np.ndarray:
  padding = [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1)
  return np.pad(array, padding)


class OnnxBackend:
  """ONNX Runtime on the CPU: the exported graph, for batches of any size."""

  def __init__(self, graph: Graph):
    """Converts the graph, which takes seconds to a minute.

    Raises:
      ImportError: the extra "onnx" is not installed.
    """
    try:
      import onnxruntime
    except ImportError as error:
      raise ImportError(
        "backend='onnxruntime' needs ONNX Runtime and jax2onnx: "
        'pip install "darkjax[onnx]"'
      ) from error
    content = to_onnx(dataclasses.replace(graph, covariances=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of unused constants
    self._session = onnxruntime.InferenceSession(
      content.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    self._heatmap_from_crop = graph.convention.heatmap_from_crop()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> inference.Keypoints:
    """See `JaxBackend`; waits for the result, which has B rows."""
    del rest  # no program belongs to a size
    (found,) = self._session.run(["keypoints"], {"images": images})
    covariances = found[..., [3, 4, 4, 5]].reshape(*found.shape[:2], 2, 2)
    image_from_crop = geometry.compose(
      image_from_heatmap, self._heatmap_from_crop
    )
    located = inference.Keypoints(
      geometry.apply_affine(image_from_crop, found[..., :2]),
      found[..., 2],
      geometry.apply_linear(image_from_crop, covariances),
    )
    return jax.tree.map(np.float32, located)


BACKENDS = {"jax": JaxBackend, "onnxruntime": OnnxBackend}

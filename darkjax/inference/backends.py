"""What runs a graph on batches of crops: JAX, or ONNX Runtime.

A backend takes crops and their matrices, of any number, and gives keypoints in
the image, of at least as many rows; both give the same to 1e-3 px.
"""

import jax
import numpy as np

from darkjax import inference
from darkjax.inference.onnx.convert import to_onnx
from darkjax.inference.predictor import Graph
from darkjax.runtime import xla_options


class JaxBackend:
  """XLA, on any device; compiles for batches of 1, 2, 4, ... rows.

  Input buffers are not donated: no output has the size of an input, so that
  there is nothing that XLA could use them for.
  """

  def __init__(self, graph: Graph):
    """Sends the weights to the device; nothing is compiled yet."""
    self._variables = jax.device_put(graph.variables)
    self._locate = xla_options.tuned(jax.jit(graph.locate))
    self._sizes = _Sizes()

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
    rows = self._sizes.choose(len(images), rest)
    return self._locate(
      self._variables,
      _pad_rows(images, rows),
      _pad_rows(image_from_heatmap.astype(np.float32), rows),
    )


class _Sizes:
  """Which program takes a batch: those of 1, 2, 4, ... rows are compiled."""

  def __init__(self):
    self._compiled = set()

  def choose(self, count: int, rest: bool) -> int:
    """Rows of the program: a power of two, unless another is at hand."""
    there = [rows for rows in self._compiled if rows >= count]
    rows = min(there) if rest and there else 1 << (count - 1).bit_length()
    self._compiled.add(rows)
    return rows


def _pad_rows(array: np.ndarray, rows: int) -> np.ndarray:
  if len(array) == rows:
    return array
  padding = [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1)
  return np.pad(array, padding)


class OnnxBackend:
  """ONNX Runtime on the CPU for the network, XLA for the decoder.

  The decoder's many small operations took a tenth of the time of one crop in
  ONNX Runtime; XLA fuses them.
  """

  def __init__(self, graph: Graph):
    """Converts the network, which takes seconds to a minute.

    Raises:
      ImportError: the extra "onnx" is not installed.
      RuntimeError: JAX was told to do without the CPU.
    """
    self._cpu = _cpu()
    try:
      import onnxruntime
    except ImportError as error:
      raise ImportError(
        "backend='onnxruntime' needs ONNX Runtime and jax2onnx: "
        'pip install "darkjax[onnx]"'
      ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of unused constants
    self._session = onnxruntime.InferenceSession(
      to_onnx(graph, output="heatmaps").SerializeToString(),
      options,
      providers=["CPUExecutionProvider"],
    )
    self._read = jax.jit(graph.read)
    self._sizes = _Sizes()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> inference.Keypoints:
    """See `JaxBackend`; waits for the network."""
    (heatmaps,) = self._session.run(["heatmaps"], {"images": images})
    rows = self._sizes.choose(len(images), rest)
    arrays = heatmaps, image_from_heatmap.astype(np.float32)
    return self._read(
      *jax.device_put([_pad_rows(array, rows) for array in arrays], self._cpu)
    )


def _cpu() -> jax.Device:
  try:
    return jax.local_devices(backend="cpu")[0]
  except RuntimeError as error:
    raise RuntimeError(
      "backend='onnxruntime' decodes on the CPU; add cpu to JAX_PLATFORMS"
    ) from error


BACKENDS = {"jax": JaxBackend, "onnxruntime": OnnxBackend}

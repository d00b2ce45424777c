"""Backends that run a predictor on batches of crops: JAX or ONNX Runtime.

A backend takes any number of crops with their matrices and returns keypoints in
the image, of at least as many rows; both return the same to 1e-3 px.
"""

import jax
import numpy as np

from darkjax.inference.keypoints import Keypoints
from darkjax.inference.onnx.convert import to_onnx
from darkjax.inference.predictor import Predictor
from darkjax.runtime import xla_options


class JaxBackend:
  """XLA, on any device; compiles programs for batches of 1, 2, 4, ... rows.

  Input buffers are not donated: no output has the size of an input, so XLA
  could not reuse them.
  """

  def __init__(self, predictor: Predictor):
    """Sends the weights to the device; nothing is compiled yet."""
    self._variables = jax.device_put(predictor.variables)
    self._locate = xla_options.tuned(jax.jit(predictor.locate))
    self._sizes = _ProgramSizes()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> Keypoints:
    """Starts to compute keypoints; does not wait for them.

    Args:
      images: [B, H, W, 3] uint8 RGB crops.
      image_from_heatmap: [B, 2, 3], px.
      rest: these are the last people of many, which take a compiled program if
        one fits, even where a smaller one would be faster.

    Returns:
      Keypoints of B or more rows; those after the first B are padding.
    """
    rows = self._sizes.choose(len(images), rest)
    return self._locate(
      self._variables,
      _pad_rows(images, rows),
      _pad_rows(image_from_heatmap.astype(np.float32), rows),
    )


class _ProgramSizes:
  """Numbers of rows that programs were compiled for."""

  def __init__(self):
    self._compiled: set[int] = set()

  def choose(self, count: int, rest: bool) -> int:
    """Returns a power of two, or with `rest` the least compiled that fits."""
    fitting = [rows for rows in self._compiled if rest and rows >= count]
    rows = min(fitting, default=1 << (count - 1).bit_length())
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

  def __init__(self, predictor: Predictor):
    """Converts the network, which takes seconds to a minute.

    Raises:
      ImportError: the extra "onnx" is not installed.
      RuntimeError: JAX_PLATFORMS leaves out the CPU.
    """
    try:
      self._cpu = jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
      raise RuntimeError(
        "backend='onnxruntime' decodes on the CPU; add cpu to JAX_PLATFORMS"
      ) from error
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
      to_onnx(predictor, output="heatmaps").SerializeToString(),
      options,
      providers=["CPUExecutionProvider"],
    )
    self._decode = jax.jit(predictor.decode)
    self._sizes = _ProgramSizes()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> Keypoints:
    """See `JaxBackend`; waits for the network."""
    (heatmaps,) = self._session.run(["heatmaps"], {"images": images})
    rows = self._sizes.choose(len(images), rest)
    arrays = heatmaps, image_from_heatmap.astype(np.float32)
    return self._decode(
      *jax.device_put([_pad_rows(array, rows) for array in arrays], self._cpu)
    )


BACKENDS: dict[str, type[JaxBackend] | type[OnnxBackend]] = {
  "jax": JaxBackend,
  "onnxruntime": OnnxBackend,
}

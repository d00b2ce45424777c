"""Backends that run a predictor on batches of crops: JAX or ONNX Runtime.

Both return the same keypoints to 1e-3 px.
"""

import functools

import jax
import numpy as np

from darkjax.inference.keypoints import Keypoints
from darkjax.inference.onnx.convert import to_onnx
from darkjax.inference.predictor import Predictor
from darkjax.runtime import extras, xla_options


class JaxBackend:
  """XLA, on any device; compiles programs for batches of 1, 2, 4, ... rows."""

  def __init__(self, predictor: Predictor, *, return_heatmaps: bool = False):
    """Sends the weights to the device; nothing is compiled yet."""
    self._variables = jax.device_put(predictor.variables)
    # No donated inputs: no output has the size of one.
    locate = functools.partial(
      predictor.locate, return_heatmaps=return_heatmaps
    )
    self._locate = xla_options.tuned(jax.jit(locate))
    self._pad = _Padding()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> Keypoints:
    """Starts to compute keypoints; does not wait for them.

    Args:
      images: [B, H, W, 3] uint8 RGB crops.
      image_from_heatmap: [B, 2, 3], px.
      rest: the last people of many, for whom a larger compiled program will do.

    Returns:
      Keypoints of B or more rows; those after the first B are padding.
    """
    return self._locate(
      self._variables, *self._pad(images, image_from_heatmap, rest)
    )


class _Padding:
  """Pads batches to numbers of rows that programs are compiled for."""

  def __init__(self):
    self._compiled: set[int] = set()

  def __call__(
    self, arrays: np.ndarray, matrices: np.ndarray, rest: bool
  ) -> list[np.ndarray]:
    """Pads to a power of two, or with `rest` to the least compiled that fits.

    Returns:
      The arrays, and the matrices in float32.
    """
    count = len(arrays)
    fitting = [rows for rows in tuple(self._compiled) if rest and rows >= count]
    rows = min(fitting, default=1 << (count - 1).bit_length())
    self._compiled.add(rows)
    both = [arrays, matrices.astype(np.float32)]
    if rows == count:
      return both
    return [
      np.pad(array, [(0, rows - count)] + [(0, 0)] * (array.ndim - 1))
      for array in both
    ]


class OnnxBackend:
  """ONNX Runtime on the CPU for the network, XLA (faster) for the decoder."""

  def __init__(self, predictor: Predictor, *, return_heatmaps: bool = False):
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
    onnxruntime = extras.load(
      "onnxruntime", extra="onnx", purpose="backend='onnxruntime'"
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of unused constants
    self._session = onnxruntime.InferenceSession(
      to_onnx(predictor, output="heatmaps").SerializeToString(),
      options,
      providers=["CPUExecutionProvider"],
    )
    self._decode = jax.jit(predictor.decode)
    self._return_heatmaps = return_heatmaps
    self._pad = _Padding()

  def __call__(
    self, images: np.ndarray, image_from_heatmap: np.ndarray, *, rest: bool
  ) -> Keypoints:
    """See `JaxBackend`; waits for the network."""
    (heatmaps,) = self._session.run(["heatmaps"], {"images": images})
    arrays = self._pad(heatmaps, image_from_heatmap, rest)
    keypoints = self._decode(*jax.device_put(arrays, self._cpu))
    return keypoints._replace(
      heatmaps=arrays[0] if self._return_heatmaps else None
    )


BACKENDS: dict[str, type[JaxBackend] | type[OnnxBackend]] = {
  "jax": JaxBackend,
  "onnxruntime": OnnxBackend,
}

"""A network in a file of ONNX that takes an image, run on the CPU."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from darkjax.runtime import extras

_TYPES = {
  "tensor(float)": np.float32,
  "tensor(float16)": np.float16,
  "tensor(uint8)": np.uint8,
}


class ImageInput(NamedTuple):
  """The input of a network that takes images."""

  name: str
  dtype: Any
  batch: int | None  # rows of a batch; None without a batch axis
  channels_last: bool
  # (height, width), px; None where the file leaves it open.
  size: tuple[int | None, int | None]


class Network:
  """An ONNX Runtime session for one image at a time.

  Attributes:
    image_input: what it takes.
    metadata: what its exporter wrote into the file, by name.
  """

  def __init__(self, path: str | os.PathLike, threads: int = 0):
    """Opens a file.

    Args:
      path: of the file.
      threads: of the CPU; 0 is one per core.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a file that ONNX Runtime reads, or inputs that are not an
        image and, of some networks, its size.
      ImportError: ONNX Runtime is not installed.
    """
    self._session = _open(path, threads)
    self.image_input, self._size_name = _read_inputs(self._session.get_inputs())
    metadata = self._session.get_modelmeta().custom_metadata_map
    self.metadata: Mapping[str, str] = metadata
    self._names = [output.name for output in self._session.get_outputs()]

  def run(self, pixels: np.ndarray, names=None) -> dict[str, np.ndarray]:
    """Returns outputs by name, floats as float32.

    Args:
      pixels: [H, W, 3] in the order and range that the network takes.
      names: of the outputs; all by default.

    Raises:
      ValueError: the network fails on an image of this size.
    """
    taken = self.image_input
    array = pixels if taken.channels_last else pixels.transpose(2, 0, 1)
    array = np.ascontiguousarray(array, taken.dtype)
    if taken.batch is not None:
      array = np.repeat(array[None], taken.batch, axis=0)
    inputs = {taken.name: array}
    if self._size_name:
      # Boxes are then those of the input, as of the other networks.
      sides = np.array([pixels.shape[1::-1]], np.int64)
      inputs[self._size_name] = np.repeat(sides, taken.batch or 1, axis=0)
    names = list(names or self._names)
    try:
      arrays = self._session.run(names, inputs)
    except Exception as error:  # it has types of its own
      height, width = pixels.shape[:2]
      raise ValueError(
        f"the network fails on an input of {height} x {width} px "
        f"({_first_line(error)}); give another size"
      ) from error
    return {
      name: array.astype(np.float32) if array.dtype.kind == "f" else array
      for name, array in zip(names, arrays, strict=True)
    }


def _open(path: str | os.PathLike, threads: int):
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(
      f"no detector {path}; it is an .onnx file or torchvision:NAME"
    )
  onnxruntime = extras.load(
    "onnxruntime", extra="detect", purpose="a detector in an .onnx file"
  )
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # errors; it warns of unused constants
  options.intra_op_num_threads = threads
  # Idle threads would take the cores that poses are computed on.
  options.add_session_config_entry("session.intra_op.allow_spinning", "0")
  try:
    return onnxruntime.InferenceSession(
      os.fspath(path), options, providers=["CPUExecutionProvider"]
    )
  except Exception as error:  # it has types of its own
    raise ValueError(
      f"not a network that ONNX Runtime can read: {_first_line(error)}"
    ) from error


def _first_line(error: Exception) -> str:
  return str(error).strip().partition("\n")[0][:200]


def _read_inputs(inputs) -> tuple[ImageInput, str | None]:
  """Returns the images' input, and the name of that of their sizes."""
  images = [one for one in inputs if _image_axis(one) is not None]
  sizes = [
    one for one in inputs if one.type == "tensor(int64)" and len(one.shape) == 2
  ]
  if len(images) != 1 or len(inputs) != len(images) + len(sizes[:1]):
    got = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
    raise ValueError(
      "it takes one image [B, 3, H, W], [B, H, W, 3] or [3, H, W] as float32, "
      f"float16 or uint8 and at most its size [B, 2] as int64, got {got}"
    )
  (one,) = images
  axis = _image_axis(one)
  lead = len(one.shape) - 3
  height, width = (d for i, d in enumerate(one.shape[lead:]) if i != axis)
  batch = one.shape[0] if lead else None
  return ImageInput(
    one.name,
    _TYPES[one.type],
    (batch if isinstance(batch, int) else 1) if lead else None,
    axis == 2,
    (_number(height), _number(width)),
  ), (sizes[0].name if sizes else None)


def _image_axis(one) -> int | None:
  """Returns which of an input's last three axes is the colours'."""
  if one.type not in _TYPES or len(one.shape) not in (3, 4):
    return None
  first, _, last = one.shape[-3:]
  if first == 3 or (not isinstance(first, int) and last != 3):
    return 0
  return 2 if last == 3 else None


def _number(dimension: Any) -> int | None:
  """Returns a dimension, None for a name."""
  return dimension if isinstance(dimension, int) else None

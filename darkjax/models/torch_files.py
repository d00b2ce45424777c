"""Files of PyTorch weights, read without executing what is in them."""

import pathlib
from collections.abc import Mapping

import numpy as np


def read_state_dict(path: str | pathlib.Path) -> Mapping:
  """Reads a file of weights without executing anything in it.

  Args:
    path: .npz, .safetensors (needs the package safetensors), or .pth, .pt,
      .tar, .bin (need torch; `pip install darkjax[torch]` has both).

  Returns:
    What the file holds: names to arrays or tensors, or a checkpoint around.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: unknown ending, or not a file of weights only.
  """
  path = pathlib.Path(path)
  readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
  readers |= dict.fromkeys((".pth", ".pt", ".tar", ".bin"), _read_torch)
  if path.suffix not in readers:
    raise ValueError(
      f"cannot read {path}: expected one of {', '.join(readers)}, "
      f"got {path.suffix or 'no ending'!r}"
    )
  if not path.is_file():
    raise FileNotFoundError(f"no file of weights at {path}")
  return readers[path.suffix](path)


def _read_npz(path) -> Mapping:
  with np.load(path, allow_pickle=False) as file:
    return dict(file)


def _read_safetensors(path) -> Mapping:
  import safetensors.numpy

  return safetensors.numpy.load_file(path)


def _read_torch(path) -> Mapping:
  try:
    import torch
  except ImportError as error:
    raise ValueError(
      f"reading {path} needs PyTorch: pip install 'darkjax[torch]', or save "
      "the state dict as .safetensors or .npz"
    ) from error
  try:
    return torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:
    raise ValueError(
      f"{path} holds more than weights, or is damaged, and is not executed; "
      "where you trust it, load it in PyTorch and save its state_dict alone: "
      f"{str(error).splitlines()[0]}"
    ) from error

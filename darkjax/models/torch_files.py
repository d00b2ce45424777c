"""Files of PyTorch weights, read without executing their content."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from darkjax.runtime import extras

_ENDINGS = (".npz", ".safetensors", ".pth", ".pt", ".tar", ".bin")


def read_state_dict(path: str | pathlib.Path) -> Mapping:
  """Reads a file of weights without executing anything in it.

  Args:
    path: .npz, .safetensors, or .pth, .pt, .tar, .bin (need torch;
      `pip install darkjax[torch]`).

  Returns:
    Names to arrays or tensors, or a checkpoint around them.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: unknown ending, or not a file of weights only.
  """
  path = pathlib.Path(path)
  if path.suffix not in _ENDINGS:
    raise ValueError(
      f"cannot read {path}: expected one of {', '.join(_ENDINGS)}, "
      f"got {path.suffix or 'no ending'!r}"
    )
  if not path.is_file():
    raise FileNotFoundError(f"no file of weights at {path}")
  torch = None if path.suffix in _ENDINGS[:2] else _import_torch(path)
  try:
    if torch:
      return torch.load(path, map_location="cpu", weights_only=True)
    if path.suffix == ".safetensors":
      return safetensors.numpy.load_file(path)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
      return dict(arrays)
  except Exception as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise ValueError(
      f"{path} holds more than weights, or is damaged, and is not executed; "
      "where you trust it, load it with what wrote it and save its state_dict "
      f"alone: {reason}"
    ) from error


def _import_torch(path: pathlib.Path) -> Any:
  torch = extras.load(
    "torch",
    extra="torch",
    purpose=f"reading {path}, which is neither .safetensors nor .npz,",
  )
  major, minor = torch.__version__.split(".")[:2]
  if (int(major), int(minor)) < (2, 6):
    raise ValueError(
      "PyTorch before 2.6 executes code in a file even where it is asked to "
      "read weights only (CVE-2025-32434), got "
      f"{torch.__version__}; pip install -U torch"
    )
  return torch

"""Files of PyTorch weights, read without executing what is in them."""

import pathlib
from collections.abc import Mapping

import numpy as np

_SAFE_TORCH = (2, 6)


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
  try:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
      return dict(arrays)
  except Exception as error:
    raise _refusal(path, error) from error


def _read_safetensors(path) -> Mapping:
  try:
    import safetensors.numpy
  except ImportError as error:
    raise ValueError(
      f"reading {path} needs safetensors: pip install 'darkjax[torch]'"
    ) from error
  try:
    return safetensors.numpy.load_file(path)
  except Exception as error:
    raise _refusal(path, error) from error


def _read_torch(path) -> Mapping:
  try:
    import torch
  except ImportError as error:
    raise ValueError(
      f"reading {path} needs PyTorch: pip install 'darkjax[torch]', or save "
      "the state dict as .safetensors or .npz"
    ) from error
  _check_version(torch.__version__)
  try:
    return torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:
    raise _refusal(path, error) from error


def _check_version(version: str) -> None:
  major, minor = version.split(".")[:2]
  if (int(major), int(minor)) < _SAFE_TORCH:
    raise ValueError(
      "PyTorch before 2.6 executes what hides in a file even where it is told "
      f"to read weights only (CVE-2025-32434), got {version}; pip install -U "
      "torch"
    )


def _refusal(path: pathlib.Path, error: Exception) -> ValueError:
  reason = (str(error).splitlines() or [type(error).__name__])[0]
  return ValueError(
    f"{path} holds more than weights, or is damaged, and is not executed; "
    "where you trust it, load it with what wrote it and save its state_dict "
    f"alone: {reason}"
  )

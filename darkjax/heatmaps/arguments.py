"""Checks of the arguments that encoders and decoders share."""

from collections.abc import Iterable
from typing import Any

import numpy as np

# Of float32. Below are subnormal numbers, which processors take for 0.
_LEAST = float(np.finfo(np.float32).tiny)
_MOST = float(np.finfo(np.float32).max)


def as_number(name: str, value: Any) -> float:
  """Returns a Python number; ValueError if it is traced by JAX, or none."""
  try:
    return float(value)
  except (TypeError, ValueError) as error:  # JAX's tracing errors are the first
    raise ValueError(
      f"{name} is a number known when a function is traced, got {value!r}; "
      "under jit name it in static_argnames"
    ) from error


def as_positive(name: str, value: Any, *, unit: str = "pixels") -> float:
  """Returns `as_number`; ValueError unless it is positive in float32."""
  number = as_number(name, value)
  if not _LEAST <= number <= _MOST:
    raise ValueError(
      f"{name} is a positive number of {unit} that float32 holds, got {value!r}"
    )
  return number


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
  """Raises ValueError unless the value is one of the choices."""
  if value not in choices:
    raise ValueError(f"{name} is one of {list(choices)}, got {value!r}")


def check_heatmaps(shape: tuple[int, ...], *, smallest: int = 1) -> None:
  """Raises ValueError unless a shape is [..., H, W, K] of that size."""
  if len(shape) < 3:
    raise ValueError(
      f"heatmaps are [..., H, W, K], of rank 3 or more, got shape {shape}; a"
      " single map needs a last axis of 1"
    )
  if min(shape[-3:-1]) < smallest:
    raise ValueError(
      f"this method needs maps of at least {smallest} x {smallest} pixels, got"
      f" height {shape[-3]} and width {shape[-2]}; heatmaps are [..., H, W, K]"
    )

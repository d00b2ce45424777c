"""Settings that choose the compiled program, and so are known before it."""

from typing import Any


def as_number(name: str, value: Any) -> float:
  """A setting as a Python number.

  Args:
    name: of the setting, for the message.
    value: a number of Python or NumPy, or a concrete array of one.

  Raises:
    ValueError: traced by JAX, or no number.
  """
  try:
    return float(value)
  except (TypeError, ValueError) as error:  # JAX's tracing errors are the first
    raise ValueError(
      f"{name} is a number known when a function is traced, got {value!r}; "
      "under jit name it in static_argnames"
    ) from error

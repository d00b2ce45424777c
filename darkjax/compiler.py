"""Options of XLA under which convolutional networks run fast.

On CPUs XLA can hand convolutions, and the additions and ReLUs between them, to
the library YNNPACK in large pieces (off by default in jaxlib 0.10). Options go
along with one compilation: nothing global changes, and a jaxlib that has them
no more, or a user's own choice in XLA_FLAGS, leaves them out.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax

_YNN = "xla_cpu_experimental_ynn_fusion_type"
_CPU = {
  _YNN: ",".join(
    f"LIBRARY_FUSION_TYPE_{name}"
    for name in ("ELTWISE", "DOT", "INDIVIDUAL_CONVOLUTION")
  )
}


@functools.cache
def options() -> dict[str, str]:
  """For `compiler_options` of `jax.jit`; starts JAX's backend.

  Returns:
    What the default backend's compiler knows; {} on accelerators, and where
    XLA_FLAGS has the option.
  """
  if jax.default_backend() != "cpu" or _YNN in os.environ.get("XLA_FLAGS", ""):
    return {}
  try:
    jax.jit(lambda x: x, compiler_options=_CPU).lower(0.0).compile()
  except jax.errors.JaxRuntimeError:
    return {}
  return _CPU


def tuned(function: Any) -> Callable[..., Any]:
  """Compiles under `options`, once for each shape of the arguments.

  Args:
    function: from `jax.jit` or `jax.pmap`, without static arguments.

  Returns:
    A function with the same results up to rounding.
  """
  programs = {}

  def call(*arguments):
    leaves, tree = jax.tree.flatten(arguments)
    key = tree, *((leaf.shape, leaf.dtype) for leaf in leaves)
    if key not in programs:
      lowered = function.lower(*arguments)
      programs[key] = lowered.compile(compiler_options=options())
    return programs[key](*arguments)

  return call

"""Options of XLA under which convolutional networks run and compile fast.

On CPUs XLA can hand convolutions, and the additions and ReLUs between them, to
the library YNNPACK in large pieces (off by default in jaxlib 0.10), and it can
leave out passes that cost a third of the time to compile. HRNet-W32 at 128×96
infers 1.5 to 2 times as many people a second with both. Training gains from
the second alone.

Options go along with one compilation: nothing global changes, and a jaxlib that
has them no more, or a user's own choice in XLA_FLAGS, leaves them out.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax

_YNN = "xla_cpu_experimental_ynn_fusion_type"
_PRESET = {"xla_cpu_opt_preset": "CPU_OPT_PRESET_FAST_COMPILE"}
# What programs are compiled for, and the options on CPUs.
PURPOSES = {
  "inference": _PRESET
  | {
    _YNN: ",".join(
      f"LIBRARY_FUSION_TYPE_{name}"
      for name in ("ELTWISE", "DOT", "INDIVIDUAL_CONVOLUTION")
    )
  },
  "training": _PRESET,
}


@functools.cache
def options(purpose: str) -> dict[str, str]:
  """For `compiler_options` of `jax.jit`; starts JAX's backend.

  Args:
    purpose: a key of `PURPOSES`.

  Returns:
    What the default backend's compiler knows; {} on accelerators, and where
    several processes run, whose programs take no options (jax 0.10). An option
    that XLA_FLAGS has is left to it.
  """
  if jax.default_backend() != "cpu" or jax.process_count() > 1:
    return {}
  flags = os.environ.get("XLA_FLAGS", "")
  wanted = PURPOSES[purpose].items()
  return {
    name: value
    for name, value in wanted
    if name not in flags and _is_known(name, value)
  }


def _is_known(name: str, value: str) -> bool:
  try:
    jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
  except jax.errors.JaxRuntimeError:
    return False
  return True


def tuned(function: Any, purpose: str = "inference") -> Callable[..., Any]:
  """Compiles under `options`, once for each shape of the arguments.

  Args:
    function: from `jax.jit` or `jax.pmap`, without static arguments.
    purpose: a key of `PURPOSES`.

  Returns:
    A function with the same results up to rounding.
  """
  programs = {}

  def call(*arguments):
    if not options(purpose):
      return function(*arguments)
    leaves, tree = jax.tree.flatten(arguments)
    key = tree, *((leaf.shape, leaf.dtype) for leaf in leaves)
    if key not in programs:
      lowered = function.lower(*arguments)
      programs[key] = lowered.compile(compiler_options=options(purpose))
    return programs[key](*arguments)

  return call

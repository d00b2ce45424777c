"""Options of XLA under which convolutional networks run and compile fast.

On CPUs XLA can hand convolutions, and the additions and ReLUs between them, to
the library YNNPACK in large pieces (off by default in jaxlib 0.10), and it can
leave out passes that cost a third of the time to compile. HRNet-W32 at 128×96
infers 1.5 to 2 times as many people a second with both. Training gains from
the second alone.

Options apply to one compilation and nothing global changes. Those that a jaxlib
no longer has, or that the user set in XLA_FLAGS, are left out.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax

_FUSED = ("ELTWISE", "DOT", "INDIVIDUAL_CONVOLUTION")
_TYPES = ",".join(f"LIBRARY_FUSION_TYPE_{name}" for name in _FUSED)
_YNN = {"xla_cpu_experimental_ynn_fusion_type": _TYPES}
_PRESET = {"xla_cpu_opt_preset": "CPU_OPT_PRESET_FAST_COMPILE"}
# Options on CPUs by what a program is for.
PURPOSES = {"inference": _PRESET | _YNN, "training": _PRESET}


@functools.cache
def options(purpose: str) -> dict[str, str]:
  """Returns compiler options for a key of `PURPOSES`; starts JAX's backend.

  Those that the backend has and XLA_FLAGS does not set; {} on accelerators and
  in several processes, where `jax.pmap` takes none.
  """
  if jax.default_backend() != "cpu" or jax.process_count() > 1:
    return {}
  flags = os.environ.get("XLA_FLAGS", "")
  return {
    name: value
    for name, value in PURPOSES[purpose].items()
    if name not in flags and _exists(name, value)
  }


def _exists(name: str, value: str) -> bool:
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

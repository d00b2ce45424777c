"""Options of XLA under which convolutional networks run and compile fast.

On CPUs XLA can hand convolutions, and the additions and ReLUs between them, to
the library YNNPACK in large pieces (off by default in jaxlib 0.10), and it can
leave out passes that cost a third of the time to compile. HRNet-W32 at 128×96
infers 1.5 to 2 times as many people a second with both. Training gains from
the second alone.

On GPUs jaxlib 0.11 by default compiles fusions by two code generators and times
both; HRNet-W32's training step has 3,860 fusions. The option leaves the second
out. Convolutions are still chosen by timing. What either costs was not measured
alone.

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
_NATIVE = {"xla_gpu_experimental_enable_fusion_autotuner": "false"}
# Options by the backend and what a program is for.
PURPOSES = {
  "cpu": {"inference": _PRESET | _YNN, "training": _PRESET},
  "gpu": {"inference": _NATIVE, "training": _NATIVE},
}


@functools.cache
def options(purpose: str) -> dict[str, str]:
  """Returns compiler options for a purpose; starts JAX's backend.

  Those of `PURPOSES` that the backend has and XLA_FLAGS does not set; {} on
  TPUs and in several processes, where `jax.pmap` takes none.
  """
  if jax.process_count() > 1:
    return {}
  wanted = PURPOSES.get(jax.default_backend(), {}).get(purpose, {})
  flags = os.environ.get("XLA_FLAGS", "")
  return {
    name: value
    for name, value in wanted.items()
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
    purpose: inference or training.
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

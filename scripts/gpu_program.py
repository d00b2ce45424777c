"""What XLA makes of a training step on an H100, compiled without one.

    pip install jax-cuda13-plugin jax-cuda13-pjrt  # of the installed jaxlib
    python scripts/gpu_program.py --network=hrnet_w32 --size=256x192 --batch=64

Prints a line of json for each kind of kernel: how many a step launches, and the
bytes of their operands and results. Those by the card's bandwidth are the least
time that the step's memory takes, kernels by some microseconds what launching
them takes. No convolution is chosen by timing here, so nothing is said of them.
"""

import collections
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

# Before JAX starts. The plugin is asked for by name, not as the default.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_autotune_level=0")

import bench
import jax
import jax.numpy as jnp

from darkjax.runtime import command

_BYTES = {"pred": 1, "u8": 1, "s8": 1, "bf16": 2, "f16": 2, "f64": 8, "s64": 8}
_FREE = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant"}
# XLA's description of the card; figures of NVIDIA's data sheet.
H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  threads_per_block_limit: 1024 threads_per_warp: 32
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84929347584
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 19 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


class Kernel(NamedTuple):
  """A kernel of a program; `bytes` are those of operands and results."""

  kind: str
  bytes: int


def main(flags: command.Flags, _) -> None:
  """Compiles the step and prints what it launches."""
  text = compile_step(flags)
  count: collections.Counter[str] = collections.Counter()
  size: collections.Counter[str] = collections.Counter()
  for kernel in kernels(text):
    count[kernel.kind] += 1
    size[kernel.kind] += kernel.bytes
  for kind, number in [*count.most_common(), ("all", count.total())]:
    total = size.total() if kind == "all" else size[kind]
    line = {"kind": kind, "kernels": number, "gigabytes": round(total / 1e9, 3)}
    print(json.dumps(line))


def compile_step(flags) -> str:
  """Returns the text of a step of `bench.training_step` compiled for H100."""
  from jax.experimental import topologies

  jax.devices()  # finds the plugins
  topology = topologies.get_topology_desc(
    platform="cuda", target_config=H100, topology="1x1x1"
  )
  place = jax.sharding.SingleDeviceSharding(topology.devices[0])
  size = bench.parse_size(flags.size)
  setting = bench.Setting(flags.network, size, flags.dtype, "eager")
  people = bench.make_batch(flags.batch, size)
  take, *arguments = bench.training_step(setting, people)

  def shape(x):
    return jax.ShapeDtypeStruct(
      jnp.shape(x), jnp.result_type(x), sharding=place
    )

  lowered = jax.jit(take, donate_argnums=0).lower(
    *jax.tree.map(shape, arguments)
  )
  return lowered.compile().as_text()


def kernels(text: str) -> Iterator[Kernel]:
  """Yields the kernels of a compiled module's entry."""
  entry = text[text.index("\nENTRY") :].split("\n}")[0]
  pattern = (
    r"^\s*(?:ROOT )?%?([\w.-]+) = (\([^=]*?\)|\S+) ([a-z][\w-]*)\((.*?)\)"
  )
  shapes: dict[str, str] = {}
  for name, shape, operation, rest in re.findall(pattern, entry, re.M):
    shapes[name] = shape
    if operation in _FREE:
      continue
    operands = re.findall(r"%([\w.-]+)", rest)
    read = sum(size_of(shapes.get(operand, "")) for operand in operands)
    kind = re.sub(r"[.\d]+$", "", name)
    yield Kernel(kind, read + size_of(shape))


def size_of(shape: str) -> int:
  """Returns the bytes of a shape of HLO, or of all in a tuple."""
  total = 0
  for dtype, dimensions in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape):
    count = 1
    for dimension in filter(None, dimensions.split(",")):
      count *= int(dimension)
    total += count * _BYTES.get(dtype, 4)
  return total


def define_flags(define: command.Define) -> None:
  """Adds the flags of the script."""
  define.string("network", "hrnet_w32", "Name of the network.")
  define.string("size", "256x192", "Height x width of the crops.")
  define.integer("batch", 64, "People of a step.", 1)
  define.string("dtype", "bfloat16", "Type of the layers.")


if __name__ == "__main__":
  command.run(main, define_flags)

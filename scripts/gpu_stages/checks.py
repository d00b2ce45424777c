"""Stage a: versions, ceilings, and results of the card against the CPU's.

Tolerances: keypoints within 1e-3 px of the CPU's, whose logarithms differ in
the last digits; gradients, as ‖card - CPU‖ / ‖CPU‖, within 1e-3 in float32 at
the highest precision (by default convolutions take TF32, near 1e-2) and within
0.1 in bfloat16 against the CPU's float32.
"""

import functools
import importlib.metadata
import os
from collections.abc import Iterator

import bench
import bench_decode
import jax
import jax.numpy as jnp
import numpy as np
import optax

from darkjax import decode_heatmaps, models
from darkjax.runtime import devices, xla_options
from darkjax.train import step as step_lib
from gpu_stages.cells import Budget, Cell, Line

MOST_PX = 1e-3
MOST_GRADIENT = {"float32": 1e-3, "bfloat16": 0.1}
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
_PEOPLE = 8


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields the cells of the stage."""
  del flags, budget
  yield Cell("a/versions", versions, 5)
  yield Cell("a/ceilings", ceilings, 15)
  yield Cell("a/decode", decode, 20)
  for mapping, dtype in (("pmap", "float32"), ("shard_map", "bfloat16")):
    run = functools.partial(step, mapping, dtype)
    yield Cell(f"a/step/{mapping}/{dtype}", run, 60)


def versions() -> Iterator[Line]:
  """Yields what the measurements are made with."""
  packages = (*_PACKAGES, "torch", "timm", "triton", "jax-cuda13-plugin")
  found = {
    d.metadata["Name"].lower() for d in importlib.metadata.distributions()
  }
  yield {
    "versions": {
      n: importlib.metadata.version(n) for n in packages if n in found
    },
    "machine": bench.machine(),
    "devices": [str(device) for device in jax.devices()],
    "memory": (jax.devices()[0].memory_stats() or {}).get("bytes_limit"),
    "xla_flags": os.environ.get("XLA_FLAGS", ""),
  }


def ceilings() -> Iterator[Line]:
  """Yields the rates of a large matrix product and a large copy."""
  size = 8192 if jax.default_backend() == "gpu" else 256
  key = jax.random.key(0, impl="rbg")
  matrix = jax.random.normal(key, (size, size), jnp.bfloat16)
  seconds = _seconds(jax.jit(jnp.matmul), matrix, matrix)
  yield {"bfloat16_tflops": round(2 * size**3 / seconds / 1e12, 2)}
  array = jnp.ones((16, size, size), jnp.float32)  # 4.3 GB on a card
  seconds = _seconds(jax.jit(lambda x: x + 1), array)
  yield {"copy_gb_per_s": round(2 * array.nbytes / seconds / 1e9, 1)}


def _seconds(function, *arguments) -> float:
  """Returns the median seconds of one of ten calls in a row."""
  jax.block_until_ready(function(*arguments))

  def calls():
    jax.block_until_ready([function(*arguments) for _ in range(3)][-1])

  return float(np.median([bench.seconds(calls) for _ in range(5)])) / 3


def decode() -> Iterator[Line]:
  """Yields the largest distance of decoded keypoints to the CPU's."""
  cpu = jax.local_devices(backend="cpu")[0]
  maps = bench_decode.draw((4, 17, 64, 48), 2.0).transpose(0, 2, 3, 1)
  for border in ("refine", "official"):
    run = functools.partial(decode_heatmaps, blur_kernel=11, border=border)
    with jax.default_device(cpu):
      expected = jax.device_get(run(maps))
    found = jax.device_get(run(jax.device_put(maps, jax.devices()[0])))
    distance = float(np.abs(found.keypoints - expected.keypoints).max())
    covariances = found.covariances, expected.covariances
    yield {
      "border": border,
      "distance_px": distance,
      "covariance_error": _relative(*map(np.nan_to_num, covariances)),
      "agrees": distance <= MOST_PX,
    }


def step(mapping: devices.Mapping, dtype: str) -> Iterator[Line]:
  """Yields how far one step is from the CPU's in float32."""
  batch = bench.make_batch(_PEOPLE)
  convention = bench.make_convention()
  optimizer = optax.sgd(1.0)  # parameters move by the gradient itself
  model = models.create_model("hrnet_small")
  take = functools.partial(
    step_lib.train_step, optimizer=optimizer, convention=convention
  )
  with jax.default_device(jax.local_devices(backend="cpu")[0]):
    key = jax.random.key(0, impl="rbg")
    state = jax.device_get(
      step_lib.create_state(
        key, model, optimizer, crop_size=convention.crop_size
      )
    )
    lowered = jax.jit(functools.partial(take, model=model)).lower(state, batch)
    run = lowered.compile(
      compiler_options=xla_options.PURPOSES["cpu"]["training"]
    )
    expected, metrics = jax.device_get(run(state, batch))
  # Batch norm over all people, also where several devices have some each.
  cast = functools.partial(
    take, model=model.clone(dtype=dtype, bn_axis_name=devices.AXIS)
  )
  mapped = devices.map_step(
    lambda state, batch, _, axis_name: cast(state, batch, axis_name=axis_name),
    mapping=mapping,
  )
  with jax.default_matmul_precision("highest"):
    found, values = mapped(devices.replicate(state), batch)
  found, values = jax.device_get(devices.first_copy((found, values)))
  gradients = (
    jax.tree.map(np.subtract, state.params, after.params)
    for after in (found, expected)
  )
  error = _relative(*map(_flat, gradients))
  yield {
    "loss": float(values["loss"]),
    "loss_error": abs(float(values["loss"] / metrics["loss"]) - 1),
    "gradient_error": error,
    "statistics_error": _relative(
      _flat(found.batch_stats), _flat(expected.batch_stats)
    ),
    "agrees": error <= MOST_GRADIENT[dtype],
  }


def _flat(tree) -> np.ndarray:
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
  """Returns ‖found - expected‖ / ‖expected‖."""
  difference = np.linalg.norm(np.float64(found) - expected)
  return float(difference / np.linalg.norm(np.float64(expected)))

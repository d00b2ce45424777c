"""Trains a small network in float64 on this process's devices.

Run by test_devices.py with JAX_NUM_CPU_DEVICES set: argument 1 is the file that
the parameters of every case go to.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from small_network import GAUSSIAN, SmallNetwork, start

from darkjax import convention, inference
from darkjax.runtime import devices
from darkjax.train import step as step_lib

PEOPLE, STEPS = 16, 3


def batch(step: int) -> dict[str, np.ndarray]:
  """Sixteen people, a function of the step; half hardly have any label."""
  rng = np.random.default_rng(step)
  visibility = (rng.random((PEOPLE, 3)) < 0.8).astype(np.float32)
  visibility[: PEOPLE // 2] = 0.0
  visibility[0, 0] = 1.0
  points = rng.uniform([1, 1], [6, 10], (PEOPLE, 3, 2))
  return {
    "image": rng.integers(0, 256, (PEOPLE, 48, 32, 3), np.uint8),
    "keypoints_heatmap": points.astype(np.float32),
    "visibility": visibility,
    "image_from_heatmap": np.zeros((PEOPLE, 2, 3), np.float32),
    "mask": np.ones(PEOPLE, np.float32),
  }


def trained(*, normalised=True, synchronised=False, mapping="pmap", **options):
  """State and losses after some steps of Adam, as NumPy arrays."""
  model = SmallNetwork(
    normalised=normalised, bn_axis_name=devices.AXIS if synchronised else None
  )
  optimizer = optax.adam(1e-2)
  state = start(SmallNetwork(normalised=normalised), optimizer)
  state = jax.tree.map(_float64, state)
  step = devices.map_step(
    functools.partial(
      train_step,
      model=model,
      optimizer=optimizer,
      convention=GAUSSIAN,
      **options,
    ),
    mapping=mapping,
  )
  state, losses = devices.replicate(state), []
  for i in range(STEPS):
    state, values = step(state, batch(i))
    losses.append(devices.first_copy(values["loss"]))
  state = jax.device_get(devices.first_copy(state))
  return state.params, state.batch_stats, np.array(losses)


def train_step(state, batch, shared, **options):
  del shared
  return step_lib.train_step(state, batch, **options)


def rows(mapping: devices.Mapping):
  """Sums of rows, whose number no number of devices but 1 divides."""
  function = devices.map_rows(
    lambda shared, rows: {"sum": jnp.cumsum(rows["x"] * shared, 1)},
    mapping=mapping,
    fewest=3,
  )
  x = np.random.default_rng(5).normal(size=(5, 7))
  return function(devices.replicate(np.float64(1.1)), {"x": x})


def _normalize(images, *, channel_order):
  """`inference.normalize` in float64.

  In float32 its last bits depend on what XLA fuses it with: a loop over
  micro-batches then differs by 3e-9 in the parameters.
  """
  del channel_order
  mean, std = (
    np.array(values).reshape(1, 1, 1, 3)
    for values in (convention.PIXEL_MEAN, convention.PIXEL_STD)
  )
  return (images.astype(np.float64) / 255 - mean) / std


def _float64(x):
  return x.astype(np.float64) if x.dtype == np.float32 else x


def main() -> None:
  jax.config.update("jax_enable_x64", True)
  inference.normalize = _normalize
  pair = PEOPLE // 2 // jax.device_count()  # micro-batches of two people
  cases = {
    "plain": trained(normalised=False),
    "accumulated": trained(normalised=False, micro_batches=2),
    "synchronised": trained(synchronised=True),
    "own": trained(),
    "pairs": trained(micro_batches=pair),
    "shard_map": trained(synchronised=True, mapping="shard_map"),
  }
  for mapping in devices.MAPPINGS:
    cases[f"rows {mapping}"] = rows(mapping)
  leaves = {
    f"{case}{jax.tree_util.keystr(path)}": leaf
    for case, result in cases.items()
    for path, leaf in jax.tree_util.tree_leaves_with_path(result)
  }
  np.savez(sys.argv[1], **leaves)


if __name__ == "__main__":
  main()

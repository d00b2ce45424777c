"""Stage b: decoding alone, beside the official algorithm in PyTorch.

People of a batch, and --many such batches in one, which the card's cache does
not hold. Rates count the maps once; `maximum` is a plain jnp.max over each map.
"""

import functools
import importlib.util
from collections.abc import Iterator

import bench
import bench_decode
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import decode_heatmaps
from gpu_stages import background
from gpu_stages.cells import Budget, Cell, Line

# Bytes a second by JAX's name of the card: NVIDIA's data sheets.
BANDWIDTHS = {"NVIDIA H100 80GB HBM3": 3.35e12, "NVIDIA H200": 4.8e12}
SHAPES = (((32, 17, 64, 48), 2.0, 11), ((8, 133, 96, 72), 3.0, 17))


def cells(flags, budget: Budget) -> Iterator[Cell]:
  """Yields a cell for each shape and number of batches."""
  del budget
  for shape, sigma, kernel in SHAPES:
    for many in sorted({1, flags.many}):
      name = "x".join(map(str, (shape[0] * many, *shape[1:])))
      run = functools.partial(measure, shape, sigma, kernel, many, flags)
      yield Cell(f"b/{name}", run, 40)


def measure(shape, sigma, kernel, many: int, flags) -> Iterator[Line]:
  """Yields a line for each side."""
  few = bench_decode.draw(shape, sigma)
  maps = np.tile(few, (many, 1, 1, 1))
  sides = jax_sides(maps, kernel)
  if importlib.util.find_spec("torch") is not None:
    sides |= torch_sides(maps, kernel)
  truth = np.asarray(sides["dark, official border"](1))
  distances = {
    name: float(np.abs(np.asarray(run(1)) - truth).max())
    for name, run in sides.items()
    if name != "maximum"
  }
  calls = {n: functools.partial(run, flags.steps) for n, run in sides.items()}
  background.wait()
  times = bench.take_turns(calls, flags.turns, calls=3)
  peak = BANDWIDTHS.get(jax.devices()[0].device_kind)
  for name, spent in times.items():
    seconds = float(np.median(spent)) / flags.steps
    yield {
      "side": name,
      "microseconds": round(1e6 * seconds, 2),
      "gb_per_s": round(maps.nbytes / seconds / 1e9, 1),
      "share_of_bandwidth": peak and round(maps.nbytes / seconds / peak, 4),
      "dark_is_quicker_by": bench.ratio(spent, times["dark"]),
      "distance_px": distances.get(name),
    }


def jax_sides(maps: np.ndarray, kernel: int):
  """Returns functions of a number of calls, which return keypoints."""
  images = jnp.asarray(maps.transpose(0, 2, 3, 1))
  dark = functools.partial(decode_heatmaps, blur_kernel=kernel)

  def side(function):
    def run(calls):
      for _ in range(calls):
        result = function(images)
      return jax.block_until_ready(getattr(result, "keypoints", result))

    return run

  return {
    "dark": side(dark),
    "dark, official border": side(functools.partial(dark, border="official")),
    "argmax": side(functools.partial(decode_heatmaps, method="argmax")),
    "maximum": side(jax.jit(lambda x: x.max((1, 2)))),
  }


def torch_sides(maps: np.ndarray, kernel: int):
  """Returns the same of PyTorch, compiled and eager."""
  import decode_peers
  import gpu_sides
  import torch

  tensor = torch.from_numpy(maps).to(gpu_sides.DEVICE)
  decode = decode_peers.torch_windows(kernel, gpu_sides.DEVICE)

  def side(function):
    @torch.inference_mode()
    def run(calls):
      for _ in range(calls):
        result = function(tensor)
      return result.cpu().numpy()  # waits

    return run

  compiled = torch.compile(decode, dynamic=False)
  return {"torch.compile": side(compiled), "torch": side(decode)}

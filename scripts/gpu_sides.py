"""What bench_gpu.py times: functions that run a number of steps and wait.

Batches are on the device before, so that no transfer counts. Steps are sent off
one after the other as in training, and only the last is waited for.
"""

import dataclasses
import functools
from collections.abc import Callable

import bench_inference
import jax
import numpy as np
import optax
import torch
import unbiased
from absl import flags
from made_batch import make_batch

from darkjax import models
from darkjax.runtime import xla_options
from darkjax.train import step as step_lib

Runner = Callable[[int], None]
RATE = 1e-3  # of Adam
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def training(model: str, size: tuple[int, int], count: int):
  """Forward, mean squared error, backward, Adam; `count` people a step.

  darkjax draws the targets in the step, PyTorch finds them drawn.
  """
  batch = make_batch(count, size)
  return {
    "darkjax": darkjax_training(model, size, batch),
    "torch": torch_training(model, size, batch),
  }


def inference(model: str, size: tuple[int, int], count: int):
  """From uint8 crops to keypoints, no flip test; `count` people a step.

  The network is what `Pose` runs, and once more with argmax in DARK's place.
  PyTorch takes each map's maximum.
  """
  crops = make_batch(count, size)["image"]
  twin = bench_inference.make_twin(model)
  network = bench_inference.make_graph(twin, size, model)
  return {
    "darkjax": darkjax_inference(network, crops),
    "darkjax-argmax": darkjax_inference(
      dataclasses.replace(network, method="argmax"), crops
    ),
    "torch": torch_inference(twin, crops),
  }


TASKS = {"training": training, "inference": inference}


def darkjax_training(model, size, batch) -> Runner:
  """`train_step` on one device."""
  network = models.create_model(model, dtype=flags.FLAGS.dtype)
  optimizer = optax.adam(RATE)
  state = step_lib.create_state(
    jax.random.key(0), network, optimizer, crop_size=size
  )
  batch = jax.device_put(batch)
  step = jax.jit(
    functools.partial(
      step_lib.train_step,
      model=network,
      optimizer=optimizer,
      convention=unbiased.make_convention(size),
    ),
    donate_argnums=0,
  )

  def run(steps):
    nonlocal state
    for _ in range(steps):
      state, _ = step(state, batch)
    jax.block_until_ready(state)

  return run


def darkjax_inference(network, crops) -> Runner:
  """A graph as `JaxBackend` compiles it."""
  find = xla_options.tuned(jax.jit(network.locate))
  matrices = np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))
  arguments = jax.device_put((network.variables, crops, matrices))

  def run(steps):
    for _ in range(steps):
      found = find(*arguments)
    jax.block_until_ready(found)

  return run


def torch_training(model, size, batch) -> Runner:
  """The twin, channels-last, in torch.autocast."""
  twin = bench_inference.make_twin(model)
  network = _on_device(bench_inference.Located(twin).train())
  crops = torch.tensor(batch["image"], device=DEVICE)
  target, _ = step_lib.draw_targets(batch, unbiased.make_convention(size))
  target = torch.tensor(np.asarray(target), device=DEVICE).permute(0, 3, 1, 2)
  optimizer = torch.optim.Adam(network.parameters(), RATE, fused=True)
  compute = _compiled(
    lambda: torch.nn.functional.mse_loss(network.heatmaps(crops), target)
  )

  def run(steps):
    for _ in range(steps):
      optimizer.zero_grad()
      with _autocast():
        loss = compute()
      loss.backward()
      optimizer.step()
    _wait()

  return run


def torch_inference(twin, crops) -> Runner:
  """The twin, channels-last, in torch.autocast, weights frozen."""
  # Folds batch norms and lays out weights ahead of time, where no gradient is.
  torch._inductor.config.freezing = True
  network = _on_device(bench_inference.Located(twin).eval())
  crops = torch.tensor(crops, device=DEVICE)
  find = _compiled(network)

  @torch.inference_mode()
  def run(steps):
    with _autocast():
      for _ in range(steps):
        find(crops)
    _wait()

  return run


def _on_device(network):
  torch.backends.cudnn.benchmark = True  # takes the fastest convolutions
  return network.to(DEVICE, memory_format=torch.channels_last)


def _compiled(function):
  mode = flags.FLAGS.torch_mode
  if mode == "eager":
    return function
  return torch.compile(function, mode=mode, dynamic=False)


def _autocast():
  dtype = getattr(torch, flags.FLAGS.dtype)
  return torch.autocast(DEVICE, dtype, enabled=dtype != torch.float32)


def _wait() -> None:
  if DEVICE == "cuda":
    torch.cuda.synchronize()


def forget() -> None:
  """Lets go of programs and memory that no runner holds any more."""
  jax.clear_caches()
  torch._dynamo.reset()
  if DEVICE == "cuda":
    torch.cuda.empty_cache()

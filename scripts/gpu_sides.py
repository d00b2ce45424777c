"""Sides of gpu_hour.py and bench_memory.py: functions that run steps.

A task has a builder for each side, which returns such a function.

Batches are on the device before, so that no transfer counts. Steps are
dispatched one after the other as in training; a side waits for the last only.
"""

import dataclasses
import functools
import multiprocessing
import time
import traceback
from collections.abc import Callable

import bench
import bench_inference
import jax
import numpy as np
import torch
from bench import Setting, make_batch, make_convention

from darkjax.runtime import xla_options
from darkjax.train import step as step_lib

Runner = Callable[[int], None]
Builders = dict[str, Callable[[], Runner]]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def training(setting: Setting, count: int) -> Builders:
  """Forward, mean squared error, backward, Adam; `count` people a step.

  darkjax draws the targets in the step, PyTorch gets them drawn.
  """
  batch = make_batch(count, setting.size)
  return {
    "darkjax": functools.partial(bench.darkjax_training, setting, batch),
    "torch": functools.partial(torch_training, setting, batch),
  }


def inference(setting: Setting, count: int) -> Builders:
  """From uint8 crops to keypoints, no flip test; `count` people a step.

  The network is what `Pose` runs, and once more with argmax instead of DARK.
  PyTorch takes each map's maximum.
  """
  crops = make_batch(count, setting.size)["image"]
  twin = bench_inference.make_twin(setting.model)
  network = bench_inference.make_graph(
    twin, setting.size, setting.model, dtype=setting.dtype
  )
  plain = dataclasses.replace(network, method="argmax")
  return {
    "darkjax": functools.partial(darkjax_inference, network, crops),
    "darkjax-argmax": functools.partial(darkjax_inference, plain, crops),
    "torch": functools.partial(torch_inference, twin, crops, setting),
  }


TASKS = {"training": training, "inference": inference}


class TorchProcess:
  """PyTorch's side of a task in a process that compiles from now on.

  With an interpreter of its own, so that JAX can trace meanwhile.
  """

  def __init__(self, task: str, setting: Setting, count: int):
    context = multiprocessing.get_context("spawn")
    self._ends, theirs = context.Pipe()
    self._process = context.Process(
      target=_serve, args=(theirs, task, setting, count), daemon=True
    )
    self._process.start()
    theirs.close()

  def ready(self, seconds: float) -> tuple[float, int]:
    """Returns the seconds of compiling and the peak of memory, bytes.

    Raises:
      TimeoutError: it is still compiling after `seconds`; it is stopped.
      RuntimeError: it failed.
    """
    if not self._ends.poll(max(seconds, 0.0)):
      self.close()
      raise TimeoutError(f"still compiling after {seconds:.0f} s more")
    answer = self._ends.recv()
    if isinstance(answer, str):
      raise RuntimeError(answer)
    return answer

  def __call__(self, steps: int) -> None:
    """Runs steps, as a `Runner`."""
    self._ends.send(steps)
    self._ends.recv()

  def close(self) -> None:
    """Ends the process, and frees its memory."""
    self._process.kill()
    self._process.join()


def _serve(ends, task: str, setting: Setting, count: int) -> None:
  """Builds PyTorch's side, runs a step, then as many as is asked for."""
  try:
    start = time.perf_counter()
    run = TASKS[task](setting, count)["torch"]()
    run(1)
    ends.send((time.perf_counter() - start, peak_bytes("torch")))
  except Exception as error:
    traceback.print_exc()
    ends.send(f"{type(error).__name__}: {error}"[:500])
    return
  while True:
    run(ends.recv())
    ends.send(None)


def darkjax_inference(network, crops) -> Runner:
  """A graph as `JaxBackend` compiles it."""
  locate = xla_options.tuned(jax.jit(network.locate))
  matrices = np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))
  arguments = jax.device_put((network.variables, crops, matrices))

  def run(steps):
    for _ in range(steps):
      keypoints = locate(*arguments)
    jax.block_until_ready(keypoints)

  return run


def torch_training(setting, batch) -> Runner:
  """The twin, channels-last, in torch.autocast."""
  twin = bench_inference.make_twin(setting.model)
  network = _on_device(bench_inference.Located(twin).train())
  crops = torch.tensor(batch["image"], device=DEVICE)
  target, _ = step_lib.draw_targets(batch, make_convention(setting.size))
  target = torch.tensor(np.asarray(target), device=DEVICE).permute(0, 3, 1, 2)
  optimizer = torch.optim.Adam(network.parameters(), bench.RATE, fused=True)
  compute = _compiled(
    lambda: torch.nn.functional.mse_loss(network.heatmaps(crops), target),
    setting,
  )

  def run(steps):
    for _ in range(steps):
      optimizer.zero_grad()
      with bench_inference.autocast(DEVICE, setting.dtype):
        loss = compute()
      loss.backward()
      optimizer.step()
    _wait()

  return run


def torch_inference(twin, crops, setting) -> Runner:
  """The twin, channels-last, in torch.autocast, weights frozen."""
  if setting.torch_mode != "eager":
    # Folds batch norms and lays out weights ahead of time.
    torch._inductor.config.freezing = True
  network = _on_device(bench_inference.Located(twin).eval())
  crops = torch.tensor(crops, device=DEVICE)
  locate = _compiled(network, setting)

  @torch.inference_mode()
  def run(steps):
    with bench_inference.autocast(DEVICE, setting.dtype):
      for _ in range(steps):
        locate(crops)
    _wait()

  return run


def _on_device(network):
  torch.backends.cudnn.benchmark = True  # takes the fastest convolutions
  return network.to(DEVICE, memory_format=torch.channels_last)


def _compiled(function, setting):
  if setting.torch_mode == "eager":
    return function
  return torch.compile(function, mode=setting.torch_mode, dynamic=False)


def _wait() -> None:
  if DEVICE == "cuda":
    torch.cuda.synchronize()


def peak_bytes(side: str) -> int:
  """Returns the most memory of the device that a side's framework took."""
  if side.startswith("torch"):
    return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else 0
  return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)

"""Peak memory of inference and of training steps, beside PyTorch.

    pip install "darkjax[bench]"
    python scripts/bench_memory.py

HRNet-W32, each side and task in a process of its own that is started twice and
counted once, so that darkjax's programs come from the compilation cache.
Inference goes from uint8 crops to keypoints (PyTorch: maxima); a training step
is the forward and backward pass of the mean squared error and Adam, and for
darkjax the drawing of the targets too. `darkjax-remat` is train.remat=True.

Prints one line of json per process: the peak of resident memory less what was
there after imports and the first sight of the device (MiB), the median of its
seconds per step, machine and commit. With a GPU the peak is what the
framework's allocator counts.
"""

import functools
import json
import resource
import statistics
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import provenance
import unbiased
from absl import app, flags
from made_batch import make_batch

from darkjax import models
from darkjax.inference import backends, predictor
from darkjax.runtime import devices, startup
from darkjax.train import step as step_lib

MIB = 2**20
SIDES = {
  "inference": ("darkjax", "torch"),
  "training": ("darkjax", "darkjax-remat", "torch"),
}


def darkjax_steps(task: str, batch: dict[str, np.ndarray], *, remat: bool):
  """A function that runs once."""
  used = unbiased.make_convention()
  model = models.create_model("hrnet_w32", remat=remat)
  if task == "inference":
    images = jax.ShapeDtypeStruct((1, *used.crop_size, 3), np.float32)
    variables = jax.device_get(model.lazy_init(jax.random.key(0), images))
    network = predictor.Predictor(model, variables, used, flip_test=False)
    find = backends.JaxBackend(network)
    arrays = batch["image"], batch["image_from_heatmap"]
    return lambda: jax.block_until_ready(find(*arrays, rest=False))
  optimizer = optax.adam(1e-3)
  state = step_lib.create_state(
    jax.random.key(0), model, optimizer, crop_size=used.crop_size
  )
  one = functools.partial(
    step_lib.train_step, model=model, optimizer=optimizer, convention=used
  )
  step = devices.map_step(one)
  sharded = {name: array[None] for name, array in batch.items()}
  states = [jax.tree.map(lambda leaf: leaf[None], state)]
  del state

  def run():
    states[0], metrics = step(states[0], sharded)
    jax.block_until_ready(metrics)

  return run


def torch_steps(task: str, batch: dict[str, np.ndarray]):
  """The same in PyTorch, channels-last."""
  import torch
  from bench_inference import make_twin

  device = "cuda" if torch.cuda.is_available() else "cpu"
  network = make_twin().to(device, memory_format=torch.channels_last)
  crops = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2).to(device)

  def pixels():
    images = crops.to(memory_format=torch.channels_last)
    return (images.float() / 255 - 0.45) / 0.23

  @torch.inference_mode()
  def find():
    return [x.cpu() for x in network(pixels()).flatten(2).max(-1)]

  if task == "inference":
    return find
  network.train()
  height, width = (side // 4 for side in batch["image"].shape[1:3])
  target = torch.rand((len(crops), 17, height, width), device=device)
  optimizer = torch.optim.Adam(network.parameters(), 1e-3)

  def run():
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(network(pixels()), target)
    loss.backward()
    optimizer.step()
    return loss.item()

  return run


def measure(task: str, side: str) -> dict[str, float]:
  """Runs one side in this process."""
  import torch  # on both sides, so that the baseline is the same

  flag = flags.FLAGS
  jax.device_put(0).block_until_ready()
  batch = make_batch(flag.batch)
  before = _peak(torch)
  if side == "torch":
    run = torch_steps(task, batch)
  else:
    run = darkjax_steps(task, batch, remat=side.endswith("remat"))
  seconds = []
  for _ in range(flag.steps):
    start = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - start)
  return {
    "peak_mib": round((_peak(torch) - before) / MIB),
    "seconds": round(statistics.median(seconds[1:]), 3),
  }


def _peak(torch) -> int:
  """Bytes, of the GPU's allocator or of resident memory."""
  if torch.cuda.is_available():
    stats = jax.devices()[0].memory_stats() or {}
    own = torch.cuda.max_memory_allocated()
    return max(stats.get("peak_bytes_in_use", 0), own)
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(argv: list[str]) -> None:
  """Starts a process for each side and task, or is one of them."""
  flag = flags.FLAGS
  startup.start()
  if flag.process:
    print(json.dumps(measure(*flag.process)), flush=True)
    return
  constant = {
    "model": "hrnet_w32",
    "size": "128x96",
    "batch": flag.batch,
    "device": jax.devices()[0].device_kind,
    "machine": provenance.machine(),
    "commit": provenance.commit(),
  }
  for task in flag.tasks:
    for side in SIDES[task]:
      if side in flag.sides:
        found = _in_a_process(argv[0], task, side)
        line = {**constant, "task": task, "side": side, **found}
        print(json.dumps(line), flush=True)


def _in_a_process(script: str, task: str, side: str) -> dict[str, float]:
  flag = flags.FLAGS
  command = [sys.executable, script, f"--process={task},{side}"]
  command += [f"--batch={flag.batch}"]
  if side != "torch":  # fills the compilation cache
    subprocess.run([*command, "--steps=2"], check=True, capture_output=True)
  command += [f"--steps={flag.steps}"]
  done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
  return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
  flags.DEFINE_list("tasks", list(SIDES), "inference, training.")
  flags.DEFINE_list("sides", list(SIDES["training"]), "Which of the sides.")
  flags.DEFINE_integer("batch", 16, "Crops at once.")
  flags.DEFINE_integer("steps", 4, "Of each process; the first is not timed.")
  flags.DEFINE_list("process", None, "Internal: one task and side.")
  app.run(main)

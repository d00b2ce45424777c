"""Benchmark of the memory of inference and training, beside PyTorch.

    pip install "darkjax[bench]"
    python scripts/bench_memory.py

HRNet-W32, each side and task in a process of its own that is started twice and
counted once, so that darkjax's programs come from the compilation cache.
Inference goes from uint8 crops to keypoints (PyTorch: maxima); a training step
is the forward and backward pass of the mean squared error and Adam, and for
darkjax the drawing of the targets too. `darkjax-remat` is train.remat=True.

Prints one line of json per process: the peak of resident memory less that after
imports and initialising the device (MiB), the median of its seconds per step,
machine and commit. With a GPU the peak is that of the framework's allocator.
"""

import functools
import json
import resource

import bench
import jax
import numpy as np
import optax

from darkjax import models
from darkjax.inference import backends, predictor
from darkjax.runtime import command, devices, startup
from darkjax.train import step as step_lib

MIB = 2**20
SIDES = {
  "inference": ("darkjax", "torch"),
  "training": ("darkjax", "darkjax-remat", "torch"),
}


def darkjax_steps(task: str, batch: dict[str, np.ndarray], *, remat: bool):
  """Returns a function that runs one step."""
  used = bench.make_convention()
  model = models.create_model("hrnet_w32", remat=remat)
  if task == "inference":
    images = jax.ShapeDtypeStruct((1, *used.crop_size, 3), np.float32)
    variables = jax.device_get(model.lazy_init(jax.random.key(0), images))
    network = predictor.Graph(model, variables, used, flip_test=False)
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


def measure(task: str, side: str, flags) -> dict[str, float]:
  """Runs one side in this process."""
  import torch  # on both sides, so that the baseline is the same

  jax.device_put(0).block_until_ready()
  batch = bench.make_batch(flags.batch)
  before = _peak(torch)
  if side == "torch":
    run = torch_steps(task, batch)
  else:
    run = darkjax_steps(task, batch, remat=side.endswith("remat"))
  times = bench.take_turns({side: run}, flags.steps - 1)[side]
  return {
    "peak_mib": round((_peak(torch) - before) / MIB),
    "seconds": round(float(np.median(times)), 3),
  }


def _peak(torch) -> int:
  """Returns bytes, of the GPU's allocator or of resident memory."""
  if torch.cuda.is_available():
    stats = jax.devices()[0].memory_stats() or {}
    own = torch.cuda.max_memory_allocated()
    return max(stats.get("peak_bytes_in_use", 0), own)
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(flags: command.Flags, arguments) -> None:
  """Starts a process for each side and task, or is one of them."""
  del arguments
  startup.start()
  if flags.process:
    print(json.dumps(measure(*flags.process, flags)), flush=True)
    return
  for task in flags.tasks:
    for side in filter(flags.sides.__contains__, SIDES[task]):
      bench.show(
        model="hrnet_w32",
        size="128x96",
        batch=flags.batch,
        device=jax.devices()[0].device_kind,
        task=task,
        side=side,
        **_in_a_process(task, side, flags),
      )


def _in_a_process(task: str, side: str, flags) -> dict[str, float]:
  script = (__file__, f"--process={task},{side}", f"--batch={flags.batch}")
  if side != "torch":  # fills the compilation cache
    bench.run_again(*script, "--steps=2")
  return json.loads(bench.run_again(*script, f"--steps={flags.steps}"))


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.list("tasks", list(SIDES), "inference, training.")
  define.list("sides", list(SIDES["training"]), "Sides to measure.")
  define.integer("batch", 16, "Crops at once.")
  define.integer("steps", 4, "Steps of a process; the first is not timed.", 2)
  define.list("process", None, "Internal: one task and side.")


if __name__ == "__main__":
  command.run(main, define_flags)

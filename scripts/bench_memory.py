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

from darkjax import models
from darkjax.inference import predictor
from darkjax.runtime import command, startup

MIB = 2**20
SETTING = bench.Setting("hrnet_w32", (128, 96), "float32", "eager")
SIDES = {
  "inference": ("darkjax", "torch"),
  "training": ("darkjax", "darkjax-remat", "torch"),
}


def make_side(task: str, side: str, batch: dict[str, np.ndarray]):
  """Returns a function that runs one step of gpu_sides.py, PyTorch eagerly."""
  import gpu_sides  # PyTorch
  from bench_inference import make_twin

  setting = SETTING._replace(remat=side.endswith("remat"))
  if task == "training" and side == "torch":
    run = gpu_sides.torch_training(setting, batch)
  elif task == "training":
    run = bench.darkjax_training(setting, batch)
  elif side == "torch":
    run = gpu_sides.torch_inference(make_twin(), batch["image"], setting)
  else:
    used, model = bench.make_convention(), models.create_model("hrnet_w32")
    images = jax.ShapeDtypeStruct((1, *used.crop_size, 3), np.float32)
    variables = jax.device_get(model.lazy_init(jax.random.key(0), images))
    network = predictor.Predictor(model, variables, used, flip_test=False)
    run = gpu_sides.darkjax_inference(network, batch["image"])
  return functools.partial(run, 1)


def measure(task: str, side: str, flags) -> dict[str, float]:
  """Runs one side in this process."""
  import torch  # on both sides, so that the baseline is the same

  jax.device_put(0).block_until_ready()
  batch = bench.make_batch(flags.batch)
  before = _peak(torch)
  run = make_side(task, side, batch)
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


def main(flags: command.Flags, _) -> None:
  """Starts a process for each side and task, or is one of them."""
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

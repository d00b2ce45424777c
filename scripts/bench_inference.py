"""Images per second of inference, beside PyTorch and ONNX Runtime.

    pip install "darkjax[bench]"
    python scripts/bench_inference.py --size=128x96 --batches=1,8

From uint8 crops in memory to keypoints in memory, without flip test, HRNet-W32
with one set of weights on all sides:

  darkjax              the network as trained, batch norms and all
  darkjax-folded       what `Pose` runs
  darkjax-onnxruntime  what `Pose(backend="onnxruntime")` runs
  torch-eager          PyTorch, channels-last
  torch-compile        the same under torch.compile with frozen weights
  onnxruntime          the PyTorch network exported by torch.onnx

Sides of darkjax decode by DARK, the others take the maximum, which is less
work. All sides run in turn in one process, `--repeats` times, a pause after
each so that no threads of one wait for work in the time of the next. Prints one
line of json per side and batch: medians, ratio to torch-eager, seconds of the
first call (compilation; kept programs shorten it), machine and commit. On a
machine with a GPU, JAX and PyTorch use it and ONNX Runtime the CPU.
"""

import functools
import io
import json
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
import provenance
import torch
import torch_twins
import unbiased
from absl import app, flags

from darkjax import convention, inference, models
from darkjax.inference import backends, predictor
from darkjax.models import weights
from darkjax.runtime import startup

Runner = Callable[[np.ndarray], np.ndarray]


def darkjax_plain(twin: torch_twins.HRNet, size: tuple[int, int]) -> Runner:
  """The functions of darkjax.inference on weights as they were trained."""
  made = make_graph(twin, size)
  variables = jax.device_put(_variables(twin, made.model))

  @jax.jit
  def find(variables, crops, matrices):
    heatmaps = inference.predict_heatmaps(
      made.model,
      variables,
      crops,
      convention=made.convention,
      flip_test=False,
    )
    return inference.locate(heatmaps, matrices, convention=made.convention)

  return lambda crops: jax.tree.map(
    np.asarray, find(variables, crops, _matrices(crops))
  )


def darkjax_backend(name: str, twin, size) -> Runner:
  """A backend of `Pose`."""
  find = backends.BACKENDS[name](make_graph(twin, size))
  return lambda crops: jax.tree.map(
    np.asarray, find(crops, _matrices(crops), rest=False)
  )


def torch_network(twin, size, *, compiled: bool) -> Runner:
  """PyTorch, channels-last; on the GPU if there is one."""
  del size
  device = "cuda" if torch.cuda.is_available() else "cpu"
  network = Located(twin).eval().to(device, memory_format=torch.channels_last)
  if compiled:
    # Folds batch norms and lays out weights ahead of time.
    torch._inductor.config.freezing = True
    network = torch.compile(network, dynamic=False)
  dtype = getattr(torch, flags.FLAGS.dtype)

  @torch.inference_mode()
  def run(crops):
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
      found = network(torch.from_numpy(crops).to(device))
    return [part.cpu().numpy() for part in found]

  return run


def plain_onnxruntime(twin, size) -> Runner:
  """PyTorch's exporter and ONNX Runtime, batch size open."""
  import onnxruntime

  file = io.BytesIO()
  torch.onnx.export(
    Located(twin).eval(),
    (torch.zeros((2, *size, 3), dtype=torch.uint8),),
    file,
    input_names=["crops"],
    dynamic_axes={"crops": {0: "b"}},
    dynamo=False,
  )
  session = onnxruntime.InferenceSession(
    file.getvalue(), providers=["CPUExecutionProvider"]
  )
  return lambda crops: session.run(None, {"crops": crops})


class Located(torch.nn.Module):
  """Normalises crops [B, H, W, 3], runs a twin, takes each map's maximum."""

  def __init__(self, twin: torch_twins.HRNet):
    super().__init__()
    self.twin = twin
    for name in ("mean", "std"):
      value = getattr(convention, f"PIXEL_{name.upper()}")
      value = torch.tensor(np.asarray(value, np.float32))
      self.register_buffer(name, value.reshape(3, 1, 1))

  def forward(self, crops):
    """[B, H, W, 3] uint8 -> [B, K] scores and cells of the map."""
    return self.heatmaps(crops).flatten(2).max(-1)

  def heatmaps(self, crops):
    """[B, H, W, 3] uint8 -> [B, K, H/4, W/4]."""
    pixels = crops.permute(0, 3, 1, 2).float() / 255.0
    return self.twin((pixels - self.mean) / self.std)


SIDES = {
  "darkjax": darkjax_plain,
  "darkjax-folded": functools.partial(darkjax_backend, "jax"),
  "darkjax-onnxruntime": functools.partial(darkjax_backend, "onnxruntime"),
  "torch-eager": functools.partial(torch_network, compiled=False),
  "torch-compile": functools.partial(torch_network, compiled=True),
  "onnxruntime": plain_onnxruntime,
}


def make_twin(name: str = "hrnet_w32") -> torch_twins.HRNet:
  """PyTorch's HRNet with random weights, those of darkjax's too."""
  torch.manual_seed(0)
  return torch_twins.HRNet(17, **torch_twins.HRNETS[name]).eval()


def make_graph(
  twin, size: tuple[int, int], name: str = "hrnet_w32"
) -> predictor.Predictor:
  """The twin's network in darkjax; batch norms are folded."""
  model = models.create_model(name, dtype=flags.FLAGS.dtype)
  return predictor.Predictor(
    model,
    _variables(twin, model),
    unbiased.make_convention(size),
    flip_test=False,
  )


def _variables(twin, model):
  return weights.load_torch_weights(twin.body.state_dict(), model)


def _matrices(crops) -> np.ndarray:
  """Some image_from_heatmap for each crop."""
  return np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))


def interleaved(
  runners: dict[str, Runner], crops: np.ndarray, repeats: int
) -> dict[str, float]:
  """Median seconds of each runner, all run in turn."""
  times = {name: [] for name in runners}
  for _ in range(repeats):
    for name, run in runners.items():
      time.sleep(0.05)
      start = time.perf_counter()
      run(crops)
      times[name].append(time.perf_counter() - start)
  return {name: statistics.median(spent) for name, spent in times.items()}


def main(argv: list[str]) -> None:
  """Times the sides that the flags name."""
  del argv
  startup.start()
  flag = flags.FLAGS
  height, width = (int(side) for side in flag.size.split("x"))
  twin = make_twin()
  runners = {side: SIDES[side](twin, (height, width)) for side in flag.sides}
  constant = {
    "model": "hrnet_w32",
    "size": flag.size,
    "dtype": flag.dtype,
    "device": jax.devices()[0].device_kind,
    "machine": provenance.machine(),
    "commit": provenance.commit(),
  }
  noise = np.random.default_rng(0)
  for batch in map(int, flag.batches):
    crops = noise.integers(0, 256, (batch, height, width, 3), np.uint8)
    _measure(runners, crops, constant)


def _measure(runners, crops, constant) -> None:
  """Prints a line for each side."""
  first = {}
  for side, run in runners.items():
    start = time.perf_counter()
    run(crops)
    first[side] = time.perf_counter() - start
  seconds = interleaved(runners, crops, flags.FLAGS.repeats)
  for side, spent in seconds.items():
    line = {
      **constant,
      "side": side,
      "batch": len(crops),
      "images_per_second": round(len(crops) / spent, 2),
      "milliseconds": round(1e3 * spent, 2),
      "first_call_seconds": round(first[side], 1),
    }
    if "torch-eager" in seconds:
      line["ratio_to_torch_eager"] = round(seconds["torch-eager"] / spent, 2)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
  flags.DEFINE_string("size", "128x96", "Height x width: 128x96 or 256x192.")
  flags.DEFINE_list("batches", ["1", "8", "32"], "Crops at once.")
  flags.DEFINE_list("sides", list(SIDES), "Which of the sides.")
  flags.DEFINE_enum(
    "dtype",
    "float32",
    ["float32", "bfloat16"],
    "Of the network, in darkjax and (as autocast) PyTorch.",
  )
  flags.DEFINE_integer("repeats", 9, "Runs of each.")
  app.run(main)

"""Benchmark of inference beside PyTorch and ONNX Runtime.

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
work. All sides run in turn in one process, `--repeats` times, a pause before
each so that idle threads of one do not spin in the time of the next. Prints one
line of json per side and batch: medians, ratio to torch-eager, seconds of the
first call (compilation, less where it is cached), machine and commit. On a
machine with a GPU, JAX and PyTorch use it and ONNX Runtime the CPU.
"""

import functools
import io
from collections.abc import Callable

import bench
import jax
import numpy as np
import torch
import torch_twins

from darkjax import convention, inference, models
from darkjax.inference import backends, predictor
from darkjax.models import weights
from darkjax.runtime import startup

Runner = Callable[[np.ndarray], np.ndarray]


def darkjax_plain(twin, size, *, dtype: str) -> Runner:
  """The functions of darkjax.inference on weights as they were trained."""
  made = make_graph(twin, size, dtype=dtype)
  variables = jax.device_put(_variables(twin, made.model))

  @jax.jit
  def locate(variables, crops, matrices):
    heatmaps = inference.predict_heatmaps(
      made.model,
      variables,
      crops,
      convention=made.convention,
      flip_test=False,
    )
    return inference.locate(heatmaps, matrices, convention=made.convention)

  return lambda crops: jax.tree.map(
    np.asarray, locate(variables, crops, _matrices(crops))
  )


def darkjax_backend(name: str, twin, size, *, dtype: str) -> Runner:
  """A backend of `Pose`."""
  locate = backends.BACKENDS[name](make_graph(twin, size, dtype=dtype))
  return lambda crops: jax.tree.map(
    np.asarray, locate(crops, _matrices(crops), rest=False)
  )


def torch_network(twin, size, *, dtype: str, compiled: bool) -> Runner:
  """PyTorch, channels-last; on the GPU if there is one."""
  del size
  device = "cuda" if torch.cuda.is_available() else "cpu"
  network = Located(twin).eval().to(device, memory_format=torch.channels_last)
  if compiled:
    # Folds batch norms and lays out weights ahead of time.
    torch._inductor.config.freezing = True
    network = torch.compile(network, dynamic=False)

  @torch.inference_mode()
  def run(crops):
    with autocast(device, dtype):
      outputs = network(torch.from_numpy(crops).to(device))
    return [part.cpu().numpy() for part in outputs]

  return run


def autocast(device: str, dtype: str):
  """Returns PyTorch's context of a lower precision; none in float32."""
  return torch.autocast(
    device, getattr(torch, dtype), enabled=dtype != "float32"
  )


def plain_onnxruntime(twin, size, *, dtype: str) -> Runner:
  """PyTorch's exporter and ONNX Runtime in float32, batch size open."""
  del dtype
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
  """Returns PyTorch's HRNet with random weights."""
  torch.manual_seed(0)
  return torch_twins.HRNet(17, **torch_twins.HRNETS[name]).eval()


def make_graph(
  twin, size: tuple[int, int], name: str = "hrnet_w32", *, dtype: str
) -> predictor.Predictor:
  """Returns the twin's network in darkjax, with batch norms folded."""
  model = models.create_model(name, dtype=dtype)
  return predictor.Predictor(
    model,
    _variables(twin, model),
    bench.make_convention(size),
    flip_test=False,
  )


def _variables(twin, model):
  return weights.load_torch_weights(twin.body.state_dict(), model)


def _matrices(crops) -> np.ndarray:
  """Returns identities as image_from_heatmap [B, 2, 3]."""
  return np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))


def main(flags, _) -> None:
  """Times the sides that the flags name."""
  startup.start()
  size, twin = bench.parse_size(flags.size), make_twin()
  runners = {n: SIDES[n](twin, size, dtype=flags.dtype) for n in flags.sides}
  show = functools.partial(
    bench.show,
    model="hrnet_w32",
    size=flags.size,
    dtype=flags.dtype,
    device=jax.devices()[0].device_kind,
  )
  noise = np.random.default_rng(0)
  for batch in map(int, flags.batches):
    crops = noise.integers(0, 256, (batch, *size, 3), np.uint8)
    _measure(runners, crops, flags.repeats, show)


def _measure(runners, crops, repeats, show) -> None:
  """Prints a line for each side."""
  sides = {n: functools.partial(run, crops) for n, run in runners.items()}
  first = {name: bench.seconds(side) for name, side in sides.items()}
  times = bench.take_turns(sides, repeats, pause=0.05)
  medians = {name: float(np.median(spent)) for name, spent in times.items()}
  eager = medians.get("torch-eager")
  for side, spent in medians.items():
    show(
      side=side,
      batch=len(crops),
      images_per_second=round(len(crops) / spent, 2),
      milliseconds=round(1e3 * spent, 2),
      first_call_seconds=round(first[side], 1),
      **({"ratio_to_torch_eager": round(eager / spent, 2)} if eager else {}),
    )


def define_flags(define) -> None:
  """Adds the flags of the benchmark."""
  types = ["float32", "bfloat16"]
  define.string("size", "128x96", "Height x width: 128x96 or 256x192.")
  define.list("batches", ["1", "8", "32"], "Crops at once.")
  define.list("sides", list(SIDES), "Sides to measure.")
  define.enum(
    "dtype", types[0], types, "Type of the network; autocast in PyTorch."
  )
  define.integer("repeats", 9, "Runs of each.")


if __name__ == "__main__":
  # gpu_sides.py imports this module where ml-collections is not installed.
  from darkjax.runtime import command

  command.run(main, define_flags)

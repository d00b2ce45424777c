"""Size and speed of exported graphs beside the Python call.

    python scripts/bench_export.py --checkpoint=runs/lsp --images=lsp/images
    python scripts/bench_export.py --model=hrnet_w32 --size=128x96

Prints one json line per format and batch size. All formats run in turn in one
process, on the same crops, `--repeats` times; times are medians and include the
way of the crops to the runtime and of the keypoints back. `error_px` is the
largest distance to the Python call's keypoints. ONNX Runtime's threads do not
spin between calls, since they would take the processor from the others.
"""

import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import provenance
import unbiased
from absl import app, flags

from darkjax import models
from darkjax.data.images import photo
from darkjax.export import formats
from darkjax.inference.predictor import Predictor

Runner = Callable[[np.ndarray], np.ndarray]


def load_python(graph: Predictor, path: None) -> Runner:
  """The Python call: jitted once, weights as an argument as in `Pose`."""
  del path
  variables = jax.device_put(graph.variables)
  apply = jax.jit(graph.apply)
  return lambda crops: np.asarray(apply(variables, crops))


def load_stablehlo(graph: Predictor, path: pathlib.Path) -> Runner:
  """What jax.export reads."""
  del graph
  exported = jax.export.deserialize(bytearray(path.read_bytes()))
  call = jax.jit(exported.call)
  return lambda crops: np.asarray(call(crops))


def load_onnx(graph: Predictor, path: pathlib.Path) -> Runner:
  """ONNX Runtime on the CPU."""
  del graph
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  options.add_session_config_entry("session.intra_op.allow_spinning", "0")
  session = onnxruntime.InferenceSession(
    path, options, providers=["CPUExecutionProvider"]
  )
  return lambda crops: session.run(["keypoints"], {"images": crops})[0]


def load_savedmodel(graph: Predictor, path: pathlib.Path) -> Runner:
  """TensorFlow."""
  del graph
  import tensorflow as tf

  loaded = tf.saved_model.load(str(path))
  return lambda crops: loaded.find(crops)["keypoints"].numpy()


LOADERS = {
  "stablehlo": load_stablehlo,
  "onnx": load_onnx,
  "savedmodel": load_savedmodel,
}


def fresh(name: str, size: tuple[int, int], *, flip_test: bool) -> Predictor:
  """A COCO network with random weights and the convention of its size."""
  height, width = size
  model = models.create_model(name)
  variables = jax.jit(model.init)(
    jax.random.key(0), jnp.zeros((1, height, width, 3))
  )
  return Predictor(
    model,
    jax.tree.map(np.asarray, variables),
    unbiased.make_convention(size),
    flip_test=flip_test,
  )


def make_crops(graph: Predictor, folder: str | None, count: int) -> np.ndarray:
  """Whole photographs of a folder as crops, or noise without one."""
  size = graph.convention.crop_size
  if folder is None:
    noise = np.random.default_rng(0)
    return noise.integers(0, 256, (count, *size, 3), np.uint8)
  crops = []
  for path in sorted(pathlib.Path(folder).rglob("*.jpg"))[:count]:
    pixels = photo.read(path)
    height, width = pixels.shape[:2]
    box = np.array([0.0, 0.0, width, height])
    matrix = graph.convention.crop_from_box(box)[2]
    crops.append(photo.warp(pixels, matrix, size))
  return np.stack(crops)


def interleaved(
  runners: dict[str, Runner], crops: np.ndarray, repeats: int
) -> dict[str, float]:
  """Median milliseconds of each runner, all run in turn."""
  times = {name: [] for name in runners}
  for _ in range(repeats):
    for name, run in runners.items():
      start = time.perf_counter()
      run(crops)
      times[name].append(1e3 * (time.perf_counter() - start))
  return {name: statistics.median(spent) for name, spent in times.items()}


def main(argv: list[str]) -> None:
  """Exports, loads, compares and times."""
  del argv
  flag = flags.FLAGS
  constant = {"machine": provenance.machine(), "commit": provenance.commit()}
  if flag.checkpoint:
    name = pathlib.Path(flag.checkpoint).name
    graph = Predictor.from_checkpoint(flag.checkpoint, flip_test=flag.flip_test)
  else:
    name = flag.model
    height, width = (int(side) for side in flag.size.split("x"))
    graph = fresh(name, (height, width), flip_test=flag.flip_test)
  runners = {"python": load_python(graph, None)}
  facts = {"python": {}}
  with tempfile.TemporaryDirectory() as folder:
    for format in flag.formats:
      runners[format], facts[format] = _prepare(graph, format, folder)
  batches = [int(batch) for batch in flag.batches]
  crops = make_crops(graph, flag.images, max(batches))
  constant |= {
    "model": name,
    "size": "x".join(str(side) for side in graph.convention.crop_size),
    "flip_test": flag.flip_test,
  }
  for batch in batches:
    _measure(runners, facts, crops[:batch], constant)


def _prepare(graph, format, folder) -> tuple[Runner, dict[str, float]]:
  start = time.perf_counter()
  path = formats.write(graph, pathlib.Path(folder) / format, format=format)
  seconds = time.perf_counter() - start
  files = [file for file in [path, *path.rglob("*")] if file.is_file()]
  facts = {
    "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 2),
    "export_seconds": round(seconds, 1),
  }
  return LOADERS[format](graph, path), facts


def _measure(runners, facts, crops, constant) -> None:
  """Prints a line for each runner."""
  found, first = {}, {}
  for format, run in runners.items():
    start = time.perf_counter()
    found[format] = run(crops)
    first[format] = time.perf_counter() - start
  times = interleaved(runners, crops, flags.FLAGS.repeats)
  for format in runners:
    offset = found[format][..., :2] - found["python"][..., :2]
    line = {
      **constant,
      "format": format,
      "batch": len(crops),
      "milliseconds": round(times[format], 2),
      "first_call_seconds": round(first[format], 2),
      "error_px": float(np.linalg.norm(offset, axis=-1).max()),
      **facts[format],
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
  flags.DEFINE_string("checkpoint", None, "Folder of a run or of weights.")
  flags.DEFINE_string("model", "hrnet_w32", "Without a checkpoint.")
  flags.DEFINE_string("size", "128x96", "Height x width, without a checkpoint.")
  flags.DEFINE_string("images", None, "Folder of photographs; default: noise.")
  flags.DEFINE_list("formats", list(LOADERS), "Which of the formats.")
  flags.DEFINE_list("batches", ["1", "8"], "Crops at once.")
  flags.DEFINE_integer("repeats", 21, "Runs of each.")
  flags.DEFINE_bool("flip_test", True, "Average with the mirrored crop.")
  app.run(main)

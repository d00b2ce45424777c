"""Benchmark of exported graphs: size and speed beside the Python call.

    python scripts/bench_export.py --checkpoint=runs/lsp --images=lsp/images
    python scripts/bench_export.py --model=hrnet_w32 --size=128x96

Prints one json line per format and batch size. All formats run in turn in one
process, on the same crops, `--repeats` times; times are medians and include the
transfer of the crops to the runtime and of the keypoints back. `error_px` is
the largest distance to the Python call's keypoints. ONNX Runtime's threads do
not spin between calls, since they would slow down the others.
"""

import functools
import pathlib
import tempfile
import time
from collections.abc import Callable

import bench
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import models
from darkjax.data.images import photo
from darkjax.export import formats
from darkjax.inference.predictor import Predictor
from darkjax.runtime import command

Runner = Callable[[np.ndarray], np.ndarray]


def load_python(graph: Predictor, path: None) -> Runner:
  """The Python call: jitted once, weights as an argument as in `Pose`."""
  del path
  variables = jax.device_put(graph.variables)
  apply = jax.jit(graph.apply)
  return lambda crops: np.asarray(apply(variables, crops))


def load_stablehlo(graph: Predictor, path: pathlib.Path) -> Runner:
  """StableHLO, read by jax.export."""
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
  """Returns a COCO network with random weights."""
  height, width = size
  model = models.create_model(name)
  variables = jax.jit(model.init)(
    jax.random.key(0), jnp.zeros((1, height, width, 3))
  )
  return Predictor(
    model,
    jax.tree.map(np.asarray, variables),
    bench.make_convention(size),
    flip_test=flip_test,
  )


def make_crops(graph: Predictor, folder: str | None, count: int) -> np.ndarray:
  """Returns whole photographs of a folder as crops, or noise."""
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


def main(flags: command.Flags, _) -> None:
  """Exports, loads, compares and times."""
  if flags.checkpoint:
    name = pathlib.Path(flags.checkpoint).name
    graph = Predictor.from_checkpoint(
      flags.checkpoint, flip_test=flags.flip_test
    )
  else:
    name, size = flags.model, bench.parse_size(flags.size)
    graph = fresh(name, size, flip_test=flags.flip_test)
  runners = {"python": load_python(graph, None)}
  details = {"python": {}}
  with tempfile.TemporaryDirectory() as folder:
    for format in flags.formats:
      runners[format], details[format] = _prepare(graph, format, folder)
  batches = [int(batch) for batch in flags.batches]
  crops = make_crops(graph, flags.images, max(batches))
  show = functools.partial(
    bench.show,
    model=name,
    size="x".join(str(side) for side in graph.convention.crop_size),
    flip_test=flags.flip_test,
  )
  for batch in batches:
    _measure(runners, details, crops[:batch], flags.repeats, show)


def _prepare(graph, format, folder) -> tuple[Runner, dict[str, float]]:
  start = time.perf_counter()
  path = formats.write(graph, pathlib.Path(folder) / format, format=format)
  seconds = time.perf_counter() - start
  files = [file for file in [path, *path.rglob("*")] if file.is_file()]
  details = {
    "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 2),
    "export_seconds": round(seconds, 1),
  }
  return LOADERS[format](graph, path), details


def _measure(runners, details, crops, repeats, show) -> None:
  """Prints a line for each runner."""
  sides = {n: functools.partial(run, crops) for n, run in runners.items()}
  first = {name: bench.seconds(side) for name, side in sides.items()}
  keypoints = {name: side()[..., :2] for name, side in sides.items()}
  for format, times in bench.take_turns(sides, repeats).items():
    offset = keypoints[format] - keypoints["python"]
    show(
      format=format,
      batch=len(crops),
      milliseconds=round(1e3 * float(np.median(times)), 2),
      first_call_seconds=round(first[format], 2),
      error_px=float(np.linalg.norm(offset, axis=-1).max()),
      **details[format],
    )


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.string("checkpoint", None, "Folder of a run or of weights.")
  define.string("model", "hrnet_w32", "Network, without a checkpoint.")
  define.string("size", "128x96", "Height x width, without a checkpoint.")
  define.string("images", None, "Folder of photographs; default: noise.")
  define.list("formats", list(LOADERS), "Formats to measure.")
  define.list("batches", ["1", "8"], "Crops at once.")
  define.integer("repeats", 21, "Runs of each.")
  define.bool("flip_test", True, "Average with the mirrored crop.")


if __name__ == "__main__":
  command.run(main, define_flags)

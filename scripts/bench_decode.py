"""Benchmark of decoding beside other implementations.

  python scripts/bench_decode.py            # decoders
  python scripts/bench_decode.py --network  # share of HRNet-W32's inference

Prints one line of json per measurement, with machine and commit. All sides of
a measurement take turns of ten calls in one process; a figure is the median
over the turns, a ratio the median of the ratios within a turn. Peers
(decode_peers.py): the authors' loop, one OpenCV call for all maps, NumPy and
torch.compile on windows around the maxima, and, where it runs (with PyTorch
2.10), PyPI's heatmaps-to-keypoints 0.0.4:
pip install "torch==2.10.*" heatmaps-to-keypoints==0.0.4, best in an environment
of its own. `maximum` is not a decoder but a plain jnp.max over each map, the
time to read the memory. `distance` is the largest in px to
decode_heatmaps(border="official") over all keypoints.

The network is measured with random weights, which take as long as trained ones.
"""

import functools
import os

import bench
import jax
import jax.numpy as jnp
import numpy as np

from darkjax import decode_heatmaps, inference, models, render_heatmaps
from darkjax.runtime import command, startup

# (people, keypoints, height, width), σ of the Gaussians and the kernel to it.
SHAPES = (
  ((32, 17, 64, 48), 2.0, 11),
  ((32, 17, 64, 48), 3.0, 17),
  ((32, 17, 32, 24), 1.0, 3),
  ((32, 17, 32, 24), 2.0, 11),
  ((8, 133, 96, 72), 3.0, 17),
)
SLOW = {"authors' loop", "heatmaps-to-keypoints"}
take_turns = functools.partial(bench.take_turns, calls=10, seldom=SLOW)


def main(flags: command.Flags, _) -> None:
  """Measures decoders, or with --network their share of an inference."""
  startup.start()
  if flags.network:
    for batch_size in (8, 32):
      measure_network(batch_size, max(flags.turns // 20, 1))
    return
  for shape, sigma, blur_kernel in SHAPES:
    measure_decoders(shape, sigma, blur_kernel, flags.turns)


def measure_decoders(shape, sigma: float, blur_kernel: int, turns: int) -> None:
  """Times every decoder on maps [N, K, H, W] with a Gaussian each."""
  # Idle threads of the peers would spin on the cores that the next side needs.
  os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
  os.environ.setdefault("OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER", "0")
  os.environ.setdefault("OPENCV_THREAD_POOL_ACTIVE_WAIT_MAIN", "0")
  import decode_peers  # needs torch and OpenCV, which --network does not
  import torch

  maps = draw(shape, sigma)
  images = jnp.asarray(maps.transpose(0, 2, 3, 1))
  ours = functools.partial(decode_heatmaps, blur_kernel=blur_kernel)
  sides = {
    "dark": lambda: jax.block_until_ready(ours(images)),
    "dark, official border": lambda: jax.block_until_ready(
      ours(images, border="official")
    ),
    "argmax": lambda: jax.block_until_ready(
      decode_heatmaps(images, method="argmax")
    ),
    "maximum": functools.partial(_maximum, images),
    "authors' loop": lambda: decode_peers.authors_loop(maps, blur_kernel),
    "OpenCV batch": lambda: decode_peers.opencv_batch(maps, blur_kernel),
    "NumPy windows": lambda: decode_peers.numpy_windows(maps, blur_kernel),
    "torch.compile": _torch(
      torch.compile(decode_peers.torch_windows(blur_kernel)), maps
    ),
  }
  package = decode_peers.heatmaps_to_keypoints(blur_kernel)
  if package:
    sides["heatmaps-to-keypoints"] = _torch(package, maps)
  truth = np.asarray(sides["dark, official border"]().keypoints)
  distances = {
    name: float(np.abs(points(side()) - truth).max())
    for name, side in sides.items()
    if name != "maximum"
  }
  times = take_turns(sides, turns)
  for name, seconds in times.items():
    bench.show(
      shape=shape,
      blur_kernel=blur_kernel,
      side=name,
      milliseconds=1e3 * float(np.nanmedian(seconds)),
      dark_is_quicker_by=bench.ratio(seconds, times["dark"]),
      maxima=bench.ratio(seconds, times["maximum"]),
      distance=distances.get(name),
    )


@jax.jit
def _max_of_maps(images):
  return images.max((1, 2))


def _maximum(images):
  return jax.block_until_ready(_max_of_maps(images))


def _torch(decode, maps):
  import torch

  tensor = torch.from_numpy(maps)

  def run():
    with torch.inference_mode():
      return decode(tensor)

  return run


def draw(shape, sigma: float) -> np.ndarray:
  """Heatmaps [N, K, H, W] float32 of random points, with a little noise."""
  num_people, num_keypoints, height, width = shape
  rng = np.random.default_rng(0)
  points = rng.uniform(
    [0, 0], [width - 1, height - 1], (num_people, num_keypoints, 2)
  )
  maps = np.asarray(render_heatmaps(points, size=(height, width), sigma=sigma))
  maps = maps + rng.uniform(0, 0.01, maps.shape)
  return np.ascontiguousarray(maps.transpose(0, 3, 1, 2), np.float32)


def points(decoded) -> np.ndarray:
  """Keypoints of any side as an array."""
  return np.asarray(getattr(decoded, "keypoints", decoded))


def measure_network(batch_size: int, turns: int) -> None:
  """Times HRNet-W32 at 128×96 from crops to keypoints, by decoder."""
  model = models.create_model("hrnet_w32")
  settings = bench.make_convention()
  crops = np.zeros((batch_size, 128, 96, 3), np.uint8)
  variables = jax.jit(model.lazy_init)(
    jax.random.key(0), jax.ShapeDtypeStruct(crops.shape, jnp.float32)
  )
  image_from_heatmap = jnp.tile(jnp.eye(2, 3), (batch_size, 1, 1))

  def side(method):
    @jax.jit
    def infer(variables, crops):
      heatmaps = inference.predict_heatmaps(
        model, variables, crops, convention=settings, flip_test=False
      )
      return inference.locate(
        heatmaps, image_from_heatmap, convention=settings, method=method
      )

    return lambda: jax.block_until_ready(infer(variables, crops))

  sides = {name: side(name) for name in ("argmax", "dark")}
  times = take_turns(sides, turns)
  maps = jnp.asarray(draw((batch_size, 17, 32, 24), 1.0).transpose(0, 2, 3, 1))
  alone = take_turns(
    {
      name: functools.partial(_decode_alone, maps, name, settings.blur_kernel)
      for name in sides
    },
    10 * turns,
  )
  extra = np.median(alone["dark"]) - np.median(alone["argmax"])
  bench.show(
    network="hrnet_w32 128x96",
    batch_size=batch_size,
    images_per_second=batch_size / float(np.median(times["dark"])),
    dark_over_argmax=bench.ratio(times["dark"], times["argmax"]),
    alone_share=float(extra / np.median(times["argmax"])),
  )


def _decode_alone(maps, method, blur_kernel):
  decoded = decode_heatmaps(maps, method=method, blur_kernel=blur_kernel)
  return jax.block_until_ready(decoded)


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  define.bool("network", False, "Measure inside HRNet-W32's inference.")
  define.integer("turns", 100, "How often each side is timed.")


if __name__ == "__main__":
  command.run(main, define_flags)

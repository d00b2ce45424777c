"""Random maps through every decoder: no NaN, no point outside, the right one.

    python scripts/fuzz_decode.py --count=100000 --seed=0

Draws maps of many kinds (see `KINDS`) in three sizes, decodes them, and prints
a markdown row for each decoder:

  maps       decoded
  NaN        coordinates that are not finite
  outside    points outside the map
  far        points further than 1.5 px from the maximum, where the decoder
             promises less
  scores     scores of finite maps that are not their maximum
  compared   maps on which the slow reference of tests/reference.py is defined,
             and float32 can follow it to `TOLERANCE` (see `official_error`)
  worst      largest difference from it there, px

"refine" has no slow twin; it is compared with the truth of clean Gaussians that
are far from the border. Exit status 1 where a column of faults is not 0, or a
difference exceeds the tolerance. Needs the extra "test" (OpenCV).
"""

import pathlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from absl import app, flags

from darkjax.heatmaps import dark, decode_heatmaps, render_heatmaps

BATCH, KEYPOINTS = 100, 5
SIZES = ((20, 17), (5, 5), (64, 48))  # height, width
SIGMA = 2.0  # px
DECODERS = {
  "argmax": {"method": "argmax"},
  "standard, sign": {"method": "standard"},
  "standard, eq1": {"method": "standard", "standard": "eq1"},
  "dark, refine, k 3": {"blur_kernel": 3},
  "dark, refine, k 11": {"blur_kernel": 11},
  "dark, official, k 3": {"blur_kernel": 3, "border": "official"},
  "dark, official, k 11": {"blur_kernel": 11, "border": "official"},
}
TOLERANCE = 1e-4  # px; also the bound of refine on clean Gaussians
# Float32 loses digits below; XLA takes what is below 1e-38 for 0.
SMALLEST_MAXIMUM, LARGEST_MAXIMUM = 1e-30, 1e30
CLEAN = "gaussian"
MARGIN = 6 * SIGMA  # px around clean Gaussians: the blur sees nearly all


class Maps(NamedTuple):
  """A batch: maps [N, H, W, K] float32 and what was drawn, [N, K, 2] px."""

  kind: str
  heatmaps: np.ndarray
  points: np.ndarray


class Tally:
  """Faults and differences of one decoder."""

  def __init__(self):
    self.maps = self.nan = self.outside = self.far = self.scores = 0
    self.compared, self.worst = 0, 0.0

  @property
  def passed(self) -> bool:
    """Whether nothing is wrong."""
    faults = self.nan + self.outside + self.far + self.scores
    return not faults and self.worst <= TOLERANCE


def _gaussians(rng, size, points) -> np.ndarray:
  del rng
  return np.asarray(render_heatmaps(points, size=size, sigma=SIGMA))


def _noise(rng, size, points):
  del points
  return rng.normal(size=(BATCH, *size, KEYPOINTS))


def _spikes(rng, size, points):
  shape = _noise(rng, size, points).shape
  return rng.random(shape) * (rng.random(shape) > 0.97)


def _ramps(rng, size, points):
  del points
  y, x = np.mgrid[: size[0], : size[1]][..., None]
  slopes = rng.normal(size=(2, BATCH, 1, 1, KEYPOINTS))
  return slopes[0] * x + slopes[1] * y


def _extremes(rng, size, points):
  scale = 10.0 ** rng.uniform(-44, 38, (BATCH, 1, 1, KEYPOINTS))
  return np.clip(_noise(rng, size, points) * scale, -3e38, 3e38)


def _deep_ground(rng, size, points):
  """Spikes out of negative ground, whose blurred map can be negative."""
  ground = -rng.random((BATCH, 1, 1, KEYPOINTS)) * rng.random(
    (BATCH, *size, KEYPOINTS)
  )
  scale = 10.0 ** rng.uniform(-44, 38, (BATCH, 1, 1, KEYPOINTS))
  return (ground + _spikes(rng, size, points)) * scale


def _not_finite(rng, size, points):
  maps = _gaussians(rng, size, points).copy()
  bad = rng.choice([np.nan, np.inf, -np.inf], maps.shape)
  return np.where(rng.random(maps.shape) < 0.02, bad, maps)


KINDS = {
  CLEAN: _gaussians,
  "noisy gaussian": lambda rng, size, points: (
    _gaussians(rng, size, points) + 0.1 * _noise(rng, size, points)
  ),
  "two gaussians": lambda rng, size, points: (
    _gaussians(rng, size, points) + 0.97 * _gaussians(rng, size, points[::-1])
  ),
  "noise": _noise,
  "negative": lambda rng, size, points: -1.0 - _gaussians(rng, size, points),
  "spikes": _spikes,
  "ramps": _ramps,
  "ties": lambda rng, size, points: rng.integers(
    -1, 2, (BATCH, *size, KEYPOINTS)
  ),
  "extremes": _extremes,
  "deep ground": _deep_ground,
  "not finite": _not_finite,
}


def batches(seed: int) -> Iterator[Maps]:
  """Endless batches, kind after kind and size after size."""
  rng = np.random.default_rng(seed)
  while True:
    for kind, make in KINDS.items():
      for size in SIZES:
        last = np.array(size[::-1]) - 1.0
        points = rng.uniform(-1.0, last + 1.0, (BATCH, KEYPOINTS, 2))
        with np.errstate(over="ignore", under="ignore"):
          heatmaps = np.float32(make(rng, size, points.astype(np.float32)))
        yield Maps(kind, heatmaps, points)


def count_faults(tally: Tally, name: str, maps: Maps, decoded) -> None:
  """Adds what needs no reference."""
  keypoints = np.asarray(decoded.keypoints)
  height, width = maps.heatmaps.shape[1:3]
  inside = (keypoints >= 0) & (keypoints <= [width - 1, height - 1])
  finite_maps = np.isfinite(maps.heatmaps).all((1, 2))
  tally.maps += finite_maps.size
  tally.nan += int((~np.isfinite(keypoints)).any(-1).sum())
  tally.outside += int((~inside).any(-1).sum())
  maxima = maps.heatmaps.max((1, 2))
  normal = finite_maps & (np.abs(maxima) > SMALLEST_MAXIMUM)
  tally.scores += int((np.asarray(decoded.scores) != maxima)[normal].sum())
  if "official" not in name:
    start = decode_heatmaps(maps.heatmaps, method="argmax").keypoints
    shift = np.linalg.norm(keypoints - np.asarray(start), axis=-1)
    tally.far += int((shift > dark.MAX_SHIFT)[normal].sum())


def compare(tally: Tally, name: str, maps: Maps, decoded, reference) -> None:
  """Adds the differences from the slow reference, where it is defined."""
  keypoints = np.asarray(decoded.keypoints)
  for n, k in np.ndindex(keypoints.shape[:2]):
    heatmap = maps.heatmaps[n, ..., k].astype(np.float64)
    if not np.isfinite(heatmap).all():
      continue
    if not SMALLEST_MAXIMUM < abs(heatmap.max()) < LARGEST_MAXIMUM:
      continue
    expected = _expected(name, maps, heatmap, (n, k), reference)
    if expected is not None:
      tally.compared += 1
      difference = np.linalg.norm(keypoints[n, k] - expected)
      tally.worst = max(tally.worst, float(difference))


def _expected(name, maps, heatmap, index, reference) -> np.ndarray | None:
  """The point to expect, or None where nothing is defined."""
  last = np.array(heatmap.shape[::-1]) - 1.0
  if name == "argmax":
    return reference.argmax_point(heatmap)
  if name == "standard, sign":
    return reference.sign_point(heatmap)
  if name == "standard, eq1":
    return reference.eq1_point(heatmap)
  if "official" in name:
    kernel = DECODERS[name]["blur_kernel"]
    point, hessian = reference.dark_point(heatmap, kernel)
    error = official_error(heatmap, kernel, point, hessian, reference)
    return np.clip(point, 0.0, last) if error < TOLERANCE / 2 else None
  point = maps.points[index]
  reached = (point < MARGIN).any() or (point > last - MARGIN).any()
  # k 3 is no Gaussian, and so has a bias of its own (see heatmaps/dark.py).
  if maps.kind != CLEAN or reached or DECODERS[name]["blur_kernel"] == 3:
    return None
  return point


def official_error(heatmap, blur_kernel, point, hessian, reference) -> float:
  """What float32 may lose of the official point, px.

  A blurred value b that sums terms of total size a is off by about 4e-7 a, and
  so its logarithm by 4e-7 a / |b|, to which 2e-6 of the logarithm itself come.
  Through the Hessian with the smallest eigenvalue e, a step s is then off by
  that times (1 + |s|) / e.
  """
  if hessian is None:
    return 0.0
  x, y = reference.argmax_point(heatmap).astype(int)
  near = np.s_[y - 2 : y + 3, x - 2 : x + 3]
  blurred = reference.modulated_map(heatmap, blur_kernel)
  if blurred.max() < 1e-5 * heatmap.max():  # its scale is rounding noise
    return np.inf
  total = reference.modulated_map(np.abs(heatmap), blur_kernel)[near]
  lost = np.max(total / np.maximum(np.abs(blurred[near]), 1e-300))
  smallest = np.abs(np.linalg.eigvalsh(hessian)).min()
  step = np.linalg.norm(point - [x, y])
  return (2e-6 + 4e-7 * lost) * (1 + step) / max(smallest, 1e-300)


def fuzz(count: int, seed: int) -> dict[str, Tally]:
  """Decodes `count` maps by every decoder."""
  sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))
  import reference

  tallies, stream, done = {name: Tally() for name in DECODERS}, batches(seed), 0
  while done < count:
    maps = next(stream)
    # Whole rows are decoded, so that no new shape compiles.
    rows = min(BATCH, -(-(count - done) // KEYPOINTS))
    kept = Maps(maps.kind, maps.heatmaps[:rows], maps.points[:rows])
    for name, options in DECODERS.items():
      decoded = decode_heatmaps(maps.heatmaps, **options)
      decoded = jax.tree.map(lambda part, n=rows: np.asarray(part)[:n], decoded)
      count_faults(tallies[name], name, kept, decoded)
      compare(tallies[name], name, kept, decoded, reference)
    done += rows * KEYPOINTS
  return tallies


def table(tallies: dict[str, Tally]) -> str:
  """The tallies as markdown."""
  columns = ("maps", "nan", "outside", "far", "scores", "compared", "worst")
  lines = [["decoder", *columns], ["---"] * 8]
  for name, tally in tallies.items():
    counts = [str(getattr(tally, column)) for column in columns[:-1]]
    lines.append([name, *counts, f"{tally.worst:.1e}"])
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv) -> None:
  """Fuzzes as the flags say."""
  del argv
  tallies = fuzz(flags.FLAGS.count, flags.FLAGS.seed)
  print(table(tallies))
  if not all(tally.passed for tally in tallies.values()):
    sys.exit("a decoder broke a promise: see the table")


if __name__ == "__main__":
  flags.DEFINE_integer("count", 100_000, "Maps, by every decoder.")
  flags.DEFINE_integer("seed", 0, "Of the maps.")
  app.run(main)

"""Real heatmaps with labels, for decode_published.py, and their errors."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from darkjax import geometry

NEAR = 2.0  # heatmap px from the label: right but for the fraction
RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percent


class Network(NamedTuple):
  """The heatmaps of one network and the labels of N people."""

  name: str
  heatmaps: np.ndarray  # [N, H, W, K] float32
  image_from_heatmap: np.ndarray  # [N, 2, 3], px
  keypoints_image: np.ndarray  # [N, K, 2], px
  labelled: np.ndarray  # [N, K] bool
  torso: np.ndarray  # [N] px
  names: tuple[str, ...]  # of the keypoints

  def shares(self, points: np.ndarray) -> np.ndarray:
    """Returns errors [N, K] of points [N, K, 2], heatmap px, in torsos."""
    found = geometry.apply_affine(self.image_from_heatmap, points)
    distance = np.linalg.norm(found - self.keypoints_image, axis=-1)
    return distance / self.torso[:, None]

  def offsets(self, points: np.ndarray) -> np.ndarray:
    """Returns points minus labels [N, K, 2], heatmap px."""
    inverse = geometry.invert(self.image_from_heatmap)
    return points - geometry.apply_affine(inverse, self.keypoints_image)

  def near(self, offsets: np.ndarray) -> np.ndarray:
    """Returns [N, K], whether a labelled point is within `NEAR` of it."""
    return self.labelled & (np.linalg.norm(offsets, axis=-1) <= NEAR)


def read(folder: str | pathlib.Path) -> list[Network]:
  """Reads every .npz of a folder, see the flag --heatmaps.

  Raises:
    ValueError: the folder has none.
  """
  paths = sorted(pathlib.Path(folder).glob("*.npz"))
  if not paths:
    raise ValueError(f"{folder} holds no .npz with heatmaps")
  return [_read(path) for path in paths]


def _read(path):
  with np.load(path) as arrays:
    labels = arrays["keypoints_image"].astype(np.float64)
    labelled = arrays["labelled"] & np.isfinite(labels).all(-1)
    return Network(
      path.stem,
      arrays["heatmaps"].astype(np.float32),
      arrays["image_from_heatmap"],
      np.where(labelled[..., None], labels, 0.0),
      labelled,
      arrays["torso"].astype(np.float64),
      tuple(map(str, arrays["names"])),
    )


def from_run(directory: str, root: str | None) -> Network:
  """Runs a checkpoint of ours over the people it was evaluated on."""
  import compare_decoders  # TensorFlow

  paths = compare_decoders.data_paths(directory, root)
  maps = compare_decoders.predict_maps(directory, *paths)
  names = maps.convention.skeleton.keypoint_names
  labels = np.where(maps.labelled[..., None], maps.truth, 0.0)
  keypoints = maps.to_image(labels)
  torso = [names.index(name) for name in ("left_shoulder", "right_hip")]
  first, second = np.moveaxis(keypoints[:, torso], 1, 0)
  kept = maps.labelled[:, torso].all(1)
  return Network(
    f"{pathlib.Path(directory).name}, σ {maps.convention.sigma:g}",
    maps.heatmaps[kept],
    maps.image_from_heatmap[kept],
    keypoints[kept],
    maps.labelled[kept],
    np.linalg.norm(first - second, axis=-1)[kept],
    names,
  )


class Bootstrap:
  """Means over labelled keypoints of resampled people, the same for all."""

  def __init__(self, network: Network, seed: int = 0):
    people = len(network.heatmaps)
    rng = np.random.default_rng(seed)
    self._labelled = network.labelled
    self._drawn = rng.multinomial(
      people, np.full(people, 1 / people), RESAMPLES
    )

  def mean(
    self, values: np.ndarray, kept: np.ndarray | None = None
  ) -> tuple[float, np.ndarray]:
    """Returns the mean of values [N, K] and that of each resample [B].

    Args:
      values: [N, K].
      kept: [N, K] bool, which of them count; None for all labelled.
    """
    kept = self._labelled if kept is None else kept
    sums, counts = np.where(kept, values, 0.0).sum(1), kept.sum(1)
    drawn = (self._drawn @ sums) / (self._drawn @ counts)
    return float(sums.sum() / counts.sum()), drawn


def gap(ours, theirs) -> str:
  """Returns the difference of two means in percent with its 95 % interval."""
  (our_mean, our_draws), (their_mean, their_draws) = ours, theirs
  low, high = 100 * np.percentile(our_draws - their_draws, INTERVAL)
  return f"{100 * (our_mean - their_mean):+.1f} [{low:+.1f}, {high:+.1f}]"


def table(columns: tuple[str, ...], rows: Mapping[str, list[str]]) -> str:
  """Returns a markdown table whose first column holds the rows' names."""
  lines = [columns, ("---",) * len(columns)]
  lines += [(name, *cells) for name, cells in rows.items()]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)

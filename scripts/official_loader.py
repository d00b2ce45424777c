"""Algorithm of the official loader, for scripts/bench_input.py.

One person at a time: the whole photograph by cv2.imread, colours swapped, half
body, scale, rotation and flip, three corresponding points to an affine,
cv2.warpAffine, every keypoint moved and its heatmap drawn. Written from the
description of deep-high-resolution-net.pytorch and DarkPose
(lib/dataset/JointsDataset.py); needs OpenCV.
"""

import json
import pathlib
import time
from typing import NamedTuple

import cv2
import numpy as np

from darkjax import geometry
from darkjax.convention import PIXEL_MEAN, PIXEL_STD, Convention
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry
from darkjax.data.prepared import PreparedDataset

STAGES = ("decode", "colour", "augment", "warp", "targets", "normalize")


class Person(NamedTuple):
  """A person of the official code."""

  path: str
  center: np.ndarray  # [2], image px
  scale: np.ndarray  # [2] (width, height), image px
  keypoints: np.ndarray  # [K, 3] (x, y, visible), image px


def people_of(
  source: PreparedDataset, images: pathlib.Path, convention: Convention
) -> list[Person]:
  """Returns every trainable person of a data set, with annotated boxes."""
  content = json.loads(source.annotations.read_text())
  names = {image["id"]: image["file_name"] for image in content["images"]}
  table = source.people
  boxes = CropGeometry([source], convention)  # cleaned, widened and padded
  return [
    Person(
      str(images / names[int(table.image_id[i])]),
      boxes.center[i],
      boxes.scale[i],
      table.keypoints[i].astype(np.float64),
    )
    for i in range(len(table))
  ]


class Loader:
  """Crops with targets, one at a time, and the time of each stage.

  Attributes:
    seconds: processor seconds by stage, added up over all examples.
  """

  def __init__(
    self, convention: Convention, augmentation: Augmentation, *, seed: int
  ):
    alignment = geometry.get_alignment(convention.alignment)
    if alignment.per_axis or convention.quantize != "none":
      raise ValueError(
        "the loader has alignment hrnet or dark and unbiased targets, got "
        f"{convention.alignment} and quantize={convention.quantize}"
      )
    cv2.setNumThreads(0)  # as in PyTorch's loader processes
    self._convention, self._augmentation = convention, augmentation
    self._rng = np.random.default_rng(seed)
    self.seconds = dict.fromkeys(STAGES, 0.0)

  def example(self, person: Person) -> tuple[np.ndarray, ...]:
    """Returns a person's crop, targets and weights.

    The crop [H, W, 3] is uint8 RGB, the same follows normalised [3, H, W];
    targets are [K, H', W'], weights [K].
    """
    started = time.process_time()

    def done(stage: str) -> None:
      nonlocal started
      now = time.process_time()
      self.seconds[stage] += now - started
      started = now

    image = cv2.imread(
      person.path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    done("decode")
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    done("colour")
    image, center, scale, rotation, keypoints = self._augment(image, person)
    convention = self._convention
    crop_from_image = self._affine(
      center, scale, rotation, convention.crop_size
    )
    done("augment")
    crop = cv2.warpAffine(
      image, crop_from_image, convention.crop_size[::-1], flags=cv2.INTER_LINEAR
    )
    done("warp")
    heatmap_from_image = self._affine(
      center, scale, rotation, convention.heatmap_size
    )
    points = [heatmap_from_image @ [x, y, 1.0] for x, y, _ in keypoints]
    targets, weights = self._targets(points, keypoints[:, 2])
    done("targets")
    normalized = _normalize(crop)
    done("normalize")
    return crop, normalized, targets, weights

  def _augment(self, image: np.ndarray, person: Person):
    """Augments: image, centre, scale, rotation (radians) and keypoints."""
    amount, rng = self._augmentation, self._rng
    center, scale = person.center.copy(), person.scale
    keypoints, rotation = person.keypoints.copy(), 0.0
    labelled = (keypoints[:, 2] > 0).sum()
    if (
      labelled > amount.half_body_min_keypoints
      and rng.random() < amount.half_body_probability
    ):
      center, scale = self._half_body(center, scale, keypoints)
    spread = amount.scale_factor
    factor = np.clip(1 + rng.standard_normal() * spread, 1 - spread, 1 + spread)
    scale = scale * factor
    if rng.random() < amount.rotation_probability:
      spread = amount.rotation_factor
      angle = rng.standard_normal() * spread
      rotation = np.clip(angle, -2 * spread, 2 * spread)
    if rng.random() < amount.flip_probability:
      last = image.shape[1] - 1
      image = image[:, ::-1]
      center[0] = last - center[0]
      keypoints[:, 0] = last - keypoints[:, 0]
      for left, right in self._convention.skeleton.flip_pairs:
        keypoints[[left, right]] = keypoints[[right, left]]
    return image, center, scale, rotation, keypoints

  def _half_body(self, center, scale, keypoints):
    """Returns centre and scale of the upper or the lower body."""
    upper, lower = [], []
    for i, (x, y, visible) in enumerate(keypoints):
      if visible > 0:
        is_upper = i in self._convention.skeleton.upper_body
        (upper if is_upper else lower).append((x, y))
    probability = self._augmentation.half_body_upper_probability
    if self._rng.random() < probability and len(upper) > 2:
      half = upper
    else:
      half = lower if len(lower) > 2 else upper
    if len(half) < 2:
      return center, scale
    points = np.array(half)
    width, height = np.ptp(points, axis=0)
    aspect = scale[0] / scale[1]
    width = max(width, height * aspect, 1.0)
    return points.mean(0), 1.5 * np.array([width, width / aspect])

  def _affine(self, center, scale, rotation, size) -> np.ndarray:
    """Returns [2, 3] by three points: centre, one above, one beside."""
    inset = geometry.get_alignment(self._convention.alignment).inset
    above = np.array([0.0, (scale[0] - inset) * -0.5])
    cos, sin = np.cos(rotation), np.sin(rotation)
    source = _three_points(center, np.array([[cos, -sin], [sin, cos]]) @ above)
    height, width = size
    middle = np.array([width - inset, height - inset]) * 0.5
    target = _three_points(middle, np.array([0.0, (width - inset) * -0.5]))
    return cv2.getAffineTransform(source, target)

  def _targets(self, points, visible) -> tuple[np.ndarray, np.ndarray]:
    """Draws the Gaussian of each labelled keypoint near the map."""
    height, width = self._convention.heatmap_size
    sigma = self._convention.sigma
    targets = np.zeros((len(points), height, width), np.float32)
    weights = (visible > 0).astype(np.float32)
    margin = 3 * sigma
    for k, (x, y) in enumerate(points):
      near_x = -margin - 1 <= x < width + margin
      near_y = -margin - 1 <= y < height + margin
      weights[k] *= near_x and near_y
      if weights[k] > 0.5:
        columns = np.arange(0, width, 1, np.float32)
        rows = np.arange(0, height, 1, np.float32)[:, None]
        squares = (columns - x) ** 2 + (rows - y) ** 2
        targets[k] = np.exp(-squares / (2 * sigma**2))
    return targets, weights


def _three_points(first: np.ndarray, offset: np.ndarray) -> np.ndarray:
  """Returns [3, 2]: a point, that at `offset`, that at its perpendicular."""
  second = first + offset
  across = first - second
  third = second + np.array([-across[1], across[0]])
  return np.stack([first, second, third]).astype(np.float32)


def _normalize(crop: np.ndarray) -> np.ndarray:
  """Returns [3, H, W] float32 as ToTensor and Normalize."""
  tensor = crop.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
  tensor -= np.array(PIXEL_MEAN, np.float32)[:, None, None]
  tensor /= np.array(PIXEL_STD, np.float32)[:, None, None]
  return tensor

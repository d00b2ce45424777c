"""Plans of batches: everything but the pixels, in NumPy.

A plan holds the fields of `schema.BATCH` without `image`, and what says how the
crop lies: `index`, the position [B] in the table of people, and
`crop_from_image` [B, 2, 3] float64. Whoever holds the pixels makes the image of
these: stored.py for image files, resident.py for packed canvases. Which person
comes when says steps.py.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data.people_table import GT_BOXES, People, clean_boxes, concatenate
from darkjax.data.pipeline import augment
from darkjax.data.pipeline.augment import Augmentation
from darkjax.skeletons import Skeleton

Plan = dict[str, np.ndarray]


class DataSet(Protocol):
  """What a plan reads of a data set: `source.Source`, `canvases.Pack`."""

  annotations: pathlib.Path
  skeleton: Skeleton
  category_ids: tuple[Any, ...] | None
  people: People
  box_source: str


@functools.lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
  """The order of an epoch, a function of (seed, epoch) alone."""
  key = np.array([seed, epoch], np.uint64)
  order = np.random.Generator(np.random.Philox(key=key)).permutation(count)
  order.flags.writeable = False
  return order


def _boxes(source: DataSet, convention: Convention) -> np.ndarray:
  """[N, 4]; the official code clips the labels' boxes, not detected ones."""
  if convention.clip_boxes and source.box_source == GT_BOXES:
    return clean_boxes(source.people, alignment=convention.alignment)
  return source.people.bbox.astype(np.float64)


class Planner:
  """Plans crops of the people of several sources.

  Attributes:
    sources: the data sets, in the order that counts.
    people: the trainable people of all sources, the first source's first.
    source_index: [N], of each person's source.
    center: [N, 2] (x, y) of the crop before it is varied, image px.
    scale: [N, 2] (width, height) of it, image px.
  """

  def __init__(self, sources: Sequence[DataSet], convention: Convention):
    self.convention = convention
    self.sources = sources
    self.people = concatenate([source.people for source in sources])
    self.source_index = np.repeat(
      np.arange(len(sources)), [len(source.people) for source in sources]
    )
    boxes = np.concatenate([_boxes(s, convention) for s in sources])
    self.center, self.scale, _ = convention.crop_from_box(boxes)

  def training(
    self, index: np.ndarray, augmentation: Augmentation, *, seed, epoch
  ) -> Plan:
    """Augmented crops of the people at `index` [B]."""
    people = self.people.rows(index)
    draws = augment.draw(
      seed=seed,
      epoch=epoch,
      sources=self.source_index[index],
      annotation_ids=people.annotation_id,
    )
    center, scale, rotation, flip = augment.augment(
      augmentation,
      draws,
      center=self.center[index],
      scale=self.scale[index],
      keypoints_image=people.keypoints[..., :2].astype(np.float64),
      visibility=people.keypoints[..., 2],
      skeleton=self.convention.skeleton,
    )
    return self._plan(index, center, scale, rotation, flip)

  def evaluation(self, index: np.ndarray) -> Plan:
    """Crops of the people at `index` [B]; past the last one is padding."""
    real = index < len(self.people)
    index = np.minimum(index, len(self.people) - 1)
    count = len(index)
    batch = self._plan(
      index,
      self.center[index],
      self.scale[index],
      np.zeros(count),
      np.zeros(count, bool),
    )
    batch["mask"] = real.astype(np.float32)
    batch["visibility"] *= real[:, None]
    for name in ("image_id", "annotation_id"):
      batch[name] = np.where(real, batch[name], -1)
    return batch

  def _plan(self, index, center, scale, rotation, flip) -> Plan:
    """Everything of a batch but the pixels, and how the crops lie."""
    people, convention = self.people.rows(index), self.convention
    crop_from_image = self._crop_from_image(
      people, center, scale, rotation, flip
    )
    heatmap_from_image = geometry.compose(
      convention.heatmap_from_crop(), crop_from_image
    )
    keypoints, visibility = self._keypoints(people, heatmap_from_image, flip)
    return {
      "index": index,
      "crop_from_image": crop_from_image,
      "keypoints_heatmap": keypoints.astype(np.float32),
      "visibility": visibility.astype(np.float32),
      "image_from_heatmap": geometry.invert(heatmap_from_image).astype(
        np.float32
      ),
      "mask": np.ones(len(index), np.float32),
      "image_id": people.image_id,
      "annotation_id": people.annotation_id,
      "score": people.score,
      "box_area": scale.prod(-1).astype(np.float32),
    }

  def _crop_from_image(
    self, people: People, center, scale, rotation, flip
  ) -> np.ndarray:
    """[B, 2, 3]; a flipped crop is the crop of the mirrored image."""
    mirror = augment.mirror(people.image_size[:, 1])
    mirrored = geometry.apply_affine(mirror, center[:, None])[:, 0]
    center = np.where(flip[:, None], mirrored, center)
    plain = self.convention.crop_from_image(center, scale, rotation)
    flipped = geometry.compose(plain, mirror)
    return np.where(flip[:, None, None], flipped, plain)

  def _keypoints(self, people: People, heatmap_from_image, flip):
    """keypoints_heatmap [B, K, 2] and visibility [B, K], sides swapped."""
    points = geometry.apply_affine(
      heatmap_from_image, people.keypoints[..., :2].astype(np.float64)
    )
    visible = people.keypoints[..., 2] > 0
    points = np.where(visible[..., None], points, 0.0)
    swap = list(self.convention.skeleton.flip_indices)
    flip = flip[:, None]
    return (
      np.where(flip[..., None], points[:, swap], points),
      np.where(flip, visible[:, swap], visible),
    )

"""Geometry of crops: all of a batch but its pixels, in NumPy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data.people_table import GT_BOXES, clean_boxes, concatenate
from darkjax.data.pipeline import appearance, augment
from darkjax.data.pipeline.augment import Augmentation

if TYPE_CHECKING:
  from darkjax.data.pack.files import Pack
  from darkjax.data.prepared import PreparedDataset

Dataset: TypeAlias = "PreparedDataset | Pack"

# The fields of `batch.BATCH` but `image`; `index` [B], rows in the table of
# people; `crop_from_image` [B, 2, 3] float64; `appearance` where pixels change.
Crops = dict[str, np.ndarray]


class CropGeometry:
  """The crops of the N people of several data sets.

  Attributes:
    datasets: in the order that augmentation is random by.
    convention: sizes and alignment.
    people: of all data sets, the first one's first.
    dataset_index: [N], of each person's data set.
    center: [N, 2] (x, y) of the crop without augmentation, image px.
    scale: [N, 2] (width, height) of it, image px.

  Raises:
    ValueError: no data set, or one of other keypoints than the convention's.
  """

  def __init__(self, datasets: Sequence[Dataset], convention: Convention):
    _check_keypoints(datasets, convention)
    self.convention = convention
    self.datasets = datasets
    self.people = concatenate([dataset.people for dataset in datasets])
    self.dataset_index = np.repeat(
      np.arange(len(datasets)), [len(dataset.people) for dataset in datasets]
    )
    boxes = np.concatenate([_boxes(d, convention) for d in datasets])
    self.center, self.scale, _ = convention.crop_from_box(boxes)

  def augmented(
    self,
    index: np.ndarray,
    augmentation: Augmentation,
    *,
    seed: int,
    epoch: int,
  ) -> Crops:
    """Returns the augmented crops of the people at `index` [B]."""
    people = self.people.rows(index)
    draws = augment.draw(
      seed=seed,
      epoch=epoch,
      datasets=self.dataset_index[index],
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
    crops = self._crops(index, center, scale, rotation, flip)
    if augmentation.changes_pixels:
      crops["appearance"] = appearance.parameters(
        augmentation, draws.appearance, self.convention.crop_size
      )
    return crops

  def padded(self, index: np.ndarray) -> Crops:
    """Returns crops without augmentation; padding for `index` [B] from N on."""
    real = index < len(self.people)
    index = np.minimum(index, len(self.people) - 1)
    center, scale = self.center[index], self.scale[index]
    rotation, flip = np.zeros(len(index)), np.zeros(len(index), bool)
    crops = self._crops(index, center, scale, rotation, flip)
    crops["mask"] = real.astype(np.float32)
    crops["visibility"] *= real[:, None]
    for name in ("image_id", "annotation_id"):
      crops[name] = np.where(real, crops[name], -1)
    return crops

  def _crops(self, index, center, scale, rotation, flip) -> Crops:
    people, convention = self.people.rows(index), self.convention
    # A flipped crop is the crop of the mirrored image.
    mirror = augment.mirror(people.image_size[:, 1])
    mirrored = geometry.apply_affine(mirror, center[:, None])[:, 0]
    center = np.where(flip[:, None], mirrored, center)
    plain = convention.crop_from_image(center, scale, rotation)
    flip = flip[:, None, None]
    crop_from_image = np.where(flip, geometry.compose(plain, mirror), plain)
    heatmap_from_image = geometry.compose(
      convention.heatmap_from_crop(), crop_from_image
    )
    image_from_heatmap = geometry.invert(heatmap_from_image)
    keypoints = geometry.apply_affine(
      heatmap_from_image, people.keypoints[..., :2].astype(np.float64)
    )
    visibility = people.keypoints[..., 2] > 0
    keypoints = np.where(visibility[..., None], keypoints, 0.0)
    swap = list(convention.skeleton.flip_indices)
    keypoints = np.where(flip, keypoints[:, swap], keypoints)
    visibility = np.where(flip[..., 0], visibility[:, swap], visibility)
    return {
      "index": index,
      "crop_from_image": crop_from_image,
      "keypoints_heatmap": keypoints.astype(np.float32),
      "visibility": visibility.astype(np.float32),
      "image_from_heatmap": image_from_heatmap.astype(np.float32),
      "mask": np.ones(len(index), np.float32),
      "image_id": people.image_id,
      "annotation_id": people.annotation_id,
      "score": people.score,
      "box_area": scale.prod(-1).astype(np.float32),
    }


def _boxes(dataset: Dataset, convention: Convention) -> np.ndarray:
  """[N, 4]; the official code clips the labels' boxes, not detected ones."""
  if convention.clip_boxes and dataset.box_source == GT_BOXES:
    return clean_boxes(dataset.people, alignment=convention.alignment)
  return dataset.people.bbox.astype(np.float64)


def _check_keypoints(datasets: Sequence[Dataset], convention: Convention):
  if not datasets:
    raise ValueError("no data sets: expected at least one")
  expected = convention.skeleton.keypoint_names
  for dataset in datasets:
    if dataset.skeleton.keypoint_names != expected:
      raise ValueError(
        f"{dataset.annotations} has the keypoints "
        f"{dataset.skeleton.keypoint_names}, the convention expects {expected};"
        " train and evaluate on files with the same keypoints in the same order"
      )

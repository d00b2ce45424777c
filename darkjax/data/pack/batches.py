"""Batches from packs: all but the pixels, which are on the devices.

In place of `image` a batch has the place of each person's canvas and an affine
(`batch.CANVAS`); train/device_crop.py cuts the crop inside the jitted step. The
same seed, step and process give the people and crops of pipeline/batches.py.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from darkjax import geometry as geometry_lib
from darkjax.convention import Convention
from darkjax.data.pack import crop_bounds
from darkjax.data.pack.files import Pack
from darkjax.data.pipeline import augment, sampler
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry, Crops
from darkjax.runtime.prefetch import map_ahead

Batch = dict[str, np.ndarray]

# Batches that are made before they are needed.
_AHEAD = 4


def train_batches(
  packs: Sequence[Pack],
  convention: Convention,
  augmentation: Augmentation,
  *,
  batch_size: int,
  seed: int,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """Returns endless batches of augmented crops that are still to be cut.

  Arguments as of `pipeline.batches.train_batches`, but data sets are packs
  whose pages have their place on the devices (`files.assign_pages`).

  Raises:
    ValueError: a pack has other keypoints or too small canvases, or all have
      too few people for a batch.
  """
  geometry = CropGeometry(packs, convention)
  sample = sampler.training_sampler(
    geometry,
    augmentation,
    batch_size=batch_size,
    seed=seed,
    process_index=process_index,
    process_count=process_count,
  )
  canvases = _Canvases(packs, geometry, augmentation)
  return map_ahead(
    lambda step: canvases.add_to(sample(step)),
    itertools.count(start_step),
    ahead=_AHEAD,
  )


def eval_batches(
  pack: Pack,
  convention: Convention,
  *,
  batch_size: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """Returns batches of every person of a pack once, padded to full batches.

  Arguments as of `pipeline.batches.eval_batches`.

  Raises:
    ValueError: the pack has other keypoints, or too small canvases.
  """
  geometry = CropGeometry([pack], convention)
  sample, count = sampler.evaluation_sampler(
    geometry,
    batch_size=batch_size,
    process_index=process_index,
    process_count=process_count,
  )
  canvases = _Canvases([pack], geometry, augment.NONE)
  return map_ahead(
    lambda step: canvases.add_to(sample(step)), range(count), ahead=_AHEAD
  )


class _Canvases:
  """The canvases of all people of several packs, for crops to be cut from."""

  def __init__(
    self,
    packs: Sequence[Pack],
    geometry: CropGeometry,
    augmentation: Augmentation,
  ):
    bounds = crop_bounds.bounds(geometry, augmentation)
    for i, pack in enumerate(packs):
      _check_bounds(pack, bounds[geometry.dataset_index == i])
    layouts = [pack.layout for pack in packs]
    self._size = np.concatenate([layout.size for layout in layouts])
    self._first_page = np.concatenate(
      [pack.first_page + pack.layout.first_page for pack in packs]
    )
    self._canvas_from_image = np.concatenate(
      [layout.canvas_from_image() for layout in layouts]
    )

  def add_to(self, crops: Crops) -> Batch:
    """Returns the fields of a batch, with canvases in place of the image."""
    fields = dict(crops)
    index = fields.pop("index")
    canvas_from_crop = geometry_lib.compose(
      self._canvas_from_image[index],
      geometry_lib.invert(fields.pop("crop_from_image")),
    )
    return fields | {
      "first_page": self._first_page[index].astype(np.int32),
      "canvas_size": self._size[index],
      "canvas_from_crop": canvas_from_crop.astype(np.float32),
    }


def _check_bounds(pack: Pack, bounds: np.ndarray) -> None:
  """Refuses a pack whose canvases end before what the crops can show."""
  enough = pack.layout.covers(bounds, pack.people.image_size)
  if not enough.all():
    raise ValueError(
      f"crops of {(~enough).sum()} of the {len(enough)} people in "
      f"{pack.folder} can show more than their canvases hold: the data set was "
      "packed for less augmentation, or for crops of another shape. Pack it "
      "again for this configuration: python -m darkjax.data.pack"
    )

"""Batches from packs: all but the pixels, which are on the devices.

In place of `image` a batch has `batch.CANVAS`; train/device_crop.py cuts the
crop inside the jitted step. People and crops are those of pipeline/batches.py.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from darkjax import geometry as geometry_lib
from darkjax.convention import Convention
from darkjax.data.pack import crop_bounds
from darkjax.data.pack.files import Pack
from darkjax.data.people_table import concatenate
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
  start_step: int = 0,
  **sampling: int,
) -> Iterator[Batch]:
  """Returns endless batches of augmented crops that are still to be cut.

  Arguments as of `pipeline.batches.train_batches`, but of packs after
  `files.assign_pages`.

  Raises:
    ValueError: other keypoints, too small canvases, too few people, or an
      augmentation that changes pixels.
  """
  if augmentation.changes_pixels:
    raise ValueError(
      "augmentation.color_factor, occlusion_probability, blur_probability and "
      "jpeg_probability need data.source tf; with resident set them to 0"
    )
  geometry = CropGeometry(packs, convention)
  sample = sampler.training_sampler(geometry, augmentation, **sampling)
  add_canvases = _canvas_adder(packs, geometry, augmentation)
  steps = itertools.count(start_step)
  return map_ahead(lambda i: add_canvases(sample(i)), steps, ahead=_AHEAD)


def eval_batches(
  pack: Pack, convention: Convention, **sampling: int
) -> Iterator[Batch]:
  """Returns batches of every person of a pack once, padded to full batches.

  Arguments and errors as of `pipeline.batches.eval_batches`.
  """
  geometry = CropGeometry([pack], convention)
  sample, steps = sampler.evaluation_sampler(geometry, **sampling)
  add_canvases = _canvas_adder([pack], geometry, augment.NONE)
  return map_ahead(lambda i: add_canvases(sample(i)), steps, ahead=_AHEAD)


def _canvas_adder(
  packs: Sequence[Pack], geometry: CropGeometry, augmentation: Augmentation
) -> Callable[[Crops], Batch]:
  """Returns a function from crops to batches with canvases for the image."""
  bounds = crop_bounds.bounds(geometry, augmentation)
  for i, pack in enumerate(packs):
    shown = bounds[geometry.dataset_index == i]
    enough = pack.layout.covers(shown, pack.people.image_size)
    if not enough.all():
      raise ValueError(
        f"crops of {(~enough).sum()} of the {len(enough)} people in "
        f"{pack.folder} can show more than their canvases hold: the data set "
        "was packed for less augmentation, or for crops of another shape. Pack "
        "it again for this configuration: python -m darkjax.data.pack"
      )
  layout = concatenate([pack.layout for pack in packs])
  first_page = layout.first_page + np.concatenate(
    [np.full(len(pack.people), pack.first_page) for pack in packs]
  )
  canvas_from_image = layout.canvas_from_image()

  def add(crops: Crops) -> Batch:
    fields = dict(crops)
    index = fields.pop("index")
    image_from_crop = geometry_lib.invert(fields.pop("crop_from_image"))
    canvas_from_crop = geometry_lib.compose(
      canvas_from_image[index], image_from_crop
    )
    return fields | {
      "first_page": first_page[index].astype(np.int32),
      "canvas_size": layout.size[index],
      "canvas_from_crop": canvas_from_crop.astype(np.float32),
    }

  return add

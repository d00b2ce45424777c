"""Packing of prepared data sets into canvases (see layout.py).

A pack that fits is kept; one that does not (other labels, more augmentation,
another resolution) is replaced.
"""

import contextlib
import itertools
import logging
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from darkjax import convention as convention_lib
from darkjax.convention import Convention
from darkjax.data import from_config
from darkjax.data.pack import crop_bounds, files
from darkjax.data.pack.layout import PAGE_BYTES, Layout, lay_out
from darkjax.data.pipeline import augment, tf_crop
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry
from darkjax.data.prepared import PreparedDataset, damaged
from darkjax.runtime.files import locked
from darkjax.runtime.prefetch import map_ahead

_LOG = logging.getLogger(__name__)

# Of Pillow's filters the one that leaves crops closest to those of the images.
_FILTER = Image.Resampling.LANCZOS
# Images decoded before they are written; bounds the memory.
_AHEAD = 32


def pack_config(
  config: ml_collections.ConfigDict, *, resolution: float = 1.0
) -> list[files.Pack]:
  """Packs what a configuration trains and evaluates on.

  Returns:
    The packs of `config.data.train`, then that of `config.data.val`.

  Raises:
    ValueError: `config.data.pack` has no folder; see also `pack`.
  """
  root = config.data.pack
  if not root:
    raise ValueError("no folder for the packs; give --config.data.pack=FOLDER")
  train = from_config.prepare_training(config)
  val = from_config.prepare_validation(config, box_threshold=-math.inf)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  augmentation = augment.from_config(config.augmentation)
  category = config.data.category
  packs = [
    pack(
      dataset,
      files.folder_of(root, labels, images, category=category),
      convention,
      augmentation,
      resolution=resolution,
    )
    for dataset, (labels, images) in zip(train, config.data.train, strict=True)
  ]
  boxes, digest = config.evaluate.boxes, from_config.boxes_digest(config)
  labels, images = config.data.val
  folder = files.folder_of(root, labels, images, boxes, category=category)
  options: dict[str, Any] = {"resolution": resolution, "boxes_digest": digest}
  return [*packs, pack(val, folder, convention, **options)]


def pack(
  dataset: PreparedDataset,
  folder: pathlib.Path,
  convention: Convention,
  augmentation: Augmentation = augment.NONE,
  *,
  resolution: float = 1.0,
  boxes_digest: str = "",
) -> files.Pack:
  """Packs a data set, unless it is packed already.

  Args:
    dataset: to pack.
    folder: of the pack.
    convention: of the crops.
    augmentation: how crops vary: canvases hold all they can show.
    resolution: canvas px per crop px without augmentation. Images are never
      enlarged; crops that zoom in are softer than those of larger images.
    boxes_digest: of the file of detections, where the boxes come from one.

  Raises:
    OSError: the disk is full.
    ValueError: a resolution of 0 or less, the folder holds something else, or
      the records are damaged.
  """
  if not 0 < resolution < np.inf:
    raise ValueError(f"resolution is a number above 0, got {resolution}")
  geometry = CropGeometry([dataset], convention)
  width = resolution * convention.crop_size[1]
  bounds = crop_bounds.bounds(geometry, augmentation)
  folder.parent.mkdir(parents=True, exist_ok=True)
  with locked(folder.with_name(f".{folder.name}.lock")):
    old = None
    with contextlib.suppress(FileNotFoundError, ValueError):
      old = files.read(folder)
    if old is None or not (
      old.skeleton == dataset.skeleton
      and old.category_ids == dataset.category_ids
      and old.labels_digest == dataset.labels_digest
      and old.boxes_digest == boxes_digest
      and old.width == width
      and old.num_bytes == dataset.num_bytes
      and old.upright == dataset.upright
      and np.array_equal(old.people.annotation_id, dataset.people.annotation_id)
      and old.layout.covers(bounds, dataset.people.image_size).all()
    ):
      shrink = np.minimum(1.0, width / geometry.scale[:, 0])
      layout = lay_out(bounds, dataset.people.image_size, shrink)
      _write(dataset, folder, layout, width, boxes_digest)
  return files.read(folder)


def _write(dataset, folder, layout, width, boxes_digest) -> None:
  dataset.check_labels()
  _LOG.info(
    "packing %d people of %s into %s: %.2f GB, %.0f %% at the images' own "
    "resolution",
    dataset.num_people, dataset.annotations, folder,
    layout.pages.sum() * PAGE_BYTES / 1e9,
    100 * (layout.size == layout.window[:, 2:]).all(-1).mean(),
  )  # fmt: skip
  canvases = tqdm(
    _canvases(dataset, layout),
    total=dataset.num_people,
    unit="person",
    disable=None,  # shown where there is a terminal
  )
  files.write(
    folder, canvases, dataset, layout, width=width, boxes_digest=boxes_digest
  )


def _canvases(dataset: PreparedDataset, layout: Layout) -> Iterator[np.ndarray]:
  """Every person's canvas, in order; an image of several is decoded once."""
  decode, people = _decoder(dataset), dataset.people
  groups = itertools.groupby(range(len(people)), lambda i: people.record[i])

  def cut(group: tuple[int, list[int]]) -> list[np.ndarray]:
    image = decode(group[0])
    return [_resize(image, layout.window[i], layout.size[i]) for i in group[1]]

  images = ((record, list(group)) for record, group in groups)
  for canvases in map_ahead(cut, images, ahead=_AHEAD, threads=None):
    yield from canvases


def _decoder(dataset: PreparedDataset) -> Callable[[int], np.ndarray]:
  """A function, for any thread, from a record to its image [H, W, 3]."""
  records = dataset.serialized()

  @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
  def decode(record):
    return tf_crop.decode_image(dataset.image_bytes(record))

  # Traced once, here: threads would each trace it.
  decode = decode.get_concrete_function()

  def read(record: int) -> np.ndarray:
    try:
      return decode(tf.constant(records[record])).numpy()
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
      raise damaged(dataset.builder.data_dir, error) from error

  return read


def _resize(image, window, size) -> np.ndarray:
  y, x, height, width = window
  part = image[y : y + height, x : x + width]
  if (size == (height, width)).all():
    return part
  shrunk = Image.fromarray(part).resize((size[1], size[0]), _FILTER)
  return np.asarray(shrunk)

"""Makes canvases (see canvases.py) of the people of prepared records.

A pack that is there and fits is left alone; one that does not (other labels,
more augmentation, another resolution) is replaced.
"""

import collections
import functools
import itertools
import logging
import math
import pathlib
from collections.abc import Callable, Iterator
from concurrent import futures

import ml_collections
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from darkjax import convention as convention_lib
from darkjax.convention import Convention
from darkjax.data import from_config
from darkjax.data.pack import crop_bounds, files
from darkjax.data.pack import layout as canvases
from darkjax.data.pack.layout import Layout
from darkjax.data.pipeline import augment, tf_crop
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_plan import Planner
from darkjax.data.prepared import Source, damaged
from darkjax.runtime.files import locked

_LOG = logging.getLogger(__name__)

# Of Pillow's filters the one that leaves crops closest to those of the images.
_FILTER = Image.Resampling.LANCZOS
# Images decoded before they are written; bounds the memory.
_AHEAD = 32


def pack_config(
  config: ml_collections.ConfigDict, *, resolution: float = 1.0
) -> list[files.Pack]:
  """Packs what a configuration trains and evaluates on.

  Args:
    config: a configuration like configs/coco_hrnet_w32_256x192.py.
    resolution: see `pack`.

  Returns:
    The packs of `config.data.train`, then that of `config.data.val`.

  Raises:
    ValueError: `config.data.pack` names no folder; see also `pack`.
  """
  root = config.data.pack
  if not root:
    raise ValueError("no folder for the packs; give --config.data.pack=FOLDER")
  train = from_config.training(config)
  val = from_config.validation(config, box_threshold=-math.inf)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  augmentation = augment.from_config(config.augmentation)
  make = functools.partial(pack, convention=convention, resolution=resolution)
  place = functools.partial(
    files.folder_of, root, category=config.data.category
  )
  packs = [
    make(source, place(pair[0]), augmentation=augmentation)
    for source, pair in zip(train, config.data.train, strict=True)
  ]
  folder = place(config.data.val[0], config.evaluate.boxes)
  return [
    *packs,
    make(val, folder, boxes_digest=from_config.boxes_digest(config)),
  ]


def pack(
  source: Source,
  folder: pathlib.Path,
  convention: Convention,
  augmentation: Augmentation = augment.NONE,
  *,
  resolution: float = 1.0,
  boxes_digest: str = "",
) -> files.Pack:
  """Packs a data set, unless it is packed already.

  Args:
    source: the data set.
    folder: of the pack.
    convention: of the crops; their boxes, aspect and width count.
    augmentation: how crops vary: canvases hold all they can show.
    resolution: canvas px per crop px of a crop that is not varied. Images with
      fewer pixels are not enlarged; with more, crops that zoom in are softer
      than those of the image.
    boxes_digest: of the file of detections, where the boxes come from one.

  Returns:
    The pack.

  Raises:
    OSError: the disk is full.
    ValueError: a resolution of 0 or less, the folder holds something else, or
      the records of the source are damaged.
  """
  if not 0 < resolution < np.inf:
    raise ValueError(f"resolution is a number above 0, got {resolution}")
  planner = Planner([source], convention)
  width = resolution * convention.crop_size[1]
  bounds = crop_bounds.bounds(planner, augmentation)
  folder.parent.mkdir(parents=True, exist_ok=True)
  with locked(folder.with_name(f".{folder.name}.lock")):
    found = _found(folder)
    if found is None or not (
      found.skeleton == source.skeleton
      and found.category_ids == source.category_ids
      and found.labels_digest == source.labels_digest
      and found.boxes_digest == boxes_digest
      and found.width == width
      and found.layout.covers(bounds, source.people.image_size).all()
    ):
      shrink = np.minimum(1.0, width / planner.scale[:, 0])
      layout = canvases.lay_out(bounds, source.people.image_size, shrink)
      _write(source, folder, layout, width, boxes_digest)
  return files.read(folder)


def _found(folder: pathlib.Path) -> files.Pack | None:
  """The pack that is there, if it can be read."""
  try:
    return files.read(folder)
  except (FileNotFoundError, ValueError):
    return None


def _write(source, folder, layout, width, boxes_digest) -> None:
  source.check_labels()
  _LOG.info(
    "packing %d people of %s into %s: %.2f GB, %.0f %% at the images' own "
    "resolution",
    source.num_people,
    source.annotations,
    folder,
    layout.pages.sum() * canvases.PAGE_BYTES / 1e9,
    100 * (layout.size == layout.window[:, 2:]).all(-1).mean(),
  )
  cut = tqdm(
    _canvases(source, layout),
    total=source.num_people,
    unit="person",
    disable=None,  # shown where there is a terminal
  )
  files.write(
    folder,
    cut,
    people=source.people,
    layout=layout,
    annotations=source.annotations,
    facts={
      "annotations": source.annotations.name,
      "skeleton": source.skeleton.to_json(),
      "category_ids": source.category_ids,
      "box_source": source.box_source,
      "labels_digest": source.labels_digest,
      "boxes_digest": boxes_digest,
      "width": width,
    },
  )


def _canvases(source: Source, layout: Layout) -> Iterator[np.ndarray]:
  """Every person's canvas, in order; an image of several is decoded once."""
  decode, people = _decoder(source), source.people
  groups = itertools.groupby(range(len(people)), lambda i: people.record[i])
  groups = ((record, list(group)) for record, group in groups)
  for cut in _in_threads(functools.partial(_cut, decode, layout), groups):
    yield from cut


def _decoder(source: Source) -> Callable[[int], np.ndarray]:
  """The image [H, W, 3] of a record, by position, for any thread."""
  records = source.serialized()

  @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
  def decode(stored):
    return tf_crop.decode_image(source.image_bytes(stored))

  # Traced once, here: threads would each trace it.
  decode = decode.get_concrete_function()

  def read(record: int) -> np.ndarray:
    try:
      return decode(tf.constant(records[record])).numpy()
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
      raise damaged(source.builder.data_dir, error) from error

  return read


def _cut(decode, layout: Layout, group) -> list[np.ndarray]:
  """The canvases of one image's people."""
  record, people = group
  image = decode(record)
  return [_resized(image, layout.window[i], layout.size[i]) for i in people]


def _resized(image, window, size) -> np.ndarray:
  y, x, height, width = window
  part = image[y : y + height, x : x + width]
  if (size == (height, width)).all():
    return part
  shrunk = Image.fromarray(part).resize((size[1], size[0]), _FILTER)
  return np.asarray(shrunk)


def _in_threads(function, items: Iterator) -> Iterator:
  """`map`, in order, by threads that are a bounded number of items ahead."""
  pending = collections.deque()
  with futures.ThreadPoolExecutor() as pool:
    for item in items:
      pending.append(pool.submit(function, item))
      if len(pending) > _AHEAD:
        yield pending.popleft().result()
    while pending:
      yield pending.popleft().result()

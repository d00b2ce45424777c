"""`Sources` of packs: canvases lie in the devices' memory; no TensorFlow."""

import functools
import logging
import pathlib

import jax
import ml_collections

from darkjax import convention as convention_lib
from darkjax import distributed, placement, sources, warp
from darkjax.data import augment, digests, pack_files, resident, steps
from darkjax.data.pack_files import Pack

_LOG = logging.getLogger(__name__)


def from_config(
  config: ml_collections.ConfigDict, folder: str
) -> sources.Sources:
  """Reads the packs of what a configuration names, and places them.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    folder: of the packs.

  Raises:
    FileNotFoundError: something was not packed.
    ValueError: no folder; packs that are damaged, of labels that were edited
      since, or too large for the devices.
  """
  if not folder:
    raise ValueError(
      "data.source='resident' needs the folder that python -m "
      "darkjax.data.pack wrote; give --config.data.pack=FOLDER"
    )
  train = [_read(config, folder, pair[0]) for pair in config.data.train]
  val = _validation(config, folder)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  share = distributed.split_training(config.train)
  # A set that is trained and evaluated on is placed once.
  packs = list({pack.folder: pack for pack in (*train, val)}.values())
  first = dict(
    zip([p.folder for p in packs], placement.first_pages(packs), strict=True)
  )
  pages = placement.place(packs)
  return sources.Sources(
    convention,
    functools.partial(
      _batches,
      config,
      convention,
      train,
      [first[pack.folder] for pack in train],
      share.of_process,
    ),
    sources.scorer(
      config,
      convention,
      val,
      functools.partial(_people, val, convention, first[val.folder], pages),
    ),
    steps.steps_per_epoch(train, global_batch_size=config.train.batch_size),
    [pack.labels_digest for pack in (*train, val)],
    pages,
  )


def _validation(config, folder) -> Pack:
  """The people to evaluate, or the detected boxes of a high enough score."""
  pack = _read(config, folder, config.data.val[0], config.evaluate.boxes)
  if config.evaluate.boxes == "gt":
    return pack
  _check_current(config, config.evaluate.boxes, pack.boxes_digest, pack.folder)
  return pack.rows(pack.people.score >= config.evaluate.box_threshold)


def _read(config, folder, annotations: str, boxes: str = "gt") -> Pack:
  pack = pack_files.read(
    pack_files.folder_of(
      folder, annotations, boxes, category=config.data.category
    )
  )
  _check_current(config, annotations, pack.labels_digest, pack.folder)
  _LOG.info("%s: %d %s", pack.folder, len(pack.people), pack.box_source)
  return pack


def _check_current(config, name, packed_digest, folder) -> None:
  """Refuses a pack of another file than there is; it need not be there."""
  path = pathlib.Path(config.data.root) / name
  if path.is_file() and digests.digest(path) != packed_digest:
    raise ValueError(
      f"{path} was edited since {folder} was packed; pack it again (python -m "
      "darkjax.data.pack with the same --config), or bring back the file"
    )


def _batches(config, convention, train, first_pages, batch_size, start_step):
  return resident.train_batches(
    train,
    convention,
    augment.from_config(config.augmentation),
    first_pages=first_pages,
    batch_size=batch_size,
    seed=config.seed,
    start_step=start_step,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def _people(val, convention, first_page, pages, batch_size):
  batches = resident.eval_batches(
    val,
    convention,
    first_page=first_page,
    batch_size=batch_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  for batch in batches:
    yield warp.on_host(batch, pages, crop_size=convention.crop_size)

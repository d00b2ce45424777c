"""The data of a configuration: people to train on and people to score.

`read` is the one way from a configuration to batches, whether tf.data cuts the
crops from prepared records (`config.data.source` "tf") or the step cuts them
from canvases in the devices' memory ("resident", which needs no TensorFlow).
"""

import functools
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_collections
import numpy as np

from darkjax import convention as convention_lib
from darkjax.data.pack import batches as pack_batches
from darkjax.data.pack import files as pack_files
from darkjax.data.pack.files import Pack
from darkjax.data.pipeline import augment, sampler
from darkjax.data.pipeline.crop_plan import DataSet
from darkjax.runtime import files

if TYPE_CHECKING:
  from darkjax.data.coco import unreadable
  from darkjax.data.prepared import Source

_LOG = logging.getLogger(__name__)

Batches = Iterator[dict[str, np.ndarray]]


class Process(NamedTuple):
  """Which share of each batch a process reads: `index` of `count`."""

  index: int = 0
  count: int = 1


ONE_PROCESS = Process()


class RunData(NamedTuple):
  """The data of a run, for one of its processes.

  Attributes:
    convention: of the batches, with the skeleton read from the labels.
    train_batches: (first step, batch size of this process) -> its batches from
      that step on.
    val: the people to score.
    val_batches: batch size of this process -> its batches of all of `val`.
    steps_per_epoch: steps that show every person once.
    labels_digests: SHA-256 of the label files, training's in their order.
    packs: the canvases that batches without `image` are cut from, in the order
      that their pages follow one another.
  """

  convention: convention_lib.Convention
  train_batches: Callable[[int, int], Batches]
  val: DataSet
  val_batches: Callable[[int], Batches]
  steps_per_epoch: int
  labels_digests: list[str]
  packs: tuple[Pack, ...] = ()


def read(
  config: ml_collections.ConfigDict, process: Process = ONE_PROCESS
) -> RunData:
  """Prepares or opens what a configuration trains and evaluates on.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    process: the share of the batches that this process reads.

  Raises:
    ValueError: an unknown `config.data.source`; labels that cannot be used;
      packs that are damaged or of labels that were edited since.
    FileNotFoundError: files that are not there, or were not packed.
  """
  readers = {"tf": _from_records, "resident": _from_packs}
  if config.data.source not in readers:
    raise ValueError(
      f"unknown data.source {config.data.source!r}; known: {', '.join(readers)}"
    )
  return readers[config.data.source](config, process)


def training(config: ml_collections.ConfigDict) -> "list[Source]":
  """Prepares every pair of `config.data.train`."""
  from darkjax.data.coco import prepare  # TensorFlow

  return [
    prepare.load(
      *_paths_of(config, pair),
      category=config.data.category,
      cache_dir=config.data.cache,
      tolerance=_tolerance(config),
    )
    for pair in config.data.train
  ]


def validation(
  config: ml_collections.ConfigDict, *, box_threshold: float
) -> "Source":
  """Prepares `config.data.val`: its people, or the detected boxes.

  Args:
    config: a configuration like configs/coco_hrnet_w32_128x96.py.
    box_threshold: lowest score of a detected box.
  """
  from darkjax.data.coco import detections  # TensorFlow

  boxes = config.evaluate.boxes
  return detections.load(
    *_paths_of(config, config.data.val),
    boxes if boxes == "gt" else pathlib.Path(config.data.root) / boxes,
    category=config.data.category,
    score_threshold=box_threshold,
    cache_dir=config.data.cache,
    tolerance=_tolerance(config),
  )


def boxes_digest(config: ml_collections.ConfigDict) -> str:
  """SHA-256 of the file of detections to evaluate on; "" for labels' boxes."""
  boxes = config.evaluate.boxes
  if boxes == "gt":
    return ""
  return files.digest(pathlib.Path(config.data.root) / boxes)


def _from_records(config, process: Process) -> RunData:
  from darkjax.data.pipeline import batches  # TensorFlow

  train = training(config)
  val = validation(config, box_threshold=config.evaluate.box_threshold)
  convention = _convention(config, train)
  share = {"process_index": process.index, "process_count": process.count}
  augmentation = augment.from_config(config.augmentation)

  def train_batches(start_step: int, batch_size: int) -> Batches:
    return batches.train_batches(
      train,
      convention,
      augmentation,
      batch_size=batch_size,
      seed=config.seed,
      start_step=start_step,
      **share,
    )

  return RunData(
    convention,
    train_batches,
    val,
    lambda size: batches.eval_batches(
      val, convention, batch_size=size, **share
    ),
    _steps_per_epoch(config, train),
    [source.labels_digest for source in (*train, val)],
  )


def _from_packs(config, process: Process) -> RunData:
  if not config.data.pack:
    raise ValueError(
      "data.source='resident' needs the folder that python -m "
      "darkjax.data.pack wrote; give --config.data.pack=FOLDER"
    )
  train = [_read_pack(config, pair[0]) for pair in config.data.train]
  val = _validation_pack(config)
  convention = _convention(config, train)
  # A set that is trained and evaluated on is placed once.
  packs = tuple({pack.folder: pack for pack in (*train, val)}.values())
  first_pages = dict(
    zip([p.folder for p in packs], pack_files.first_pages(packs), strict=True)
  )
  share = {"process_index": process.index, "process_count": process.count}
  augmentation = augment.from_config(config.augmentation)

  def train_batches(start_step: int, batch_size: int) -> Batches:
    return pack_batches.train_batches(
      train,
      convention,
      augmentation,
      first_pages=[first_pages[pack.folder] for pack in train],
      batch_size=batch_size,
      seed=config.seed,
      start_step=start_step,
      **share,
    )

  return RunData(
    convention,
    train_batches,
    val,
    functools.partial(
      _pack_eval_batches, val, convention, first_pages[val.folder], share
    ),
    _steps_per_epoch(config, train),
    [pack.labels_digest for pack in (*train, val)],
    packs,
  )


def _pack_eval_batches(val, convention, first_page, share, size) -> Batches:
  return pack_batches.eval_batches(
    val, convention, first_page=first_page, batch_size=size, **share
  )


def _convention(config, train) -> convention_lib.Convention:
  return convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )


def _steps_per_epoch(config, train) -> int:
  return sampler.steps_per_epoch(
    train, global_batch_size=config.train.batch_size
  )


def _validation_pack(config) -> Pack:
  """The people to evaluate, or the detected boxes of a high enough score."""
  boxes = config.evaluate.boxes
  pack = _read_pack(config, config.data.val[0], boxes)
  if boxes == "gt":
    return pack
  _check_current(config, boxes, pack.boxes_digest, pack.folder)
  return pack.rows(pack.people.score >= config.evaluate.box_threshold)


def _read_pack(config, annotations: str, boxes: str = "gt") -> Pack:
  folder = pack_files.folder_of(
    config.data.pack, annotations, boxes, category=config.data.category
  )
  pack = pack_files.read(folder)
  _check_current(config, annotations, pack.labels_digest, pack.folder)
  _LOG.info("%s: %d %s", pack.folder, len(pack.people), pack.box_source)
  return pack


def _check_current(config, name, packed_digest, folder) -> None:
  """Refuses a pack of another file than there is; it need not be there."""
  path = pathlib.Path(config.data.root) / name
  if path.is_file() and files.digest(path) != packed_digest:
    raise ValueError(
      f"{path} was edited since {folder} was packed; pack it again (python -m "
      "darkjax.data.pack with the same --config), or bring back the file"
    )


def _paths_of(config, pair) -> list[pathlib.Path]:
  """A pair of json and image folder, from the data's root."""
  return [pathlib.Path(config.data.root) / path for path in pair]


def _tolerance(config) -> "unreadable.Tolerance":
  from darkjax.data.coco import unreadable  # TensorFlow

  return unreadable.Tolerance(config.data.on_error, config.data.max_skipped)


def validation_paths(
  name: str,
  config: Mapping[str, Any],
  *,
  annotations: str | None = None,
  images: str | None = None,
  root: str | None = None,
) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the json of labels and the folder of images to score on.

  Args:
    name: of the checkpoint, for messages.
    config: of its run, {} for weights that come without one.
    annotations: a json, with `images`, in place of the run's.
    images: folder that the json's file names are relative to.
    root: where the run's data lies now; None for where it lay.

  Raises:
    ValueError: one of annotations and images without the other, or neither and
      a checkpoint without a run.

  >>> run = {"data": {"root": "d", "val": ("val.json", "images")}}
  >>> validation_paths("runs/a", run)
  (PosixPath('d/val.json'), PosixPath('d/images'))
  """
  if bool(annotations) != bool(images):
    raise ValueError(
      "--annotations and --images go together, got "
      f"--annotations={annotations} and --images={images}"
    )
  if annotations:
    return pathlib.Path(annotations), pathlib.Path(images)
  if "data" not in config:
    raise ValueError(
      f"{name} does not say on which data it was validated (imported weights "
      "and files of darkjax.release do not); name some with --annotations and "
      "--images"
    )
  folder = pathlib.Path(root or config["data"]["root"])
  labels, pictures = config["data"]["val"]
  return folder / labels, folder / pictures


def validation_category(
  config: Mapping[str, Any], *, named: str = "", annotations: str | None = None
) -> str:
  """The category of the people: the one named, else the run's on its data.

  Args:
    config: of the checkpoint's run, {} for weights that come without one.
    named: of the category, "" for none.
    annotations: a json in place of the run's.

  Returns:
    The name; "" where none was named, as by runs from before it could be.

  >>> validation_category({"data": {"category": "hand"}})
  'hand'
  """
  if named or annotations:
    return named
  return config["data"].get("category", "")

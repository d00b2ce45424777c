"""The data of a configuration: people to train on and people to score.

`read` is the one way from a configuration to batches: either tf.data cuts the
crops from prepared records (`config.data.source` "tf"), or the training step
cuts them from canvases in the devices' memory ("resident", without TensorFlow).
"""

import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_collections
import numpy as np

from darkjax import convention as convention_lib
from darkjax import skeletons
from darkjax.data.pack import batches as pack_batches
from darkjax.data.pack import files as pack_files
from darkjax.data.pack.files import Pack
from darkjax.data.pipeline import augment, sampler
from darkjax.data.pipeline.crop_geometry import Dataset
from darkjax.runtime import files

if TYPE_CHECKING:
  from darkjax.data.prepared import PreparedDataset

_LOG = logging.getLogger(__name__)

Batches = Iterator[dict[str, np.ndarray]]


class RunData(NamedTuple):
  """The data of a run, for one of its processes."""

  # With the skeleton read from the labels.
  convention: convention_lib.Convention
  # (first step, batch size of this process) -> its batches from that step on.
  train_batches: Callable[[int, int], Batches]
  val: Dataset  # the people to score
  # Batch size of this process -> its batches of all of `val`.
  val_batches: Callable[[int], Batches]
  steps_per_epoch: int
  labels_digests: list[str]  # SHA-256 of training's label files, then of val's
  packs: tuple[Pack, ...] = ()  # in the order of their pages on the devices


def read(config: ml_collections.ConfigDict, **process: int) -> RunData:
  """Prepares or opens what a configuration trains and evaluates on.

  `process_index` and `process_count` say which share of each batch to read, as
  of `pipeline.batches.train_batches`; by default all of it.

  Raises:
    ValueError: an unknown `config.data.source`; labels that are not valid;
      packs that are damaged or of labels that were edited since.
    FileNotFoundError: missing files or packs.
  """
  _pairs(config, "val")  # before training's data, which takes longer
  batches, *train, val = _read_source(config)
  packs = [dataset for dataset in (*train, val) if isinstance(dataset, Pack)]
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  augmentation = augment.from_config(config.augmentation)
  difference = skeletons.compare_sigmas(train[0].skeleton, val.skeleton)
  if difference:
    _LOG.warning(
      "OKS sigmas of training's labels score validation, whose labels have "
      "others: %s", difference,
    )  # fmt: skip

  def train_batches(start_step: int, batch_size: int) -> Batches:
    options = {"start_step": start_step, "batch_size": batch_size, **process}
    return batches.train_batches(
      train, convention, augmentation, seed=config.seed, **options
    )

  def val_batches(batch_size: int) -> Batches:
    options = {"batch_size": batch_size, **process}
    return batches.eval_batches(val, convention, **options)

  return RunData(
    convention,
    train_batches,
    val,
    val_batches,
    sampler.steps_per_epoch(train, global_batch_size=config.train.batch_size),
    [dataset.labels_digest for dataset in (*train, val)],
    tuple({pack.folder: pack for pack in packs}.values()),
  )


def _read_source(config) -> tuple[Any, ...]:
  """Returns the module that makes batches, and data sets as `_read_packs`."""
  if config.data.source == "tf":
    from darkjax.data.pipeline import batches  # TensorFlow

    train = prepare_training(config)
    val = prepare_validation(config, config.evaluate.box_threshold)
    return batches, *train, val
  if config.data.source == "resident":
    return pack_batches, *pack_files.assign_pages(_read_packs(config))
  raise ValueError(
    f"unknown data.source {config.data.source!r}; known: tf, resident"
  )


def prepare_training(
  config: ml_collections.ConfigDict,
) -> "list[PreparedDataset]":
  """Prepares every pair of json and images in `config.data.train`."""
  from darkjax.data.coco import prepare  # TensorFlow

  return [
    prepare.load(*_paths(config, *pair), **_options(config))
    for pair in _pairs(config, "train")
  ]


def prepare_validation(
  config: ml_collections.ConfigDict, box_threshold: float
) -> "PreparedDataset":
  """Prepares `config.data.val`: its people, or boxes of at least a score."""
  from darkjax.data.coco import detections  # TensorFlow

  boxes = config.evaluate.boxes
  annotations, images = _paths(config, *_pairs(config, "val")[0])
  return detections.load(
    annotations,
    images,
    boxes if boxes == "gt" else _paths(config, boxes)[0],
    score_threshold=box_threshold,
    **_options(config),
  )


def boxes_digest(config: ml_collections.ConfigDict) -> str:
  """Returns the SHA-256 of the detections to evaluate on; "" for labels'."""
  boxes = config.evaluate.boxes
  return "" if boxes == "gt" else files.digest(_paths(config, boxes)[0])


def _paths(config, *names: str) -> list[pathlib.Path]:
  return [pathlib.Path(config.data.root) / name for name in names]


def _pairs(config, field: str) -> list[tuple[str, str]]:
  """The pairs of json and images of `data.train`, the one of `data.val`."""
  given = config.data[field]
  pairs = [given] if field == "val" else given
  is_list = isinstance(pairs, list | tuple) and len(pairs) > 0
  for pair in pairs if is_list else [None]:
    if (
      not isinstance(pair, list | tuple)
      or len(pair) != 2
      or not all(isinstance(name, str) for name in pair)
    ):
      form = (
        '("val.json", "photos")'
        if field == "val"
        else ('(("train.json", "photos"),)')
      )
      raise ValueError(
        f"data.{field} needs a json and its folder of images, such as {form}, "
        f"got {given!r}; `darkjax convert` makes them, with --val=0.1 where "
        "labels have no split for validation"
      )
  return [tuple(pair) for pair in pairs]


def _options(config) -> dict[str, Any]:
  from darkjax.data.coco import unreadable  # TensorFlow

  policy = unreadable.SkipPolicy(config.data.on_error, config.data.max_skipped)
  return {
    "category": config.data.category,
    "cache_dir": config.data.cache,
    "skip_policy": policy,
    "upright": config.data.upright or None,
  }


def _read_packs(config) -> list[Pack]:
  """The packs of training, then of validation."""
  if not config.data.pack:
    raise ValueError(
      "data.source='resident' needs the folder that python -m "
      "darkjax.data.pack wrote; give --config.data.pack=FOLDER"
    )
  train = [_read_pack(config, *pair) for pair in _pairs(config, "train")]
  boxes = config.evaluate.boxes
  val = _read_pack(config, *_pairs(config, "val")[0], boxes)
  if boxes != "gt":
    _check_unchanged(config, boxes, val.boxes_digest, val.folder)
    scores, threshold = val.people.score, config.evaluate.box_threshold
    if not (scores >= threshold).any():
      raise ValueError(
        f"{val.folder}: none of {len(scores)} boxes has a score of at least "
        f"{threshold}; the best score is {max(scores):g}: lower the threshold"
      )
    val = val.rows(scores >= threshold)
  return [*train, val]


def _read_pack(config, annotations: str, *others: str) -> Pack:
  """The pack of a json, its folder of images and perhaps its boxes."""
  folder = pack_files.folder_of(
    config.data.pack, annotations, *others, category=config.data.category
  )
  pack = pack_files.read(folder)
  _check_unchanged(config, annotations, pack.labels_digest, folder)
  if pack.upright != config.data.upright:
    raise ValueError(
      f"{folder} was packed with data.upright={pack.upright}, this is "
      f"data.upright={config.data.upright}; pack it again (python -m "
      "darkjax.data.pack with the same --config)"
    )
  _LOG.info("%s: %d %s", folder, len(pack.people), pack.box_source)
  return pack


def _check_unchanged(config, name: str, packed_digest: str, folder) -> None:
  """Refuses a pack of a file that was edited since; it may be missing."""
  (path,) = _paths(config, name)
  if path.is_file() and files.digest(path) != packed_digest:
    raise ValueError(
      f"{path} was edited since {folder} was packed; pack it again (python -m "
      "darkjax.data.pack with the same --config), or bring back the file"
    )


def validation_paths(
  name: str,
  config: Mapping[str, Any],
  *,
  annotations: str | None = None,
  images: str | None = None,
  root: str | None = None,
) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the json of labels and the folder of images to score on.

  Those of the checkpoint's run (`config`, {} for weights without one), at
  another `root` if given, or `annotations` and `images`.

  Raises:
    ValueError: one of annotations and images alone, or a checkpoint without a
      run and neither of them.

  >>> run = {"data": {"root": "d", "val": ("val.json", "images")}}
  >>> validation_paths("runs/a", run)
  (PosixPath('d/val.json'), PosixPath('d/images'))
  """
  if bool(annotations) != bool(images):
    raise ValueError(
      "--annotations and --images go together, got "
      f"--annotations={annotations} and --images={images}"
    )
  if annotations and images:
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


def validation_upright(
  config: Mapping[str, Any], given: bool | None = None
) -> bool | None:
  """Returns whether to turn images upright: as given, else as the run did.

  None where neither says so, see `prepare.load`.

  >>> validation_upright({"data": {"upright": True}})
  True
  """
  if given is not None:
    return given
  return config.get("data", {}).get("upright") or None


def validation_category(
  config: Mapping[str, Any], *, named: str = "", annotations: str | None = None
) -> str:
  """Returns the category to score: `named`, else the run's on its own data.

  "" where neither has one, as in old runs.

  >>> validation_category({"data": {"category": "hand"}})
  'hand'
  """
  if named or annotations:
    return named
  return config["data"].get("category", "")

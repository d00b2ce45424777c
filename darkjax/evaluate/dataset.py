"""Data set that a checkpoint is evaluated on, as flags of a command say."""

import pathlib
from typing import Any

from darkjax.checkpoint.metadata import Metadata
from darkjax.data import from_config
from darkjax.data.images import frame_flags
from darkjax.inference.predictor import Predictor
from darkjax.runtime import command


def paths(
  checkpoint: str, predictor: Predictor | Metadata, flags: command.Flags
) -> tuple[pathlib.Path, pathlib.Path]:
  """Returns the json of labels and the folder of its images."""
  return from_config.validation_paths(
    checkpoint,
    predictor.config,
    annotations=flags.annotations,
    images=flags.images,
    root=flags.root,
  )


def options(
  predictor: Predictor | Metadata, flags: command.Flags
) -> dict[str, Any]:
  """Returns the options of `detections.load` that suit a network."""
  config = predictor.config
  return {
    "category": from_config.validation_category(
      config, named=flags.category, annotations=flags.annotations
    ),
    "skeleton": predictor.convention.skeleton,
    "cache_dir": flags.cache,
    "upright": from_config.validation_upright(config, frame_flags.read(flags)),
  }


def define_flags(define: command.Define) -> None:
  """Adds the flags that `paths` and `options` read."""
  define.string(
    "annotations", None, "COCO-format json; default: the run's validation set."
  )
  define.string("images", None, "Folder of the images of --annotations.")
  define.string(
    "category",
    "",
    "Category of people; default: the run's on its own data, else all.",
  )
  define.string("root", None, "Folder the run's data was moved to.")
  frame_flags.define(define, "as in training")
  define.string("cache", "", "Folder of prepared records.")

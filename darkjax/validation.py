"""Where the people lie that a checkpoint is evaluated on."""

import pathlib
from collections.abc import Mapping
from typing import Any


def paths(
  name: str,
  config: Mapping[str, Any],
  *,
  annotations: str | None = None,
  images: str | None = None,
  root: str | None = None,
) -> tuple[pathlib.Path, pathlib.Path]:
  """The json of labels and the folder of images.

  Args:
    name: of the checkpoint, for messages.
    config: of its run, {} for weights that come without one.
    annotations: a json, with `images`, in place of the run's.
    images: folder that the json's file names are relative to.
    root: where the run's data lies now; None for where it lay.

  Raises:
    ValueError: one of annotations and images without the other, or neither and
      a checkpoint without a run.

  >>> paths("runs/a", {"data": {"root": "d", "val": ("val.json", "images")}})
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

"""Which people a checkpoint is evaluated on."""

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


def category(
  config: Mapping[str, Any], *, named: str = "", annotations: str | None = None
) -> str:
  """The category of the people: the one named, else the run's on its data.

  Args:
    config: of the checkpoint's run, {} for weights that come without one.
    named: of the category, "" for none.
    annotations: a json in place of the run's.

  Returns:
    The name; "" where none was named, as by runs from before it could be.

  >>> category({"data": {"category": "hand"}})
  'hand'
  """
  if named or annotations:
    return named
  return config["data"].get("category", "")

"""Packs data sets: `python -m darkjax.data.pack --config=CONFIG`.

What a configuration trains and evaluates on, as canvases (see canvases.py) in
`config.data.pack`, a folder for each json. With `config.data.source` then set
to "resident", training keeps the canvases in the memory of the devices.
"""

import functools
import math

import ml_collections
from absl import app, flags
from ml_collections import config_flags

from darkjax import convention as convention_lib
from darkjax import startup
from darkjax.data import augment, pack_files


def pack_config(
  config: ml_collections.ConfigDict, *, resolution: float = 1.0
) -> list[pack_files.Pack]:
  """Packs what a configuration trains and evaluates on.

  Args:
    config: a configuration like configs/coco_hrnet_w32_256x192.py.
    resolution: see `packing.pack`.

  Returns:
    The packs of `config.data.train`, then that of `config.data.val`.

  Raises:
    ValueError: `config.data.pack` names no folder; see also `packing.pack`.
  """
  root = config.data.pack
  if not root:
    raise ValueError("no folder for the packs; give --config.data.pack=FOLDER")
  from darkjax.data import named, packing  # TensorFlow

  train = named.training(config)
  val = named.validation(config, box_threshold=-math.inf)
  convention = convention_lib.from_config(
    config.convention, skeleton=train[0].skeleton
  )
  augmentation = augment.from_config(config.augmentation)
  make = functools.partial(
    packing.pack, convention=convention, resolution=resolution
  )
  place = functools.partial(
    pack_files.folder_of, root, category=config.data.category
  )
  packs = [
    make(source, place(pair[0]), augmentation=augmentation)
    for source, pair in zip(train, config.data.train, strict=True)
  ]
  folder = place(config.data.val[0], config.evaluate.boxes)
  return [*packs, make(val, folder, boxes_digest=named.boxes_digest(config))]


def main(argv) -> None:
  """Packs as the flags say."""
  del argv
  startup.start()
  flag = flags.FLAGS
  for made in pack_config(flag.config, resolution=flag.resolution):
    size = made.pages.nbytes / 1e9
    print(f"{len(made.people)} people, {size:.2f} GB: {made.folder}")


if __name__ == "__main__":
  config_flags.DEFINE_config_file("config", None, "A file of configs/.")
  flags.DEFINE_float("resolution", 1.0, "Canvas px per crop px.")
  flags.mark_flag_as_required("config")
  app.run(main)

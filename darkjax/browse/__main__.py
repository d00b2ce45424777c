"""Sheet of training crops: `python -m darkjax.browse --config=configs/NAME.py`.

Shows the first people of a step as training sees them, from the same pipeline:
augmented crops with the target heatmaps in red, and beside each the keypoints
joined by their limbs, left in orange, right in blue. The image and annotation
ids are printed in the order of the sheet.
"""

import itertools
import logging
from collections.abc import Sequence

import numpy as np
from PIL import Image

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data import from_config
from darkjax.runtime import command, startup
from darkjax.train import device_crop, device_pack
from darkjax.viz import contact_sheet, draw, picture_file

_LOG = logging.getLogger(__name__)


def main(flags: command.Flags, arguments: Sequence[str]) -> None:
  """Writes the sheet of `--config`."""
  command.refuse_arguments(arguments)
  startup.start()
  picture_file.check(flags.out)
  config = flags.config
  data = from_config.read(config)
  pages = device_pack.place(data.packs) if data.packs else None
  pictures: list[Image.Image] = []
  batches = data.train_batches(flags.step, config.train.batch_size)
  sheets = -(-flags.count // config.train.batch_size)
  for batch in itertools.islice(batches, sheets):
    batch = device_crop.on_host(
      batch,
      pages,
      crop_size=data.convention.crop_size,
      mapping=config.train.mapping,
    )
    left = flags.count - len(pictures)
    for name in ("image_id", "annotation_id"):
      print(f"{name}: {' '.join(map(str, batch[name][:left]))}")
    pictures += draw_people(batch, data.convention, count=left)
  sheet = contact_sheet.contact_sheet(pictures, columns=flags.columns)
  picture_file.save(sheet, flags.out)
  _LOG.info("%s: %d people of step %d", flags.out, len(pictures), flags.step)
  if hasattr(batches, "close"):  # ends the threads behind a generator
    batches.close()


def draw_people(
  batch: dict[str, np.ndarray], convention: Convention, *, count: int
) -> list[Image.Image]:
  """Draws the first people of a batch: targets, and beside them keypoints."""
  from darkjax.train.tensorboard import draw_targets  # of the extra `train`

  targets = draw_targets(batch, convention, count=count)
  crop_from_heatmap = geometry.invert(convention.heatmap_from_crop())
  people = zip(
    targets,
    batch["image"],
    geometry.apply_affine(crop_from_heatmap, batch["keypoints_heatmap"]),
    batch["visibility"],
    strict=False,
  )
  return [
    _beside(picture, crop, keypoints, visibility, convention)
    for picture, crop, keypoints, visibility in people
  ]


def _beside(targets, crop, keypoints, visibility, convention) -> Image.Image:
  drawn = draw.draw_skeleton(
    Image.fromarray(np.asarray(crop)),
    keypoints,
    convention.skeleton,
    shown=visibility > 0,
  )
  return contact_sheet.contact_sheet([targets, drawn], columns=2)


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`."""
  define.config("config", None, "Configuration, see darkjax.train.")
  define.string("out", "browse.png", "Picture to write.")
  define.integer("count", 24, "How many people.", lower_bound=1)
  define.integer(
    "step", 0, "Steps of training before the ones shown.", lower_bound=0
  )
  define.integer("columns", 6, "People in a row.", lower_bound=1)
  define.required(["config"])


if __name__ == "__main__":
  command.run(main, define_flags)

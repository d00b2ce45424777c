"""Import of published PyTorch weights: `python -m darkjax.models.weights`.

    python -m darkjax.models.weights in.pth out_dir --model=hrnet_w32

writes a checkpoint that evaluate, predict and train accept; models/weights.py
lists the publishers whose files are read.
"""

import logging
from collections.abc import Sequence

import jax

from darkjax import checkpoint, models, skeletons
from darkjax import convention as convention_lib
from darkjax.models import torch_files, torch_names, weights
from darkjax.runtime import command, startup

_LOG = logging.getLogger(__name__)
_FIELDS = "alignment padding sigma quantize truncate blur_kernel flip_shift"


def main(flags: command.Flags, arguments: Sequence[str]) -> None:
  """Converts a file of weights into a checkpoint."""
  startup.start()
  if len(arguments) != 2:
    raise ValueError(
      "expected two paths, the file of weights and a new folder, got "
      f"{arguments}: python -m darkjax.models.weights in.pth out_dir"
    )
  source, directory = arguments
  state_dict = torch_files.read_state_dict(source)
  convention = _convention(flags, torch_names.canonical(state_dict)[1])
  num_keypoints = convention.skeleton.num_keypoints
  fields = {"name": flags.model, "num_keypoints": num_keypoints}
  key = None if flags.head_seed is None else jax.random.key(flags.head_seed)
  variables = weights.load_torch_weights(
    state_dict, models.create_model(**fields), key=key
  )
  checkpoint.save_variables(directory, variables, convention, fields)
  _LOG.info("%s: %s", directory, convention.describe())


def _convention(flags, publisher) -> convention_lib.Convention:
  """The convention the weights were trained with, from the flags."""
  height, _, width = flags.crop_size.partition("x")
  if not (height.isdecimal() and width.isdecimal()):
    raise ValueError(
      f"--crop_size is height x width, such as 256x192, got {flags.crop_size}"
    )
  fields = {name: getattr(flags, name) for name in _FIELDS.split()}
  fields["crop_size"] = (int(height), int(width))
  fields["channel_order"] = flags.channel_order or weights.channel_order(
    flags.model, publisher
  )
  return convention_lib.from_config(
    fields, skeleton=skeletons.get_skeleton(flags.skeleton)
  )


def define_flags(define: command.Define) -> None:
  """Adds the flags of `main`; the defaults are DARK's at 256x192."""
  define.string("model", None, "A name that create_model accepts.")
  define.integer("head_seed", None, "Seed of a new head, for a backbone alone.")
  define.string("skeleton", "coco", "coco, mpii or lsp.")
  define.string("crop_size", "256x192", "Height x width of the crops, px.")
  define.string("alignment", "dark", "hrnet, dark or udp.")
  define.float("padding", 1.25, "Factor on the person's box.")
  define.float("sigma", 2.0, "Width of the target Gaussians, heatmap px.")
  define.string("quantize", "none", "Rounding of targets: none or round.")
  define.float("truncate", 0.0, "Half width of targets, sigmas; 0: no limit.")
  define.integer("blur_kernel", 11, "DARK: size of the blur, heatmap px.")
  define.integer("flip_shift", 0, "Shift of mirrored heatmaps: 0 or 1 px.")
  define.string("channel_order", None, "rgb or bgr; default: as published.")
  define.required(["model"])


if __name__ == "__main__":
  command.run(main, define_flags)

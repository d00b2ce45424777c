"""The published configurations as a table, and functions that load ours.

A name is that of a file, with a variant as in "quickstart:biased".

The numbers are those of the authors' experiments/**/*.yaml
(github.com/ilovepose/DarkPose).
"""

import importlib
from typing import NamedTuple

import ml_collections
from paths import ROOT

from darkjax import convention, skeletons

FOLDER = ROOT / "configs"
FILES = sorted(
  path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"
)


class Recipe(NamedTuple):
  """What the files of one architecture and data set share."""

  epochs: int
  milestones: tuple[int, int]
  scale: float
  rotation: float  # degrees
  half_body: float
  channel_order: str
  learning_rate: float


HRNET = Recipe(210, (170, 200), 0.35, 45.0, 0.3, "rgb", 1e-3)
RESNET = Recipe(140, (90, 120), 0.3, 40.0, 0.0, "bgr", 1e-3)
HOURGLASS = Recipe(140, (90, 120), 0.3, 40.0, 0.0, "bgr", 2.5e-4)
MPII_HRNET = Recipe(210, (170, 200), 0.25, 30.0, 0.0, "rgb", 1e-3)
MPII_RESNET = Recipe(140, (90, 120), 0.25, 30.0, 0.0, "bgr", 1e-3)

S, M, L, SQUARE = (128, 96), (256, 192), (384, 288), (256, 256)
R50, R101, R152 = (f"simple_baseline_{depth}" for depth in (50, 101, 152))

# Model, crop (height, width), sigma, blur kernel, people on all GPUs, recipe.
ROWS = {
  "coco_hrnet_w32_128x96": ("hrnet_w32", S, 1, 3, 2 * 64, HRNET),
  "coco_hrnet_w32_256x192": ("hrnet_w32", M, 2, 11, 4 * 32, HRNET),
  "coco_hrnet_w32_384x288": ("hrnet_w32", L, 3, 11, 4 * 28, HRNET),
  "coco_hrnet_w48_128x96": ("hrnet_w48", S, 1, 11, 2 * 64, HRNET),
  "coco_hrnet_w48_256x192": ("hrnet_w48", M, 2, 11, 4 * 30, HRNET),
  "coco_hrnet_w48_384x288": ("hrnet_w48", L, 3, 11, 4 * 18, HRNET),
  "coco_simple_baseline_50_128x96": (R50, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_50_256x192": (R50, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_50_384x288": (R50, L, 3, 11, 4 * 32, RESNET),
  "coco_simple_baseline_101_128x96": (R101, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_101_256x192": (R101, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_101_384x288": (R101, L, 3, 11, 4 * 32, RESNET),
  "coco_simple_baseline_152_128x96": (R152, S, 1, 3, 2 * 64, RESNET),
  "coco_simple_baseline_152_256x192": (R152, M, 2, 11, 4 * 32, RESNET),
  "coco_simple_baseline_152_384x288": (R152, L, 3, 11, 4 * 32, RESNET),
  "coco_hourglass_4_128x96": ("hourglass_4", S, 1, 11, 8, HOURGLASS),
  "coco_hourglass_8_128x96": ("hourglass_8", S, 2, 11, 8, HOURGLASS),
  "mpii_hrnet_w32_256x256": ("hrnet_w32", SQUARE, 2, 11, 4 * 32, MPII_HRNET),
  "mpii_hrnet_w48_256x256": ("hrnet_w48", SQUARE, 2, 11, 4 * 32, MPII_HRNET),
  "mpii_simple_baseline_50_256x256": (R50, SQUARE, 2, 11, 128, MPII_RESNET),
  "mpii_simple_baseline_101_256x256": (R101, SQUARE, 2, 11, 128, MPII_RESNET),
  "mpii_simple_baseline_152_256x256": (R152, SQUARE, 2, 11, 128, MPII_RESNET),
}
# Rows of the paper without DARK, and its two rivals in Table 6.
BIASED = (
  "coco_hrnet_w32_128x96",
  "coco_hrnet_w32_256x192",
  "coco_hrnet_w32_384x288",
  "coco_hrnet_w48_128x96",
  "coco_hrnet_w48_384x288",
  "coco_simple_baseline_50_128x96",
  "coco_simple_baseline_101_128x96",
  "coco_simple_baseline_152_128x96",
  "coco_simple_baseline_152_384x288",
  "coco_hourglass_4_128x96",
  "coco_hourglass_8_128x96",
  "mpii_hrnet_w32_256x256",
)
RIVALS = ("ipr", "dsnt")
# Every configuration that a row of a table documents.
NAMES = [
  *FILES,
  *(f"{name}:biased" for name in BIASED),
  "quickstart:biased",
  "lsp_hrnet_small_128x96:biased",
]
PAPER = {
  **ROWS,
  **{f"{name}:biased": ROWS[name] for name in BIASED},
  **{
    f"coco_hrnet_w32_128x96_{rival}": ROWS["coco_hrnet_w32_128x96"]
    for rival in RIVALS
  },
}

# Counted on the authors' modules in PyTorch, 17 and 16 keypoints.
PARAMETERS = {
  ("hrnet_w32", 17): 28_536_113,
  ("hrnet_w48", 17): 63_595_745,
  (R50, 17): 33_999_697,
  (R101, 17): 52_991_825,
  (R152, 17): 68_635_473,
  ("hourglass_4", 17): 13_020_612,
  ("hourglass_8", 17): 25_598_472,
  ("hrnet_w32", 16): 28_536_080,
  ("hrnet_w48", 16): 63_595_696,
  (R50, 16): 33_999_440,
  (R101, 16): 52_991_568,
  (R152, 16): 68_635_216,
}


def load(name: str) -> ml_collections.ConfigDict:
  file, _, variant = name.partition(":")
  return importlib.import_module(f"configs.{file}").get_config(variant)


def docstring(name: str) -> str:
  return importlib.import_module(f"configs.{name.partition(':')[0]}").__doc__


def file_and_variant(name: str) -> str:
  """The value of `--config`."""
  file, colon, variant = name.partition(":")
  return f"{FOLDER / file}.py{colon}{variant}"


def skeleton_of(name: str) -> skeletons.Skeleton:
  return skeletons.MPII if name.startswith("mpii") else skeletons.COCO


def convention_of(name: str, config=None) -> convention.Convention:
  fields = (config or load(name)).convention
  return convention.from_config(fields, skeleton=skeleton_of(name))


def leaves(config, path=()) -> dict[str, object]:
  """Fields by dotted name; the free-form `model.overrides` is one."""
  found = {}
  for name, value in config.items():
    inner = (*path, name)
    if name == "overrides":
      found[".".join(inner)] = value.to_dict()
    elif isinstance(value, ml_collections.ConfigDict):
      found |= leaves(value, inner)
    else:
      found[".".join(inner)] = value
  return found


def changes(config, other) -> dict[str, object]:
  """Fields of `config` that `other` has not, or has with another value."""
  before = leaves(other)
  return {
    name: value
    for name, value in leaves(config).items()
    if name not in before or before[name] != value
  }

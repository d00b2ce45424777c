"""What a checkpoint must know to be used right: its convention.

Encoder, decoder, alignment and flip shift are independent switches (the
official code of DARK changes all four at once). The decoder is chosen when
heatmaps are read; the rest is fixed by how a model was trained and is stored
with its weights.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from darkjax import geometry, skeletons
from darkjax.heatmaps import decode

# How a network's maps are read; "integral" needs a softmax head.
METHODS = (*decode.METHODS, "integral")

# ImageNet statistics of /255 pixels. The official ResNet and Hourglass
# configurations apply these RGB numbers to BGR pixels, in this order.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

# No network here reads larger crops; a file that claims one is no checkpoint.
LARGEST_SIDE = 8192  # px

_CHOICES = {
  "alignment": geometry.ALIGNMENTS,
  "quantize": ("none", "floor", "round", "ceil"),
  "flip_shift": (0, 1),
  "channel_order": ("rgb", "bgr"),
  "head": ("gaussian", "softmax"),
}


@dataclasses.dataclass(frozen=True)
class Convention:
  """How crops, heatmaps and keypoints of a trained model correspond.

  Attributes:
    skeleton: the keypoints.
    crop_size: (height, width) of the network's input, px.
    heatmap_size: (height, width) of its output, px.
    alignment: "hrnet" | "dark" | "udp", see geometry.py.
    padding: factor on the box, which is first widened to the crop's aspect.
    sigma: standard deviation of the target Gaussians, heatmap px.
    quantize: "none" is the unbiased encoder, "round" the usual biased one.
    truncate: half width in sigmas of the window targets are cut to, or None.
    blur_kernel: size of the kernel that modulates heatmaps before DARK decodes
      them, heatmap px.
    flip_shift: 0 or 1, px by which the flip test moves mirrored heatmaps.
    channel_order: "rgb" | "bgr" of the pixels that meet `PIXEL_MEAN`.
    head: what the network's maps are: "gaussian", heatmaps with a peak of 1, or
      "softmax", logits of a distribution (IPR, DSNT). Checkpoints written
      before this field existed hold "gaussian" heads.
    clip_boxes: labelled boxes are cut to the image first: the rule of COCO, but
      not of MPII. Checkpoints from before this field existed clip.

  Raises:
    ValueError: an unknown choice; the message lists the known ones.
  """

  skeleton: skeletons.Skeleton
  crop_size: tuple[int, int]
  heatmap_size: tuple[int, int]
  alignment: str
  padding: float
  sigma: float
  quantize: str
  truncate: float | None
  blur_kernel: int
  flip_shift: int
  channel_order: str
  head: str = "gaussian"
  clip_boxes: bool = True

  def __post_init__(self):
    self._check_numbers()
    for field, known in _CHOICES.items():
      if getattr(self, field) not in known:
        raise ValueError(
          f"{field}={getattr(self, field)!r} is unknown; known: {known}"
        )

  def _check_numbers(self):
    for field in ("crop_size", "heatmap_size"):
      if not all(1 <= side <= LARGEST_SIDE for side in getattr(self, field)):
        raise ValueError(
          f"{field} is a height and a width from 1 to {LARGEST_SIDE} px, got "
          f"{getattr(self, field)}"
        )
    for field in ("padding", "sigma", "truncate"):
      value = getattr(self, field)
      allowed = value is None if field == "truncate" else False
      if not (allowed or 0 < value < np.inf):
        raise ValueError(f"{field} is a number above 0, got {value}")

  @property
  def default_method(self) -> str:
    """The decoder, one of `METHODS`, that suits the head."""
    return "integral" if self.head == "softmax" else "dark"

  def crop_from_box(
    self, bbox: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre [2], scale [2] (image px) and crop_from_image [2, 3] of a box."""
    center, scale = geometry.box_to_center_scale(
      bbox,
      crop_size=self.crop_size,
      alignment=self.alignment,
      padding=self.padding,
    )
    return center, scale, self.crop_from_image(center, scale)

  def crop_from_image(self, center, scale, rotation=0.0) -> np.ndarray:
    """[2, 3], see `geometry.crop_from_image`."""
    return geometry.crop_from_image(
      center,
      scale,
      rotation,
      crop_size=self.crop_size,
      alignment=self.alignment,
    )

  def heatmap_from_crop(self) -> np.ndarray:
    """[2, 3], see `geometry.heatmap_from_crop`."""
    return geometry.heatmap_from_crop(
      crop_size=self.crop_size,
      heatmap_size=self.heatmap_size,
      alignment=self.alignment,
    )

  def describe(self) -> str:
    """One line: everything but the skeleton's details."""
    fields = dataclasses.asdict(self) | {"skeleton": self.skeleton.name}
    return "  ".join(f"{name}={value}" for name, value in fields.items())

  def to_json(self) -> dict[str, Any]:
    """A dictionary that `from_json` reads back."""
    return dataclasses.asdict(self)

  def differences(self, other: "Convention") -> list[str]:
    """One sentence for each field in which two conventions differ."""
    return [
      f"{field.name}: {getattr(self, field.name)!r} here, "
      f"{getattr(other, field.name)!r} there"
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != getattr(other, field.name)
    ]


def from_json(fields: Mapping[str, Any]) -> Convention:
  """The inverse of `Convention.to_json`; lists become tuples."""
  fields = dict(fields)
  fields["skeleton"] = skeletons.from_json(fields["skeleton"])
  for name in ("crop_size", "heatmap_size"):
    fields[name] = tuple(fields[name])
  return Convention(**fields)


def from_config(
  fields: Mapping[str, Any], *, skeleton: skeletons.Skeleton
) -> Convention:
  """The convention a configuration asks for.

  Args:
    fields: its `convention` part; a `truncate` of 0 means the whole Gaussian.
    skeleton: of the training data.

  Returns:
    The convention, with heatmaps at a quarter of the crop's resolution.
  """
  fields = dict(fields)
  height, width = fields.pop("crop_size")
  truncate = fields.pop("truncate") or None
  return Convention(
    skeleton=skeleton,
    crop_size=(height, width),
    heatmap_size=(height // 4, width // 4),
    truncate=truncate,
    **fields,
  )

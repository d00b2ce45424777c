"""Pre- and post-processing settings, stored with a model's weights.

Encoder, decoder, alignment and flip shift are independent (the official code of
DARK changes all four at once). The decoder is chosen when heatmaps are read.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from darkjax import geometry, skeletons
from darkjax.heatmaps import options

# ImageNet statistics of /255 pixels. The official ResNet and Hourglass
# configurations apply these RGB numbers to BGR pixels, in this order.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

# No network here reads larger crops; a file with one is not a checkpoint.
LARGEST_SIDE = 8192  # px

# How a network's maps are read; "integral" needs a softmax head.
Method = Literal[options.Method, "integral"]
METHODS = get_args(Method)
Head = Literal["gaussian", "softmax"]
ChannelOrder = Literal["rgb", "bgr"]

_CHOICES = {
  "alignment": tuple(geometry.ALIGNMENTS),
  "quantize": get_args(options.Quantize),
  "flip_shift": (0, 1),
  "channel_order": get_args(ChannelOrder),
  "head": get_args(Head),
}


@dataclasses.dataclass(frozen=True)
class Convention:
  """How crops, heatmaps and keypoints of a trained model correspond.

  Attributes:
    skeleton: the keypoints.
    crop_size: (height, width) of the network's input, px.
    heatmap_size: (height, width) of its output, px.
    alignment: a name in `geometry.ALIGNMENTS`.
    padding: factor on the box, which is first widened to the crop's aspect.
    sigma: standard deviation of the target Gaussians, heatmap px.
    quantize: "none" is the unbiased encoder, "round" the usual biased one.
    truncate: half width in sigmas of the window targets are cut to, or None.
    blur_kernel: size of DARK's modulation kernel, heatmap px.
    flip_shift: 0 or 1, px by which the flip test moves mirrored heatmaps.
    channel_order: of the pixels that meet `PIXEL_MEAN`.
    head: what the network's maps are: "gaussian", heatmaps with a peak of 1, or
      "softmax", logits of a distribution (IPR, DSNT).
    clip_boxes: labelled boxes are cut to the image first: the rule of COCO, but
      not of MPII.

  Raises:
    ValueError: an unknown choice or a number out of range.
  """

  skeleton: skeletons.Skeleton
  crop_size: tuple[int, int]
  heatmap_size: tuple[int, int]
  alignment: str
  padding: float
  sigma: float
  quantize: options.Quantize
  truncate: float | None
  blur_kernel: int
  flip_shift: int
  channel_order: ChannelOrder
  # Defaults serve checkpoints from before the fields existed.
  head: Head = "gaussian"
  clip_boxes: bool = True

  def __post_init__(self) -> None:
    fields = vars(self)
    for name in ("crop_size", "heatmap_size"):
      if not all(1 <= side <= LARGEST_SIDE for side in fields[name]):
        raise ValueError(
          f"{name} is a height and a width from 1 to {LARGEST_SIDE} px, got "
          f"{fields[name]}"
        )
    for name in ("padding", "sigma", "truncate"):
      value = fields[name]
      if (name, value) != ("truncate", None) and not 0 < value < np.inf:
        raise ValueError(f"{name} is a number above 0, got {value}")
    if self.blur_kernel < 1 or self.blur_kernel % 2 == 0:
      raise ValueError(
        f"blur_kernel is odd, from 1 (no blur), got {self.blur_kernel}"
      )
    for name, choices in _CHOICES.items():
      if fields[name] not in choices:
        raise ValueError(
          f"{name} is one of {choices}, got {name}={fields[name]!r}"
        )

  @property
  def default_method(self) -> Method:
    """The decoder that suits the head."""
    return "integral" if self.head == "softmax" else "dark"

  def crop_from_box(
    self, bbox: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns centre [2], scale [2] (image px), crop_from_image [2, 3]."""
    center, scale = geometry.box_to_center_scale(
      bbox,
      crop_size=self.crop_size,
      alignment=self.alignment,
      padding=self.padding,
    )
    return center, scale, self.crop_from_image(center, scale)

  def crop_from_image(
    self,
    center: np.ndarray,
    scale: np.ndarray,
    rotation: float | np.ndarray = 0.0,
  ) -> np.ndarray:
    """Returns [2, 3], see `geometry.crop_from_image`."""
    return geometry.crop_from_image(
      center,
      scale,
      rotation,
      crop_size=self.crop_size,
      alignment=self.alignment,
    )

  def heatmap_from_crop(self) -> np.ndarray:
    """Returns [2, 3], see `geometry.heatmap_from_crop`."""
    return geometry.heatmap_from_crop(
      crop_size=self.crop_size,
      heatmap_size=self.heatmap_size,
      alignment=self.alignment,
    )

  def describe(self) -> str:
    """Returns one line: the fields, with the skeleton's name."""
    fields = dataclasses.asdict(self) | {"skeleton": self.skeleton.name}
    return "  ".join(f"{name}={value}" for name, value in fields.items())

  def to_json(self) -> dict[str, Any]:
    """Returns a dictionary that `from_json` reads back."""
    return dataclasses.asdict(self)

  def differences(self, other: "Convention") -> list[str]:
    """Returns one sentence for each field in which two conventions differ."""
    return [
      f"{field.name}: {getattr(self, field.name)!r} here, "
      f"{getattr(other, field.name)!r} there"
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != getattr(other, field.name)
    ]


def from_json(fields: Mapping[str, Any]) -> Convention:
  """Reads what `Convention.to_json` gives; lists become tuples."""
  fields = dict(fields)
  fields["skeleton"] = skeletons.from_json(fields["skeleton"])
  for name in ("crop_size", "heatmap_size"):
    fields[name] = tuple(fields[name])
  return Convention(**fields)


def from_config(
  fields: Mapping[str, Any], *, skeleton: skeletons.Skeleton
) -> Convention:
  """Makes a convention with heatmaps at a quarter of the crop's resolution.

  Args:
    fields: `convention` of a configuration; a `truncate` of 0 means the whole
      Gaussian.
    skeleton: of the training data.
  """
  size = fields["crop_size"]
  if len(size) != 2 or not all(isinstance(side, int) for side in size):
    raise ValueError(
      "convention.crop_size is a height and a width, as in (128, 96), got "
      f"{size}"
    )
  height, width = size
  changed = {
    "crop_size": (height, width),
    "heatmap_size": (height // 4, width // 4),
    "truncate": fields["truncate"] or None,
  }
  return Convention(skeleton=skeleton, **{**fields, **changed})

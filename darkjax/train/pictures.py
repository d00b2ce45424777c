"""Pictures of training batches for TensorBoard."""

import numpy as np
from PIL import Image

from darkjax.convention import Convention
from darkjax.data import batch as batch_lib
from darkjax.train import step
from darkjax.viz import sheets

_RED = (255, 40, 40)


def targets_sheet(
  batch: dict[str, np.ndarray], convention: Convention, *, count: int = 16
) -> Image.Image:
  """Draws the first people of a training batch under their target heatmaps.

  Labels that are shifted, mirrored or missing are seen here.

  Args:
    batch: of this process, see data/batch.py.
    convention: draws the targets.
    count: people at the most.

  Returns:
    RGB, eight crops a row; the redder, the higher the target times the weight
    of its keypoint.
  """
  first = {
    name: array[:count]
    for name, array in batch_lib.to_device_fields(batch).items()
  }
  target, weights = step.draw_targets(first, convention)
  strongest = np.asarray(target * weights[:, None, None, :]).max(-1)
  heatmap_from_crop = convention.heatmap_from_crop()
  tinted = [
    _tinted(Image.fromarray(np.asarray(crop)), heat, heatmap_from_crop)
    for crop, heat in zip(first["image"], strongest, strict=True)
  ]
  return sheets.contact_sheet(tinted, columns=8)


def _tinted(crop, heat, heatmap_from_crop) -> Image.Image:
  """Returns the crop with red where `heat` [H', W'] in [0, 1] is high."""
  share = Image.fromarray(np.uint8(np.clip(heat, 0, 1) * 255))
  # Pillow counts from the corner of a pixel, we from its centre.
  affine = heatmap_from_crop.astype(np.float64)
  affine[:, 2] += 0.5 - affine[:, :2].sum(-1) / 2
  share = share.transform(
    crop.size, Image.Transform.AFFINE, affine.ravel(), Image.Resampling.BILINEAR
  )
  return Image.composite(Image.new("RGB", crop.size, _RED), crop, share)

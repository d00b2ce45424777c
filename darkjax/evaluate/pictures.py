"""Contact sheets of predictions and labels."""

import os

import jax
import numpy as np
from PIL import Image

from darkjax.evaluate.scores import DatasetPredictions
from darkjax.skeletons import Skeleton
from darkjax.viz import contact_sheet

_DRAWN = 18  # boxes without labels on a picture


def draw_predictions(
  predictions: DatasetPredictions,
  skeleton: Skeleton,
  annotations: str | os.PathLike[str],
  images: str | os.PathLike[str],
  upright: bool = False,
) -> Image.Image:
  """Draws some people with the last method's keypoints and their labels.

  Of detected boxes, which have no labels, those with the highest scores.
  """
  method = list(predictions.keypoints)[-1]
  if not predictions.visible.any():
    best = np.argsort(-predictions.box_scores, kind="stable")[:_DRAWN]
    predictions = jax.tree.map(lambda column: column[best], predictions)
  return contact_sheet.draw_people(
    predictions.keypoints[method],
    skeleton,
    image_ids=predictions.image_ids,
    truth=predictions.truth,
    visible=predictions.visible,
    annotations=annotations,
    images=images,
    upright=upright,
  )

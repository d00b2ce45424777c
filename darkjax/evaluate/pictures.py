"""Sheets of people with their labels and what was found."""

import jax
import numpy as np
from PIL import Image

from darkjax.convention import Convention
from darkjax.evaluate.scores import People
from darkjax.viz import sheets

_DRAWN = 18  # boxes without labels on a picture


def sheet(
  people: People, convention: Convention, annotations, images
) -> Image.Image:
  """A sheet of what the last method found in some people, with the labels.

  Of detected boxes, which have no labels, those the detector is surest of.
  """
  method = list(people.keypoints)[-1]
  if not people.visible.any():
    surest = np.argsort(-people.box_scores, kind="stable")[:_DRAWN]
    people = jax.tree.map(lambda column: column[surest], people)
  return sheets.people_sheet(
    people.keypoints[method],
    convention.skeleton,
    image_ids=people.image_ids,
    truth=people.truth,
    visible=people.visible,
    annotations=annotations,
    images=images,
  )

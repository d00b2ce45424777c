"""Description of an exported file for users without darkjax: darkjax.json."""

from typing import Any

import jax
import numpy as np

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.inference.predictor import Predictor
from darkjax.runtime.version import version

NAME = "darkjax.json"

# A box, (x, y, w, h) in image px, for users to check their arithmetic.
EXAMPLE_BOX = (30.0, 40.0, 120.0, 300.0)


def describe(predictor: Predictor) -> dict[str, Any]:
  """Returns input, output and convention of an exported file, for json."""
  height, width = predictor.convention.crop_size
  names = predictor.convention.skeleton.keypoint_names
  columns = 6 if predictor.covariances else 3
  return {
    "darkjax": version(),
    "jax": jax.__version__,
    "input": {
      "name": "images",
      "shape": ["batch", height, width, 3],
      "type": "uint8",
      "meaning": "RGB crops, 0 to 255, not normalised",
    },
    "output": {
      "name": "keypoints",
      "shape": ["batch", len(names), columns],
      "type": "float32",
      "meaning": "x, y in crop pixels, integers at centres of pixels; score"
      + "; covariance xx, xy, yy in squared crop pixels" * (columns == 6),
    },
    "keypoint_names": list(names),
    "method": predictor.method,
    "border": predictor.border,
    "flip_test": predictor.flip_test,
    "crop": crop_recipe(predictor.convention),
    "convention": predictor.convention.to_json(),
  }


def crop_recipe(convention: Convention) -> dict[str, Any]:
  """Returns the arithmetic of `Convention.crop_from_box`, for json.

  "steps" are assignments in Python; "example" has a box and their results.
  """
  matrix = convention.crop_from_box(np.array(EXAMPLE_BOX))[2]
  (factor_x, _, offset_x), (_, factor_y, offset_y) = matrix.tolist()
  return {
    "meaning": (
      "crop_x = factor_x * image_x + offset_x, likewise y, from the person's "
      "box x, y, w, h in image pixels by the steps; integers are the centres "
      "of pixels; sample bilinearly, black outside of the image. Inverse: "
      "image_x = (crop_x - offset_x) / factor_x."
    ),
    "alignment": convention.alignment,
    "steps": _formulas(convention),
    "example": {
      "box": list(EXAMPLE_BOX),
      "factor_x": factor_x,
      "offset_x": offset_x,
      "factor_y": factor_y,
      "offset_y": offset_y,
    },
  }


def _formulas(convention: Convention) -> list[str]:
  """Returns the formulas of geometry.py with the convention's numbers."""
  height, width = convention.crop_size
  inset, per_axis = geometry.get_alignment(convention.alignment)
  least = max(2.0, 2.0 * width / height)
  factor_y = "factor_x"
  if per_axis:
    factor_y = f"({height} - {inset}) / (scale_h - {inset})"
  return [
    f"center_x = x + (w - {inset}) / 2",
    f"center_y = y + (h - {inset}) / 2",
    f"scale_w = max({convention.padding} * max(w, h * {width} / {height}), "
    f"{least!r})",
    f"scale_h = scale_w * {height} / {width}",
    f"factor_x = ({width} - {inset}) / (scale_w - {inset})",
    f"factor_y = {factor_y}",
    f"offset_x = ({width} - {inset}) / 2 - factor_x * center_x",
    f"offset_y = ({height} - {inset}) / 2 - factor_y * center_y",
  ]

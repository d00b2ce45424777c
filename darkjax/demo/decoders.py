"""One keypoint's heatmap, read by each decoder, in words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from darkjax import geometry
from darkjax.convention import METHODS, Convention, Method
from darkjax.inference import keypoints as keypoints_lib
from darkjax.inference.people import Person

# Shapes that `pictures.draw_marker` draws, so that no colour has to be told.
SIGNS = {"argmax": "■", "standard": "▲", "dark": "●", "integral": "◆"}


class Point(NamedTuple):
  """A keypoint as one decoder reads it."""

  method: Method
  image: np.ndarray  # [2] (x, y), image px
  heatmap: np.ndarray  # [2] (x, y), heatmap px
  covariance_image: np.ndarray  # [2, 2] px², nan where the decoder has none
  covariance_heatmap: np.ndarray  # [2, 2] px²


def decode(person: Person, k: int, convention: Convention) -> list[Point]:
  """Decodes the k-th heatmap of a person with every decoder that reads it."""
  assert person.heatmaps is not None, "of Pose(return_heatmaps=True)"
  matrix = np.asarray(person.image_from_heatmap)
  inverse = geometry.invert(matrix)
  points = []
  for method in METHODS:
    if method == "integral" and convention.head != "softmax":
      continue
    found = keypoints_lib.locate(
      jnp.asarray(person.heatmaps[None, ..., k : k + 1]),
      jnp.asarray(matrix[None], jnp.float32),
      convention=convention,
      method=method,
    )
    image = np.asarray(found.keypoints_image[0, 0], np.float64)
    covariance = np.asarray(found.covariances[0, 0], np.float64)
    points.append(
      Point(
        method,
        image,
        geometry.apply_affine(inverse, image[None])[0],
        covariance,
        geometry.apply_linear(inverse, covariance[None])[0],
      )
    )
  return points


def find_dark(points: Sequence[Point]) -> Point:
  """Returns the point of DARK."""
  return next(point for point in points if point.method == "dark")


def name_of(method: Method) -> str:
  """Returns a decoder's name as the paper writes it."""
  return "DARK" if method == "dark" else method


def describe(person: Person, k: int, points: Sequence[Point]) -> str:
  """Returns the points and DARK's uncertainty as Markdown."""
  dark = find_dark(points)
  matrix = np.asarray(person.image_from_heatmap)
  scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
  lines = [f"{person.names[k]}, score {person.scores[k]:.3f}:", ""]
  for point in points:
    (x, y), (column, row) = point.image, point.heatmap
    distance = math.dist(point.image, dark.image)
    lines.append(
      f"- {SIGNS[point.method]} {name_of(point.method)}: x {x:.2f}, y {y:.2f} "
      f"px; {distance:.2f} px from DARK; in the heatmap {column:.2f}, {row:.2f}"
    )
  lines += [
    "",
    f"One pixel of the heatmap is {scale:.2f} px of the photograph. "
    + _uncertainty(person, k, dark),
  ]
  return "\n".join(lines)


def _uncertainty(person: Person, k: int, dark: Point) -> str:
  """Says how wide the peak is and, if the weights tell, how large the error."""
  if not np.isfinite(dark.covariance_image).all():
    return "The heatmap has no peak there, hence no ellipse."
  short, long = np.sqrt(np.linalg.eigvalsh(dark.covariance_image))
  text = (
    "DARK's ellipse of one standard deviation has half axes of "
    f"{long:.2f} and {short:.2f} px. This is the width of the peak; "
  )
  if person.errors is None or person.probabilities is None:
    return f"{text}`darkjax calibrate` fits the error to expect."
  return (
    f"{text}by the weights' calibration the median error is "
    f"{person.errors[k]:.2f} px, and the keypoint is right with a probability "
    f"of {person.probabilities[k]:.2f}."
  )

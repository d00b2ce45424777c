"""Results of `Pose`: people with keypoints, scores and covariances."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import PIL.Image

from darkjax.data.images import photo as photo_lib
from darkjax.skeletons import Skeleton
from darkjax.viz import draw

# Keypoints whose heatmap stays below this are not drawn: the threshold at which
# COCO's protocol counts a keypoint into a person's score.
SHOWN_SCORE = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
  """One person: K keypoints in one box.

  Attributes:
    keypoints_image: [K, 2] float32 (x, y), image px; integers at centres.
    scores: [K] float32, see `Keypoints.scores`.
    covariances: [K, 2, 2] float32, image px²: the width of each peak, at least
      that of the training Gaussian and the blur; nan where there is none.
    bbox: [4] float64 (x, y, w, h), image px.
    skeleton: names and limbs of the keypoints.
    image: the photograph, as a path, an image or an array.
    box_score: of the detector, 1 where the box was given.
  """

  keypoints_image: np.ndarray
  scores: np.ndarray
  covariances: np.ndarray
  bbox: np.ndarray
  skeleton: Skeleton
  image: photo_lib.ImageLike = dataclasses.field(repr=False)
  box_score: float = 1.0

  @property
  def names(self) -> tuple[str, ...]:
    """K names, such as "left_wrist"; left is the person's left side."""
    return self.skeleton.keypoint_names

  def plot(self, **options: Any) -> PIL.Image.Image:
    """Draws this person on a copy of the photograph, see `People.plot`."""
    return People([self], self.image).plot(**options)


class People(list[Person]):
  """The people of one photograph, a list in the order of their boxes.

  Slices and copies are `People` too; for other subsets call
  `People(subset, people.image)`.

  Attributes:
    image: the photograph, as a path, an image or an array.
  """

  def __init__(self, people: Iterable[Person], image: photo_lib.ImageLike):
    super().__init__(people)
    self.image = image

  def __getitem__(self, index):
    item = super().__getitem__(index)
    return People(item, self.image) if isinstance(index, slice) else item

  def copy(self) -> "People":
    """Returns a shallow copy."""
    return self[:]

  def plot(
    self, *, min_score: float = SHOWN_SCORE, uncertainty: bool = False
  ) -> PIL.Image.Image:
    """Draws all people on a copy of the photograph.

    Args:
      min_score: keypoints with lower scores are left out.
      uncertainty: draw the covariances as ellipses of one standard deviation.

    Returns:
      RGB, in the size of the photograph, turned upright by its EXIF tag.
    """
    photo = PIL.Image.fromarray(photo_lib.read(self.image))
    if not self:
      return photo
    return draw.draw_skeleton(
      photo,
      stack(self, "keypoints_image"),
      self[0].skeleton,
      shown=stack(self, "scores") >= min_score,
      covariances=stack(self, "covariances") if uncertainty else None,
    )


def stack(people: Sequence[Person], field: str) -> np.ndarray:
  """Returns a field of N people, one or more, as one array [N, ...]."""
  return np.stack([getattr(person, field) for person in people])

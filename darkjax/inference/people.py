"""Results of `Pose`: people with keypoints, scores and covariances."""

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import PIL.Image

from darkjax.data.images import photo as photo_lib
from darkjax.inference import results
from darkjax.metrics import coco
from darkjax.metrics.calibration import Calibration
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
    box_score: of the detector; 1 for boxes without one.
    track_id: number of the person in a video, or None.
    heatmaps: [H', W', K] float32 with `Pose(return_heatmaps=True)`, or None.
    image_from_heatmap: [2, 3], px: maps (x, y) of `heatmaps`; or None.
    calibration: of the weights, or None.
  """

  keypoints_image: np.ndarray
  scores: np.ndarray
  covariances: np.ndarray
  bbox: np.ndarray
  skeleton: Skeleton
  image: photo_lib.ImageLike = dataclasses.field(repr=False)
  box_score: float = 1.0
  track_id: int | None = None
  heatmaps: np.ndarray | None = dataclasses.field(default=None, repr=False)
  image_from_heatmap: np.ndarray | None = None
  calibration: Calibration | None = dataclasses.field(default=None, repr=False)

  @property
  def names(self) -> tuple[str, ...]:
    """K names, such as "left_wrist"; left is the person's left side."""
    return self.skeleton.keypoint_names

  @property
  def probabilities(self) -> np.ndarray | None:
    """[K] of being within the calibration's tolerance; None without one."""
    if self.calibration is None:
      return None
    return self.calibration.probabilities(
      self.scores, self.covariances, self.bbox
    )

  @property
  def errors(self) -> np.ndarray | None:
    """[K] median errors, image px; None without a calibration."""
    if self.calibration is None:
      return None
    return self.calibration.errors(self.scores, self.covariances, self.bbox)

  def plot(self, **options: Any) -> PIL.Image.Image:
    """Draws this person on a copy of the photograph, see `People.plot`."""
    return People([self], self.image).plot(**options)


class People(list[Person]):
  """The people of one photograph, a list in the order of their boxes.

  Slices and copies are `People` too; for other subsets call
  `People(subset, people.image)`. Arrays have a row for each of the N people,
  also where N is 0.

  Attributes:
    image: the photograph, as a path, an image or an array.
  """

  def __init__(
    self,
    people: Iterable[Person],
    image: photo_lib.ImageLike,
    skeleton: Skeleton | None = None,
  ):
    """Makes a list of people; `skeleton` is that of nobody, for `[]`."""
    super().__init__(people)
    self.image = image
    self._skeleton = skeleton

  def __getitem__(self, index):
    item = super().__getitem__(index)
    if isinstance(index, slice):
      return People(item, self.image, self.skeleton)
    return item

  def copy(self) -> "People":
    """Returns a shallow copy."""
    return self[:]

  @property
  def skeleton(self) -> Skeleton | None:
    """Names and limbs of the keypoints; None for nobody without one."""
    return self[0].skeleton if self else self._skeleton

  @property
  def names(self) -> tuple[str, ...]:
    """K names of keypoints."""
    return self.skeleton.keypoint_names if self.skeleton else ()

  @property
  def keypoints(self) -> np.ndarray:
    """[N, K, 2] float32 (x, y), image px."""
    return self._stack("keypoints_image", (len(self.names), 2))

  @property
  def scores(self) -> np.ndarray:
    """[N, K] float32, see `Keypoints.scores`."""
    return self._stack("scores", (len(self.names),))

  @property
  def covariances(self) -> np.ndarray:
    """[N, K, 2, 2] float32, image px²; nan where there is none."""
    return self._stack("covariances", (len(self.names), 2, 2))

  @property
  def boxes(self) -> np.ndarray:
    """[N, 4] float64 (x, y, w, h), image px."""
    return self._stack("bbox", (4,), np.float64)

  @property
  def box_scores(self) -> np.ndarray:
    """[N] float64 of the detector, 1 where there was none."""
    return self._stack("box_score", (), np.float64)

  @property
  def track_ids(self) -> np.ndarray | None:
    """[N] int64 of a video's people; None unless everyone has one."""
    if any(person.track_id is None for person in self):
      return None
    return self._stack("track_id", (), np.int64)

  @property
  def probabilities(self) -> np.ndarray | None:
    """[N, K] float32, see `Person.probabilities`; None without calibration."""
    return self._calibrated("probabilities")

  @property
  def errors(self) -> np.ndarray | None:
    """[N, K] float32 median errors, image px; None without calibration."""
    return self._calibrated("errors")

  def to_coco(
    self, image_id: int | str, category_id: int | str = 1
  ) -> list[dict[str, Any]]:
    """Returns the records that COCO's server takes, best first.

    See `metrics.coco.to_results`: a person's score is the box's times the mean
    of the keypoints' above 0.2. Write them with `metrics.coco.write_results`.

    Args:
      image_id: of the photograph in the annotation file.
      category_id: COCO's person is 1.

    Raises:
      ValueError: a keypoint or a score is not finite.
    """
    predictions = coco.Predictions(
      image_ids=np.zeros(len(self), np.int64),
      keypoints=self.keypoints,
      keypoint_scores=self.scores,
      box_scores=self.box_scores,
      box_areas=self.boxes[:, 2:].prod(-1),
    )
    sigmas = self.skeleton.sigmas if self.skeleton else ()
    found = coco.to_results(predictions, category_id, sigmas=sigmas, nms="none")
    return [record | {"image_id": image_id} for record in found]

  def to_json(self) -> str:
    """Returns everything as json text, see `results.to_json`."""
    return results.to_json(self)

  def to_pandas(self) -> Any:
    """Returns a table with a row per keypoint, see `results.to_pandas`."""
    return results.to_pandas(self)

  def to_supervision(self, *, min_score: float = SHOWN_SCORE) -> Any:
    """Returns `supervision.KeyPoints`, see `results.to_supervision`."""
    return results.to_supervision(self, min_score=min_score)

  def save(self, path: str | os.PathLike[str], **options: Any) -> None:
    """Writes the people as the path's ending says.

    Args:
      path: .json is `to_json`, .csv the table of `to_pandas`, .png and .jpg the
        picture of `plot`.
      **options: of `plot`, for pictures.

    Raises:
      ValueError: another ending.
    """
    results.save(self, path, **options)

  def plot(
    self, *, min_score: float = SHOWN_SCORE, uncertainty: bool = False
  ) -> PIL.Image.Image:
    """Draws all people, and the ids of their tracks, on a copy.

    Args:
      min_score: keypoints with lower scores are left out.
      uncertainty: draw the covariances as ellipses of one standard deviation.

    Returns:
      RGB, in the size of the photograph, turned upright by its EXIF tag.
    """
    photo = PIL.Image.fromarray(photo_lib.read(self.image))
    if not self:
      return photo
    picture = draw.draw_skeleton(
      photo,
      self.keypoints,
      self[0].skeleton,
      shown=self.scores >= min_score,
      covariances=self.covariances if uncertainty else None,
    )
    for person in self:
      if person.track_id is not None:
        draw.draw_number(picture, person.bbox, person.track_id)
    return picture

  def _stack(self, field: str, shape, dtype: Any = np.float32) -> np.ndarray:
    rows = [getattr(person, field) for person in self]
    return np.array(rows, dtype).reshape(len(self), *shape)

  def _calibrated(self, field: str) -> np.ndarray | None:
    if any(person.calibration is None for person in self):
      return None
    return self._stack(field, (len(self.names),))

"""The COCO keypoint protocol: rescoring, NMS, the upload format, AP and AR.

A person's score is the box's times the mean of the keypoint maxima above 0.2;
OKS-NMS at 0.9 on the area of the padded box removes duplicates. Metric names
end in the source of the boxes (`AP/gt_boxes`, `AP/detections`): boxes from the
labels are worth about two points of AP. Keypoints are (x, y) in image px.

Reference: HRNet (arXiv:1902.09212) and DARK (arXiv:1910.06278), section 4;
lib/dataset/coco.py of their official code.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkjax.metrics import oks_nms as nms_lib
from darkjax.metrics.coco_eval import METRIC_NAMES as METRIC_NAMES
from darkjax.metrics.coco_eval import average_precision as average_precision
from darkjax.metrics.oks import oks as oks
from darkjax.runtime import files

NMS = (*nms_lib.METHODS, "none")  # ways to remove duplicates


@dataclasses.dataclass(frozen=True)
class Predictions:
  """N predicted people of any number of images.

  Raises:
    ValueError: shapes do not fit together, or a number is not finite.
  """

  image_ids: np.ndarray  # [N] int64, or texts
  keypoints: np.ndarray  # [N, K, 2] (x, y), image px
  keypoint_scores: np.ndarray  # [N, K] maxima of the heatmaps
  box_scores: np.ndarray  # [N] of the detector; 1 for boxes from the labels
  box_areas: np.ndarray  # [N] of the padded box (scale width × height), px²

  def __post_init__(self):
    people, num_keypoints = np.shape(self.keypoint_scores)[:2]
    expected = dict.fromkeys(vars(self), (people,)) | {
      "keypoints": (people, num_keypoints, 2),
      "keypoint_scores": (people, num_keypoints),
    }
    got = {name: np.shape(value) for name, value in vars(self).items()}
    if got != expected:
      raise ValueError(
        f"predictions of N={people} people with K={num_keypoints} keypoints "
        f"expect shapes {expected}, got {got}"
      )
    for name in ("keypoints", "keypoint_scores", "box_scores", "box_areas"):
      finite = np.isfinite(vars(self)[name])
      finite = finite.all(axis=tuple(range(1, finite.ndim)))
      if not finite.all():
        images = np.asarray(self.image_ids)[~finite][:5].tolist()
        raise ValueError(
          f"predictions must be finite, got {(~finite).sum()} people with NaN "
          f"or infinite {name}, first in images {images}; the heatmaps they "
          "were decoded from are not finite either: check the weights"
        )


def rescore(
  box_scores: np.ndarray, keypoint_scores: np.ndarray, threshold: float = 0.2
) -> np.ndarray:
  """Returns box score × mean of the keypoint scores above the threshold.

  [N] float64 of scores [N] and [N, K]; 0 where no keypoint exceeds it.

  >>> rescore([0.5], [[0.8, 0.4, 0.2]])
  array([0.3])
  """
  scores = np.asarray(keypoint_scores, np.float64)
  counts = scores > threshold
  total = np.where(counts, scores, 0.0).sum(-1)
  return np.asarray(box_scores) * total / np.maximum(counts.sum(-1), 1)


def to_results(
  predictions: Predictions,
  category_id: int | str,
  *,
  sigmas: Sequence[float],
  nms: str = "hard",
  nms_threshold: float = 0.9,
  score_threshold: float = 0.2,
) -> list[dict[str, Any]]:
  """Returns the results list that COCO's server and pycocotools take.

  Images by id, the people of each by score, best first.

  Args:
    predictions: N people.
    category_id: COCO's person is 1.
    sigmas: K OKS constants, for the NMS.
    nms: one of `NMS`; "soft" keeps at most 20 people per image.
    nms_threshold: see `oks_nms`.
    score_threshold: see `rescore`.

  Returns:
    Dictionaries of image_id, category_id, score and K * (x, y, score).

  Raises:
    ValueError: unknown nms, or `sigmas` of another K.
  """
  if nms not in NMS:
    raise ValueError(f"nms is one of {NMS}, got {nms!r}")
  scores = rescore(
    predictions.box_scores, predictions.keypoint_scores, score_threshold
  )
  scored_keypoints = np.concatenate(
    [predictions.keypoints, np.asarray(predictions.keypoint_scores)[..., None]],
    axis=-1,
    dtype=float,
  )
  results, image_ids = [], np.asarray(predictions.image_ids).tolist()
  for people in people_by_image(predictions.image_ids):
    people = people[np.argsort(-scores[people], kind="stable")]
    if nms != "none":
      kept = nms_lib.METHODS[nms](
        predictions.keypoints[people],
        scores[people],
        predictions.box_areas[people],
        sigmas,
        threshold=nms_threshold,
      )
      people = people[np.sort(kept)]
    results += [
      {
        "image_id": image_ids[i],
        "category_id": category_id,
        "keypoints": scored_keypoints[i].ravel().tolist(),
        "score": float(scores[i]),
      }
      for i in people
    ]
  return results


def write_results(
  path: str | os.PathLike[str], results: Sequence[Mapping[str, Any]]
) -> None:
  """Writes the results as the json file that COCO's server takes."""
  files.write_whole(pathlib.Path(path), json.dumps(list(results)).encode())


def people_by_image(image_ids: np.ndarray) -> list[np.ndarray]:
  """Returns the indices of the people of each image, images by id.

  >>> people_by_image([7, 3, 7])
  [array([1]), array([0, 2])]
  """
  image_ids = np.asarray(image_ids)
  order = np.argsort(image_ids, kind="stable")
  sorted_ids = image_ids[order]
  starts = np.flatnonzero(sorted_ids[1:] != sorted_ids[:-1]) + 1
  return np.split(order, starts) if len(order) else []

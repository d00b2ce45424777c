"""Errors by keypoint and kind: what they are, and what they cost in AP.

The AP that a kind of error costs is that of the same people with its keypoints
put where they are labelled, less that of the predictions; of a keypoint
likewise. See metrics/errors.py.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from darkjax.evaluate import scores
from darkjax.evaluate.scores import DatasetPredictions
from darkjax.metrics import coco, coco_annotations, errors, pck
from darkjax.skeletons import Skeleton
from darkjax.viz import contact_sheet

_THRESHOLD = 0.2  # of PCK
_COLUMNS = 6  # people on a sheet, of each kind
_GAP = 4  # px between the rows


class Errors(NamedTuple):
  """The errors of a method on N people with K keypoints."""

  predictions: DatasetPredictions
  method: str
  annotations: str | os.PathLike[str]  # the json with the labels
  skeleton: Skeleton
  kinds: np.ndarray  # [N, K], see `errors.classify`
  distances: np.ndarray  # [N, K] image px, nan where nothing is labelled
  scales: np.ndarray  # [N, K] px at which OKS counts a keypoint: s k

  @property
  def keypoints(self) -> np.ndarray:
    """[N, K, 2] predicted, image px."""
    return self.predictions.keypoints[self.method]


def find(
  predictions: DatasetPredictions,
  method: str,
  annotations: str | os.PathLike[str],
  skeleton: Skeleton,
) -> Errors:
  """Finds the errors of a method's keypoints.

  Args:
    predictions: of the labels' boxes, see `predict_dataset`.
    method: one of their decoders.
    annotations: the COCO-format json with their labels.
    skeleton: its keypoints.
  """
  content = coco_annotations.read_sections(annotations)
  areas = {person["id"]: person["area"] for person in content["annotations"]}
  area = np.array([areas[int(i)] for i in predictions.annotation_ids], float)
  keypoints = predictions.keypoints[method]
  kinds = errors.classify(
    keypoints,
    predictions.truth,
    predictions.visible,
    area,
    predictions.image_ids,
    sigmas=skeleton.sigmas,
    flip_indices=skeleton.flip_indices,
  )
  distances = np.linalg.norm(keypoints - predictions.truth, axis=-1)
  distances = np.where(kinds == errors.UNLABELLED, np.nan, distances)
  scales = np.sqrt(area)[:, None] * 2 * np.array(skeleton.sigmas)
  return Errors(
    predictions, method, annotations, skeleton, kinds, distances, scales
  )


def table(
  found: Errors,
  *,
  category_ids: Sequence[Any] | None = None,
  nms: str = "hard",
) -> str:
  """Returns a row per keypoint, one for all, and one of costs, as text.

  Columns: labelled keypoints, PCK (see `scores.score`), the median distance in
  px, the percentage of each kind, and the AP that the keypoint's errors cost;
  the last row is the AP that each kind costs. Category and nms are those of
  `scores.score`.
  """
  content = coco_annotations.read_sections(found.annotations)
  skeleton, wrong = found.skeleton, found.kinds > 0

  def ap(corrected: np.ndarray) -> float:
    truth = found.predictions.truth
    moved = np.where(corrected[..., None], truth, found.keypoints)
    results = scores.to_results(
      found.predictions._replace(keypoints={found.method: moved}),
      found.method,
      skeleton,
      category_id=(category_ids or [scores.first_category_id(content)])[0],
      nms=nms,
    )
    numbers = coco.average_precision(
      content, results, sigmas=skeleton.sigmas, category_ids=category_ids
    )
    return numbers["AP/gt_boxes"]

  before = ap(np.zeros_like(wrong))
  pck_name, shares = _pck(found, content)
  rows = [["", "labels", pck_name, "px", *errors.KINDS, "AP lost"]]
  for k, name in enumerate([*skeleton.keypoint_names, "all"]):
    chosen = np.arange(skeleton.num_keypoints) == k
    chosen |= name == "all"
    count, median, *kinds = _cells(found, chosen)
    lost = ap(wrong & chosen) - before
    pck_share = f"{100 * shares[k]:.1f}"
    rows.append([name, count, pck_share, median, *kinds, f"{lost:.1f}"])
  costs = [f"{ap(found.kinds == n) - before:.1f}" for n in range(1, 5)]
  rows.append(["AP lost", "", "", "", "", *costs, ""])
  title = f"errors of {found.method}, percent of the labelled keypoints"
  return "\n".join([title, *scores.align(rows)])


def _pck(found: Errors, content: Mapping[str, Any]) -> tuple[str, list[float]]:
  """The name of the PCK, and its shares [K + 1]: of keypoints, and of all."""
  people, skeleton = found.predictions, found.skeleton
  lengths = scores.reference_lengths(people, content, skeleton)
  ((name, length),) = lengths.items()
  result = pck.pck(
    found.keypoints, people.truth, people.visible, length, _THRESHOLD
  )
  return f"{name}@{_THRESHOLD}", [*result.per_keypoint, result.mean]


def _cells(found: Errors, chosen: np.ndarray) -> list[str]:
  """The labels, their median distance and the share of each kind."""
  kinds, distances = found.kinds[:, chosen], found.distances[:, chosen]
  count = (kinds != errors.UNLABELLED).sum()
  shares = [
    100 * (kinds == n).sum() / max(count, 1) for n in range(len(errors.KINDS))
  ]
  median = np.nanmedian(distances) if count else np.nan
  return [str(count), f"{median:.1f}", *(f"{share:.1f}" for share in shares)]


def sheet(
  found: Errors, images: str | os.PathLike[str], *, upright: bool = False
) -> Image.Image:
  """Draws the worst people of each kind that occurs, a row a kind.

  The worst has the keypoint farthest off in units of its scale; white dots are
  the labels. Images are in a folder, `upright` as in `photo.read`.
  """
  relative, people = found.distances / found.scales, found.predictions
  rows = []
  for kind in range(1, len(errors.KINDS)):
    worst = np.where(found.kinds == kind, relative, 0).max(-1)
    order = np.argsort(-worst, kind="stable")[:_COLUMNS]
    index = order[worst[order] > 0]
    if len(index):
      row = contact_sheet.draw_people(
        found.keypoints[index],
        found.skeleton,
        image_ids=people.image_ids[index],
        truth=people.truth[index],
        visible=people.visible[index],
        annotations=found.annotations,
        images=images,
        upright=upright,
        count=_COLUMNS,
      )
      rows.append(row)
  width = max([row.width for row in rows], default=1)
  height = sum(row.height + _GAP for row in rows)
  whole = Image.new("RGB", (width, max(height - _GAP, 1)), "white")
  for n, row in enumerate(rows):
    whole.paste(row, (0, sum(r.height + _GAP for r in rows[:n])))
  return whole

"""Summary of a data set: counts of what it holds, and its category completed.

Limbs that the category lacks are suggested by the labels: the minimum spanning
tree of the median distances of keypoints, in units of the person's scale, over
the people in whom both are labelled, and the same limbs of the other side.
"""

import warnings
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.check import people as people_lib
from darkjax.data.check.labels import TOLERANCE, UNKNOWN_SIZE, Labels, Size
from darkjax.data.check.sigmas import Estimate
from darkjax.data.people_table import People


def summarize(
  labels: Labels, crop_size: Size, padding: float, estimate: Estimate | None
) -> dict[str, Any]:
  """Returns counts and the completed category, as json can write them.

  Boxes are compared with a crop_size of (height, width) px, enlarged by a
  factor of padding. Sigmas of an estimate replace those of the category.
  """
  people, trained = labels.people, labels.trainable()
  total = len(labels.content.annotations)
  labelled = people.labelled & ~people.iscrowd
  in_one_image = np.unique(trained.image_id, return_counts=True)[1]
  return {
    "images": {
      "all": len(labels.content.images),
      "with_people": len(in_one_image),
      "most_people": int(in_one_image.max(initial=0)),
    },
    "people": {
      "annotations": total,
      "refused": total - len(people),
      "crowds": int(people.iscrowd.sum()),
      "unlabelled": int((~people.labelled & ~people.iscrowd).sum()),
      "without_box_or_area": int((labelled & ~people.boxed).sum()),
      "to_train_on": len(trained),
    },
    "keypoints": _keypoints(labels),
    "areas": people_lib.area_counts(trained),
    "boxes": _boxes(trained, crop_size, padding) if len(trained) else {},
    "category": _category(labels, estimate),
  }


def _keypoints(labels: Labels) -> list[dict[str, Any]]:
  skeleton, flags = (
    labels.content.skeleton,
    labels.trainable().keypoints[..., 2],
  )
  names, partner = skeleton.keypoint_names, skeleton.flip_indices
  given = bool(labels.content.category.get("sigmas"))
  return [
    {
      "name": name,
      "labelled": int((flags[:, k] > 0).sum()),
      "hidden": int((flags[:, k] == 1).sum()),
      "partner": names[partner[k]] if partner[k] != k else None,
      "sigma": skeleton.sigmas[k],
      "sigma_is_default": not given and not skeletons.knows(name),
    }
    for k, name in enumerate(names)
  ]


def _boxes(people: People, crop_size: Size, padding: float) -> dict[str, Any]:
  _, scale = people_lib.crop_boxes(people, crop_size, padding)
  enlargement = crop_size[1] / scale[:, 0]  # image px to crop px
  corner, size = np.split(people.bbox.astype(np.float64), 2, axis=1)
  beside = people_lib.outside(
    people, corner - TOLERANCE, corner + size + TOLERANCE
  )
  return {
    "median_size": np.median(size, axis=0).round(1).tolist(),
    "crop_size": list(crop_size),
    "enlarged": int((enlargement > 1).sum()),
    "enlarged_twice": int((enlargement > 2).sum()),
    "median_factor": round(float(np.median(enlargement)), 2),
    "keypoints_outside_box": int(beside.sum()),
    "keypoints": int((people.keypoints[..., 2] > 0).sum()),
    "size_unknown": int((people.image_size[:, 0] == UNKNOWN_SIZE).sum()),
  }


def _category(labels: Labels, estimate: Estimate | None) -> dict[str, Any]:
  """The category with flip pairs (from 0), limbs (from 1) and sigmas in use."""
  skeleton, sigmas = labels.content.skeleton, labels.content.skeleton.sigmas
  limbs = skeleton.limbs or _suggest_limbs(labels.trainable(), skeleton)
  if estimate is not None:
    new = estimate.sigmas.round(4)
    sigmas = tuple(np.where(new > 0, new, sigmas).tolist())
  return {
    **labels.content.category,
    "flip_pairs": [list(pair) for pair in skeleton.flip_pairs],
    "skeleton": [[a + 1, b + 1] for a, b in limbs],
    "sigmas": list(sigmas),
  }


def _suggest_limbs(
  people: People, skeleton: skeletons.Skeleton
) -> list[tuple[int, int]]:
  from scipy.sparse import csgraph  # half a second that few categories need

  points = people.keypoints[..., :2] / np.sqrt(people.area)[:, None, None]
  points = np.where(people.keypoints[..., 2:] > 0, points, np.nan)
  with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
    distances = [  # nan where nobody has both labels
      np.nanmedian(np.linalg.norm(points - points[:, [k]], axis=-1), axis=0)
      for k in range(points.shape[1])
    ]
  # The tree takes a distance of 0 for no limb.
  tree = csgraph.minimum_spanning_tree(np.array(distances) + 1e-9).tocoo()
  flipped = skeleton.flip_indices
  limbs = list(zip(tree.row.tolist(), tree.col.tolist(), strict=True))
  limbs += [(flipped[a], flipped[b]) for a, b in limbs]
  return sorted({(min(limb), max(limb)) for limb in limbs})

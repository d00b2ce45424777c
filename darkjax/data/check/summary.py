"""What a data set holds, in numbers: the part of a check without verdicts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data.check import boxes, limbs
from darkjax.data.check.findings import UNKNOWN_SIZE, Labels


def collect(
  labels: Labels, *, crop_size: tuple[int, int], padding: float
) -> dict[str, Any]:
  """Counts of images, people and keypoints; boxes; the skeleton.

  Args:
    labels: of the json.
    crop_size: (height, width) of the network's input, px.
    padding: factor on the box.

  Returns:
    A dictionary that json can write.
  """
  return {
    "images": _images(labels),
    "people": _people(labels),
    "keypoints": keypoints(labels),
    "areas": boxes.area_counts(labels.trainable()),
    "boxes": _boxes(labels, crop_size, padding),
    "category": category(labels),
  }


def _images(labels: Labels) -> dict[str, int]:
  people = labels.trainable()
  return {
    "all": len(labels.content.images),
    "with_people": len(np.unique(people.image_id)),
    "most_people": int(
      np.unique(people.image_id, return_counts=True)[1].max(initial=0)
    ),
  }


def _people(labels: Labels) -> dict[str, int]:
  people = labels.people
  person = ~people.iscrowd
  return {
    "annotations": len(labels.content.annotations),
    "refused": len(labels.content.annotations) - len(people),
    "crowds": int(people.iscrowd.sum()),
    "unlabelled": int((person & ~people.labelled).sum()),
    "without_box_or_area": int(
      (person & people.labelled & ~people.boxed).sum()
    ),
    "to_train_on": int(people.trainable.sum()),
  }


def keypoints(labels: Labels) -> list[dict[str, Any]]:
  """One dictionary for each keypoint, counted over the people to train on."""
  skeleton = labels.content.skeleton
  flags = labels.trainable().keypoints[..., 2]
  partner = skeleton.flip_indices
  names, defaults = skeleton.keypoint_names, default_sigmas(labels)
  return [
    {
      "name": name,
      "labelled": int((flags[:, k] > 0).sum()),
      "hidden": int((flags[:, k] == 1).sum()),
      "partner": names[partner[k]] if partner[k] != k else None,
      "sigma": skeleton.sigmas[k],
      "sigma_is_default": k in defaults,
    }
    for k, name in enumerate(names)
  ]


def default_sigmas(labels: Labels) -> set[int]:
  """Keypoints whose sigma is `skeletons.DEFAULT_SIGMA` for want of a better."""
  if labels.content.category.get("sigmas"):
    return set()
  names = labels.content.skeleton.keypoint_names
  return {k for k, name in enumerate(names) if not skeletons.knows(name)}


def _boxes(labels: Labels, crop_size, padding) -> dict[str, Any]:
  people = labels.trainable()
  if not len(people):
    return {}
  factor = boxes.enlargement(people, crop_size, padding)
  labelled = (people.keypoints[..., 2] > 0).sum()
  return {
    "median_size": np.median(people.bbox[:, 2:], axis=0).round(1).tolist(),
    "crop_size": list(crop_size),
    "enlarged": int((factor > 1).sum()),
    "enlarged_twice": int((factor > 2).sum()),
    "median_factor": round(float(np.median(factor)), 2),
    "keypoints_outside_box": int(boxes.outside_box(people).sum()),
    "keypoints": int(labelled),
    "size_unknown": int((people.image_size[:, 0] == UNKNOWN_SIZE).sum()),
  }


def category(labels: Labels) -> Mapping[str, Any]:
  """The category, with what it lacks filled in.

  `flip_pairs` are those in use, from 0. `skeleton`, from 1, are those in use
  or, where there are none, suggested by the labels. `sigmas` are those in use.
  """
  skeleton = labels.content.skeleton
  drawn = skeleton.limbs or limbs.suggest_limbs(labels.trainable(), skeleton)
  return {
    **labels.content.category,
    "flip_pairs": [list(pair) for pair in skeleton.flip_pairs],
    "skeleton": [[a + 1, b + 1] for a, b in drawn],
    "sigmas": list(skeleton.sigmas),
  }

"""COCO's average precision and recall of keypoints, through pycocotools.

Reference: https://cocodataset.org/#keypoints-eval.
"""

import contextlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from darkjax.metrics import coco_annotations, coco_fields
from darkjax.metrics.coco_problems import finite_numbers

if TYPE_CHECKING:
  from pycocotools.coco import COCO

# In the order of pycocotools' ten keypoint numbers.
METRIC_NAMES = (
  "AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL",
)  # fmt: skip


def average_precision(
  annotations: str | os.PathLike[str] | Mapping[str, Any],
  results: Sequence[Mapping[str, Any]],
  *,
  sigmas: Sequence[float],
  image_ids: Sequence[int] | None = None,
  category_ids: Sequence[Any] | None = None,
  box_source: str = "gt_boxes",
) -> dict[str, float]:
  """Returns COCO's ten keypoint numbers, by pycocotools.

  AP and AR are means over OKS 0.50, 0.55, ... 0.95; M is people of 32² to 96²
  px² by annotated area, L larger ones. At most 20 people per image count.
  Categories with the same keypoints are scored as one. Crowds and people
  without labelled keypoints neither help nor hurt. A number is -1, not 0, where
  nobody could be found, as APM where the file has no person of medium area.

  Args:
    annotations: a COCO keypoint file, or its content.
    results: as from `to_results`, with the file's image ids; may be empty.
    sigmas: K OKS constants.
    image_ids: images to score; all by default.
    category_ids: categories to score, with the same keypoints; by default all
      with keypoints.
    box_source: written behind the names, "gt_boxes" or "detections".

  Returns:
    {"AP/gt_boxes": percent in 0..100 or -1, ...}, keys as `METRIC_NAMES`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: invalid annotations (see `coco_annotations`), another K, unknown
      images or categories, a result or sigma that is not a number.
  """
  from pycocotools.cocoeval import COCOeval  # of the extra `train`

  numbers = finite_numbers(sigmas, (len(sigmas),))
  if numbers is None or (numbers <= 0).any():
    raise ValueError(f"sigmas are K positive numbers, got {sigmas}")
  with contextlib.redirect_stdout(io.StringIO()):
    truth = _load_truth(annotations, len(sigmas), category_ids)
    numbers_of = {own: number for number, own in _own_ids(truth).items()}
    for result in results:
      _check_result(result, len(sigmas))
    results = [
      {**r, "image_id": numbers_of.get(r["image_id"], r["image_id"])}
      for r in results
    ]
    predicted = _load_results(truth, results)
  evaluation = COCOeval(truth, predicted, "keypoints")
  evaluation.params.kpt_oks_sigmas = numbers
  if image_ids is not None:
    image_ids = [numbers_of.get(i, i) for i in image_ids]
    _check_exist("image_ids", set(image_ids), _own_ids(truth))
    evaluation.params.imgIds = image_ids
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return {
    f"{name}/{box_source}": float(value) * (100 if value >= 0 else 1)
    for name, value in zip(METRIC_NAMES, evaluation.stats, strict=True)
  }


def _load_truth(annotations, num_keypoints: int, category_ids) -> "COCO":
  """The people to score, in pycocotools' index."""
  content = coco_annotations.read_sections(annotations)
  path = None if isinstance(annotations, Mapping) else annotations
  images = coco_annotations.index_images(content["images"], path, named=False)
  categories = _scored_categories(content["categories"], category_ids)
  scored = {category["id"] for category in categories}
  people = [p for p in content["annotations"] if p.get("category_id") in scored]
  coco_annotations.check_annotations(
    people, num_keypoints, images, path, ids=False
  )
  annotated = [
    _person(person, number, categories[0]["id"], num_keypoints)
    for number, person in enumerate(people, start=1)
  ]
  return _index(list(images.values()), categories, annotated)


def _scored_categories(categories, category_ids) -> list[Mapping[str, Any]]:
  """Those with the ids, else those with keypoints: COCO's file has others."""
  usable = [c for c in categories if coco_fields.is_id(c.get("id"))]
  if category_ids is not None:
    _check_exist(
      "categories", set(category_ids), {c["id"]: c["id"] for c in usable}
    )
    return [c for c in usable if c["id"] in category_ids]
  return [c for c in usable if c.get("keypoints")] or usable


def _person(person, number: int, category_id, num_keypoints: int) -> dict:
  """Returns a copy with defaults for missing fields, numbered from 1.

  pycocotools needs ids that are unique and not 0.
  """
  keypoints = person["keypoints"] or [0] * 3 * num_keypoints
  given = {name: value for name, value in person.items() if value is not None}
  if finite_numbers(given.get("num_keypoints"), ()) is None:
    given["num_keypoints"] = sum(flag > 0 for flag in keypoints[2::3])
  fixed = {"id": number, "category_id": category_id, "keypoints": keypoints}
  return {**given, **fixed}


def _own_ids(truth: "COCO") -> dict[int, Any]:
  """Returns the file's own id of each image, by that of the index."""
  return {i: coco_fields.id_in_file(image) for i, image in truth.imgs.items()}


def _load_results(truth: "COCO", results) -> "COCO":
  for field, existing in (
    ("image_id", _own_ids(truth)),
    ("category_id", {i: i for i in truth.cats}),
  ):
    _check_exist(f"{field} of results", {r[field] for r in results}, existing)
  if not results:  # loadRes looks at the first result to learn its kind
    images = truth.dataset["images"]
    return _index(images, truth.dataset["categories"], [])
  one = {"category_id": truth.dataset["categories"][0]["id"]}
  return truth.loadRes([{**result, **one} for result in results])


def _index(images: list, categories: list, annotations: list) -> "COCO":
  from pycocotools.coco import COCO

  indexed = COCO()
  indexed.dataset = {
    "info": {},  # pycocotools up to 2.0.10 copies it
    "images": images,
    "categories": categories,
    "annotations": annotations,
  }
  indexed.createIndex()
  return indexed


def _check_result(result, num_keypoints: int) -> None:
  missing = [
    field
    for field in ("image_id", "category_id", "keypoints", "score")
    if result.get(field) is None
  ]
  if missing:
    raise ValueError(f"a result has no {missing}, got {str(result)[:80]}")
  for field, shape in (("keypoints", (3 * num_keypoints,)), ("score", ())):
    value = result[field]
    if finite_numbers(value, shape) is None:
      raise ValueError(
        f"{field!r} of a result in image {result['image_id']} must be "
        f"{math.prod(shape)} finite numbers (K={num_keypoints} sigmas), got "
        f"{np.size(value)}: {str(value)[:80]}"
      )


def _check_exist(what: str, ids: set[Any], existing: Mapping[Any, Any]) -> None:
  """Raises a ValueError for ids that do not exist; values are the file's."""
  unknown = sorted(ids - set(existing), key=str)
  if unknown:
    raise ValueError(
      f"{what} {unknown[:5]} ({len(unknown)} in all) are not in the annotation "
      f"file, which has {sorted(existing.values(), key=str)[:5]}...; use the "
      "file of the split that was predicted"
    )

"""COCO's average precision and recall of keypoints, through pycocotools.

Reference: https://cocodataset.org/#keypoints-eval, and
`pycocotools.cocoeval.COCOeval`, which does the counting.
"""

import contextlib
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# In the order of pycocotools' ten keypoint numbers.
METRIC_NAMES = (
  "AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL",
)  # fmt: skip

# What pycocotools reads of an annotation, and what to do if it is missing.
_NEEDED = {
  "image_id": "name the image that the person is in",
  "keypoints": "write K times (x, y, visibility), all 0 for none",
  "area": "write the area of the person's mask in px² or, as is usual where "
  "there is none, 0.53 of the box",
  "bbox": "write (x, y, width, height), for instance the keypoints' extent",
}


def average_precision(
  annotations: str | os.PathLike[str] | Mapping[str, Any],
  results: Sequence[Mapping[str, Any]],
  *,
  sigmas: Sequence[float],
  image_ids: Sequence[int] | None = None,
  category_ids: Sequence[Any] | None = None,
  box_source: str = "gt_boxes",
) -> dict[str, float]:
  """COCO's ten keypoint numbers, by pycocotools.

  AP and AR are means over OKS 0.50, 0.55, ... 0.95; AP50 and AP75 are at one
  OKS; M is people of 32² to 96² px² by their annotated area, L larger ones.
  At most 20 people per image count. Categories with the same keypoints (kinds
  of animals) are scored as one. Crowds and people without labelled
  keypoints neither help nor hurt. A number is -1, not 0, where nobody could be
  found: APM is -1 when the file has no person of medium area, all ten are
  when no image has a person with labelled keypoints.

  Args:
    annotations: a COCO keypoint file, or its content (left unchanged). Where
      it leaves out num_keypoints, labelled keypoints are counted.
    results: what `to_results` gives; may be empty.
    sigmas: K OKS constants.
    image_ids: images to score; all of the file's by default. People and
      results of others are left out.
    category_ids: categories to score, as one; all with keypoints by default,
      which must have the same.
    box_source: written behind the names, "gt_boxes" or "detections".

  Returns:
    {"AP/gt_boxes": percent in 0..100 or -1, ...} in the order of
    `METRIC_NAMES`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not a COCO json; an annotation without area or bbox, or with
      another K; images or categories that the file does not have; a result or
      sigma that is no number.
  """
  if not _is_numbers(sigmas, (len(sigmas),)) or min(sigmas, default=1) <= 0:
    raise ValueError(f"sigmas are K positive numbers, got {sigmas}")
  truth = _load_truth(annotations, len(sigmas), category_ids)
  predicted = _load_results(truth, results, len(sigmas))
  evaluation = COCOeval(truth, predicted, "keypoints")
  evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
  if image_ids is not None:
    _check_known("image_ids", set(image_ids), truth.imgs)
    evaluation.params.imgIds = list(image_ids)
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  # -1 says "no such people" and is no percentage.
  return {
    f"{name}/{box_source}": float(value) * (100 if value >= 0 else 1)
    for name, value in zip(METRIC_NAMES, evaluation.stats, strict=True)
  }


def _load_truth(annotations, num_keypoints: int, category_ids) -> COCO:
  if isinstance(annotations, Mapping):
    source, content = "the annotations", annotations
  else:
    source, content = str(annotations), _read_json(annotations)
  _check_sections(content, source)
  categories = _scored(content["categories"], category_ids)
  people = _people(content["annotations"], categories, num_keypoints, source)
  return _index(
    {
      "info": {},  # pycocotools up to 2.0.10 copies it
      "images": list(content["images"]),
      "categories": categories,
      "annotations": people,
    }
  )


def _scored(categories, category_ids) -> list[Mapping[str, Any]]:
  """The wanted ones, else those with keypoints: a full COCO file has others."""
  if category_ids is not None:
    known = {category["id"] for category in categories}
    _check_known("categories", set(category_ids), known)
    return [c for c in categories if c["id"] in category_ids]
  return [c for c in categories if c.get("keypoints")] or list(categories)


def _people(annotations, categories, num_keypoints: int, source: str):
  """Copies of the annotations to score, numbered from 1.

  pycocotools reads a match with id 0 as no match, and forgets the first of two
  people with the same id.
  """
  scored = {category["id"] for category in categories}
  one = {"category_id": categories[0]["id"]} if categories else {}
  people = [p for p in annotations if p.get("category_id") in scored]
  people = [_with_defaults(person, num_keypoints) for person in people]
  for person in people:
    _check_annotation(person, num_keypoints, source)
  return [
    {**person, **one, "id": number, "num_keypoints": _labelled(person)}
    for number, person in enumerate(people, start=1)
  ]


def _with_defaults(person, num_keypoints: int) -> dict[str, Any]:
  """A copy; people are no crowds, and crowds need no keypoints, by default."""
  crowd = person.get("iscrowd") or 0
  keypoints = {"keypoints": [0] * 3 * num_keypoints} if crowd else {}
  return {**keypoints, **person, "iscrowd": crowd}


def _labelled(person) -> int:
  """The annotation's num_keypoints; counted where the file leaves it out."""
  told = person.get("num_keypoints")
  flags = person["keypoints"][2::3]
  return sum(flag > 0 for flag in flags) if told is None else told


def _load_results(truth: COCO, results, num_keypoints: int) -> COCO:
  _check_results(truth, results, num_keypoints)
  if not results:  # loadRes looks at the first result to learn its kind
    return _index({**truth.dataset, "annotations": []})
  with contextlib.redirect_stdout(io.StringIO()):
    one = {"category_id": truth.dataset["categories"][0]["id"]}
    return truth.loadRes([{**result, **one} for result in results])


def _index(dataset: dict[str, Any]) -> COCO:
  indexed = COCO()
  indexed.dataset = dataset
  with contextlib.redirect_stdout(io.StringIO()):
    indexed.createIndex()
  return indexed


def _read_json(path) -> dict[str, Any]:
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f"no annotation file {path}; expected a COCO keypoint json "
      "(images, annotations, categories)"
    )
  try:
    return json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(f"{path} is not json: {error}") from error


def _check_sections(content, source: str) -> None:
  wanted = ("images", "annotations", "categories")
  missing = [name for name in wanted if name not in content]
  if missing:
    raise ValueError(
      f"{source}: expected COCO's sections {wanted}, got {sorted(content)}; "
      "a results or detections file has no labels to score against"
    )


def _check_annotation(person, num_keypoints: int, source: str) -> None:
  for field, fix in _NEEDED.items():
    if person.get(field) is None:
      raise ValueError(
        f"{source}: annotation {person.get('id')} has no {field!r}, which AP "
        f"needs; {fix}"
      )
  if not _is_numbers(person["keypoints"], (3 * num_keypoints,)):
    raise ValueError(
      f"{source}: annotation {person.get('id')} expected 3·K numbers for "
      f"K={num_keypoints} sigmas, got {np.size(person['keypoints'])}: "
      f"{_shown(person['keypoints'])}; use the skeleton of this file"
    )
  for field, shape in (("area", ()), ("bbox", (4,))):
    if not _is_numbers(person[field], shape):
      raise ValueError(
        f"{source}: {field!r} of annotation {person.get('id')} is not made of "
        f"finite numbers, got {_shown(person[field])}; {_NEEDED[field]}"
      )


def _is_numbers(value, shape: tuple[int, ...]) -> bool:
  """Whether a value of json is finite numbers of a shape."""
  try:
    numbers = np.asarray(value)
  except ValueError:  # lists of several lengths
    return False
  right = numbers.shape == shape and numbers.dtype.kind in "iuf"
  return right and bool(np.isfinite(numbers).all())


def _shown(value) -> str:
  return str(value)[:80]


def _check_results(truth: COCO, results, num_keypoints: int) -> None:
  for result in results:
    _check_result(result, num_keypoints)
  images = {result["image_id"] for result in results}
  categories = {result["category_id"] for result in results}
  _check_known("results of images", images, truth.imgs)
  _check_known("results of categories", categories, truth.cats)


def _check_result(result, num_keypoints: int) -> None:
  missing = [
    field
    for field in ("image_id", "category_id", "keypoints", "score")
    if result.get(field) is None
  ]
  if missing:
    raise ValueError(f"a result has no {missing}, got {_shown(result)}")
  if not _is_numbers(result["keypoints"], (3 * num_keypoints,)):
    raise ValueError(
      f"a result in image {result['image_id']} expected 3·K finite numbers for "
      f"K={num_keypoints} sigmas, got {np.size(result['keypoints'])}: "
      f"{_shown(result['keypoints'])}"
    )
  if not _is_numbers(result["score"], ()):
    raise ValueError(
      f"the score of a result in image {result['image_id']} is a finite "
      f"number, got {_shown(result['score'])}"
    )


def _check_known(what: str, got: set[int], known) -> None:
  unknown = sorted(got - set(known))
  if unknown:
    raise ValueError(
      f"{what} {unknown[:5]} ({len(unknown)} in all) are not in the annotation "
      f"file, which has {sorted(known)[:5]}...; use the file of the split that "
      "was predicted"
    )

"""COCO-format keypoint files as prepared data sets, see coco_records.py."""

import dataclasses
import hashlib
import logging
import pathlib
from collections.abc import Callable

import numpy as np

from darkjax import skeletons
from darkjax.data import prepared
from darkjax.data.coco import unreadable as faults
from darkjax.data.coco.reader import (
  Annotations,
  hint,
  leaves_a_choice,
  read_annotations,
  read_unlabelled,
)
from darkjax.data.coco.records import CocoConfig, CocoKeypoints, prepare
from darkjax.data.people_table import People
from darkjax.data.prepared import Source
from darkjax.runtime import files

_LOG = logging.getLogger(__name__)


def load(
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  *,
  cache_dir: str | pathlib.Path | None = None,
  category: str | None = None,
  skeleton: skeletons.Skeleton | None = None,
  keep_empty_images: bool = False,
  tolerance: faults.Tolerance = faults.RAISE,
) -> Source:
  """Prepares a COCO-format keypoint file, or finds it prepared.

  Everything is checked while preparing: each annotation, and each image file by
  its header and one decode (a JPEG at an eighth of its size). The records go
  into a folder of `cache_dir` named after the json's content, the image folder
  and the builder's version: an edited json is prepared anew. Image files are
  read at that time only; after replacing one, delete the folder.

  Args:
    annotations: COCO-format keypoint json.
    images: folder that its file names are relative to.
    cache_dir: where the records are kept; they are as large as the images. None
      or "" is `files.cache_directory()`.
    category: which category, where several have different keypoints; None or ""
      for those that have any.
    skeleton: whose keypoints decide where these differ and none is named.
    keep_empty_images: also keep images nobody is annotated in, for scoring
      detections on them.
    tolerance: of images that cannot be read.

  Raises:
    FileNotFoundError: the json or an image is missing.
    ValueError: bad annotations (see coco_json.py), bad images (see faults.py),
      nobody to train on, a json that changes while it is read, or records that
      are damaged.
  """
  annotations = pathlib.Path(annotations)

  def read() -> Annotations:
    parsed = read_annotations(
      annotations,
      category=category,
      skeleton=skeleton,
      keep_empty_images=keep_empty_images,
    )
    _check_not_empty(parsed)
    return parsed

  everybody = _open(
    annotations,
    images,
    read,
    lambda: (category or _choice(annotations, skeleton), keep_empty_images),
    cache_dir=cache_dir,
    tolerance=tolerance,
  )
  people = everybody.people
  _report(people, annotations)
  skipped = np.unique(people.image_id[~people.readable])
  tolerance.check(len(skipped), everybody.num_images, annotations)
  return dataclasses.replace(everybody, people=people.rows(people.trainable))


def load_unlabelled(
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  *,
  skeleton: skeletons.Skeleton,
  cache_dir: str | pathlib.Path | None = None,
  category: str | None = None,
  tolerance: faults.Tolerance = faults.RAISE,
) -> Source:
  """Prepares the images of a json without labels: nobody is in them.

  Args:
    annotations: COCO-format json with images and categories.
    images: folder that its file names are relative to.
    skeleton: of the people to find.
    cache_dir: see `load`.
    category: see `categories.of_boxes`.
    tolerance: of images that cannot be read.

  Raises:
    FileNotFoundError: the json or an image is missing.
    ValueError: as of `load`, but for labels and people.
  """
  annotations = pathlib.Path(annotations)
  nobody = _open(
    annotations,
    images,
    lambda: read_unlabelled(annotations, skeleton=skeleton, category=category),
    lambda: ("no labels", category, skeleton.to_json()),
    cache_dir=cache_dir,
    tolerance=tolerance,
  )
  readable = prepared.read_images(nobody.builder).readable
  tolerance.check((~readable).sum(), len(readable), annotations)
  return nobody


def _open(
  annotations: pathlib.Path,
  images: str | pathlib.Path,
  read: Callable[[], Annotations],
  choices: Callable[[], tuple],
  *,
  cache_dir: str | pathlib.Path | None,
  tolerance: faults.Tolerance,
) -> Source:
  """The prepared records with all their people; prepares them if need be.

  Args:
    annotations: COCO-format json.
    images: folder that its file names are relative to.
    read: gives its checked content.
    choices: gives what else decides the content.
    cache_dir: see `load`.
    tolerance: of images that cannot be read.
  """
  images, digest = pathlib.Path(images), _digest(annotations)
  options = (*choices(), tolerance.on_error)
  name = _fingerprint(digest, images.absolute(), *options)
  folder = pathlib.Path(cache_dir or files.cache_directory()).absolute()
  path = folder / CocoKeypoints.name / name / str(CocoKeypoints.VERSION)
  with files.named_if_full(folder), files.locked(folder / f"{name}.lock"):
    if not path.is_dir():
      parsed = read()
      if _digest(annotations) != digest:
        raise ValueError(f"{annotations} changed while it was read; run again")
      prepare(
        CocoConfig(
          name=name, annotations=parsed, images=images, tolerance=tolerance
        ),
        folder,
      )
    builder, people = prepared.open_records(path)
  return Source(
    annotations=annotations,
    skeleton=skeletons.from_json(builder.info.metadata["skeleton"]),
    category_ids=tuple(builder.info.metadata["category_ids"]),
    builder=builder,
    people=people,
    labels_digest=digest,
  )


def _choice(annotations, skeleton) -> tuple[str, ...] | None:
  """The keypoints that decide which people are read, if they decide it."""
  if skeleton is None or not leaves_a_choice(annotations):
    return None
  return skeleton.keypoint_names


def _digest(annotations: pathlib.Path) -> str:
  if not annotations.is_file():
    raise FileNotFoundError(
      f"no annotation file {annotations}; give the path of a COCO-format "
      "keypoint json"
    )
  return files.digest(annotations)


def _fingerprint(*parts) -> str:
  """Names the content of a json, its images and the options; 16 hex digits."""
  texts = [str(part) for part in (*parts, CocoKeypoints.VERSION)]
  return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _check_not_empty(annotations: Annotations) -> None:
  if not any(image["people"] for image in annotations.images):
    raise ValueError(
      f"{annotations.path} annotates nobody of category "
      f"{annotations.skeleton.name!r}: the split is empty; "
      f"{hint(annotations.path)}"
    )


def _report(people: People, path: pathlib.Path) -> None:
  """Says what is left out and why."""
  unreadable = ~people.readable
  if unreadable.any():
    _LOG.warning(
      "%s: %d people on %d images that cannot be read (ids %s) are left out of "
      "training; metrics of COCO count them as missed, PCK and errors in px "
      "leave them out",
      path, unreadable.sum(), len(np.unique(people.image_id[unreadable])),
      np.unique(people.image_id[unreadable])[:5].tolist(),
    )  # fmt: skip
  people = people.rows(people.readable)
  crowds = people.iscrowd
  unlabelled = ~crowds & ~people.labelled
  boxless = ~crowds & people.labelled & ~people.boxed
  _LOG.info(
    "%s: %d people; left out: %d crowds, %d without labelled keypoints, %d "
    "whose box or area inside the image is zero (annotation ids %s)",
    path, people.trainable.sum(), crowds.sum(), unlabelled.sum(),
    boxless.sum(), people.annotation_id[boxless][:5].tolist(),
  )  # fmt: skip
  if not people.trainable.any():
    raise ValueError(
      f"{path} has nobody to train on: of {len(people)} people {crowds.sum()} "
      f"are crowds, {unlabelled.sum()} have no labelled keypoint, "
      f"{boxless.sum()} have a box or area of zero; {hint(path)}"
    )

"""Preparation of COCO-format keypoint files as data sets, see records.py."""

import dataclasses
import hashlib
import logging
import pathlib
from collections.abc import Callable

import numpy as np

from darkjax import skeletons
from darkjax.data import prepared
from darkjax.data.coco import reader, unreadable
from darkjax.data.coco.reader import Annotations
from darkjax.data.coco.records import CocoConfig, CocoKeypoints, prepare
from darkjax.data.people_table import People
from darkjax.data.prepared import PreparedDataset
from darkjax.metrics.coco_annotations import check_hint
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
  skip_policy: unreadable.SkipPolicy = unreadable.RAISE,
) -> PreparedDataset:
  """Prepares a COCO-format keypoint file, or opens what was prepared before.

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
    skeleton: whose keypoints decide where these differ and no category is
      given.
    keep_empty_images: also keep images nobody is annotated in, for scoring
      detections on them.
    skip_policy: what to do about images that cannot be read.

  Raises:
    FileNotFoundError: the json or an image is missing.
    ValueError: annotations or images that are not valid (see
      metrics/coco_annotations.py, unreadable.py), nobody to train on, a json
      that changes while it is read, or records that are damaged.
  """
  annotations = pathlib.Path(annotations)

  def read() -> Annotations:
    parsed = reader.read_annotations(
      annotations,
      category=category,
      skeleton=skeleton,
      keep_empty_images=keep_empty_images,
    )
    if not any(image["people"] for image in parsed.images):
      raise ValueError(
        f"{annotations} annotates nobody of category "
        f"{parsed.skeleton.name!r}: the split is empty; "
        f"{check_hint(annotations)}"
      )
    return parsed

  everybody = _open(
    annotations,
    images,
    read,
    lambda: (category or _choice(annotations, skeleton), keep_empty_images),
    cache_dir=cache_dir,
    skip_policy=skip_policy,
  )
  people = everybody.people
  _report(people, annotations)
  skipped = np.unique(people.image_id[~people.readable])
  skip_policy.check(len(skipped), everybody.num_images, annotations)
  return dataclasses.replace(everybody, people=people.rows(people.trainable))


def load_unlabelled(
  annotations: str | pathlib.Path,
  images: str | pathlib.Path,
  *,
  skeleton: skeletons.Skeleton,
  cache_dir: str | pathlib.Path | None = None,
  category: str | None = None,
  skip_policy: unreadable.SkipPolicy = unreadable.RAISE,
) -> PreparedDataset:
  """Prepares the images of a json without labels: nobody is in them.

  Args:
    annotations: COCO-format json with images and categories.
    images: folder that its file names are relative to.
    skeleton: of the people to find.
    cache_dir: see `load`.
    category: see `categories.of_boxes`.
    skip_policy: what to do about images that cannot be read.

  Raises:
    FileNotFoundError: the json or an image is missing.
    ValueError: as of `load`, but for labels and people.
  """
  annotations = pathlib.Path(annotations)
  nobody = _open(
    annotations,
    images,
    lambda: reader.read_unlabelled(
      annotations, skeleton=skeleton, category=category
    ),
    lambda: ("no labels", category, skeleton.to_json()),
    cache_dir=cache_dir,
    skip_policy=skip_policy,
  )
  readable = prepared.read_images(nobody.builder).readable
  skip_policy.check((~readable).sum(), len(readable), annotations)
  return nobody


def _open(
  annotations: pathlib.Path,
  images: str | pathlib.Path,
  read: Callable[[], Annotations],
  choices: Callable[[], tuple],
  *,
  cache_dir: str | pathlib.Path | None,
  skip_policy: unreadable.SkipPolicy,
) -> PreparedDataset:
  """Opens the records with all their people; prepares them if need be.

  `read` gives the checked json, `choices` all else that decides the records.
  """
  images, digest = pathlib.Path(images), _digest(annotations)
  options = (*choices(), skip_policy.on_error)
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
          name=name, annotations=parsed, images=images, skip_policy=skip_policy
        ),
        folder,
      )
    builder, people = prepared.open_records(path)
  return PreparedDataset(
    annotations=annotations,
    skeleton=skeletons.from_json(builder.info.metadata["skeleton"]),
    category_ids=tuple(builder.info.metadata["category_ids"]),
    builder=builder,
    people=people,
    labels_digest=digest,
  )


def _choice(annotations, skeleton) -> tuple[str, ...] | None:
  """The keypoints that decide which people are read, if they decide it."""
  if skeleton is None or not reader.has_different_keypoints(annotations):
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


def _report(people: People, path: pathlib.Path) -> None:
  """Logs how many people are left out and why."""
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
      f"{boxless.sum()} have a box or area of zero; {check_hint(path)}"
    )

"""Preparation of COCO-format keypoint files as data sets, see records.py."""

import hashlib
import logging
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from darkjax import skeletons
from darkjax.data import prepared
from darkjax.data.coco import reader, unreadable
from darkjax.data.coco.reader import Annotations
from darkjax.data.coco.records import CocoConfig, CocoKeypoints, prepare
from darkjax.data.images.names import FolderNames
from darkjax.data.people_table import People
from darkjax.data.prepared import PreparedDataset
from darkjax.metrics.coco_annotations import check_hint, image_ids_in_file
from darkjax.runtime import files
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)


def load(
  annotations: str | os.PathLike[str],
  images: str | os.PathLike[str],
  *,
  cache_dir: str | os.PathLike[str] | None = None,
  category: str | None = None,
  skeleton: Skeleton | None = None,
  labelled: bool = True,
  keep_empty_images: bool = False,
  skip_policy: unreadable.SkipPolicy = unreadable.RAISE,
  upright: bool | None = None,
) -> PreparedDataset:
  """Prepares a COCO-format keypoint file, or opens what was prepared before.

  Every annotation and image (by its header and one decode, of a JPEG at 1/8
  size) is checked while preparing. The folder of the records is named
  after the json's content, the image folder and the version: an edited
  json is prepared anew, and so are images that were skipped once one of them
  can be read; after replacing another image, delete the folder.

  Args:
    annotations: COCO-format keypoint json.
    images: folder that its file names are relative to, see `FileNames.find`.
    cache_dir: where records, as large as the images, are kept; None or "" is
      `files.cache_directory()`.
    category: see `categories.choose`.
    skeleton: likewise.
    labelled: false for a json with images and categories alone, which needs a
      skeleton and gives no people, see `reader.read_unlabelled`.
    keep_empty_images: also keep images nobody is annotated in.
    skip_policy: what to do about images that cannot be read.
    upright: turn images as their EXIF orientation says, for labels made on what
      viewers show; else labels count the pixels as stored, as COCO's. None is
      False, with a warning where an image is turned and no size decides.

  Raises:
    FileNotFoundError: the json or an image is missing.
    ValueError: invalid annotations or images, nobody to train on, a json that
      changes while it is read, or damaged records.
  """
  annotations, images = pathlib.Path(annotations), pathlib.Path(images)
  if not annotations.is_file():
    raise FileNotFoundError(
      f"no annotation file {annotations}; give the path of a COCO-format "
      "keypoint json"
    )
  digest = files.digest(annotations)
  choice: dict[str, Any] = {"category": category, "skeleton": skeleton}
  options = (
    *_label_options(annotations, labelled, keep_empty_images, **choice),
    skip_policy.on_error,
    *(["upright"] if upright else []),
  )
  name = _fingerprint(digest, images.absolute(), *options)
  folder = pathlib.Path(cache_dir or files.cache_directory()).absolute()
  path = folder / CocoKeypoints.name / name / str(CocoKeypoints.VERSION)
  with files.explain_full_disk(folder), files.locked(folder / f"{name}.lock"):
    if path.is_dir() and skip_policy.on_error == "skip":
      if _any_repaired(path, annotations, images, skip_policy, bool(upright)):
        shutil.rmtree(path)
    if not path.is_dir():
      labels = _read(annotations, labelled, keep_empty_images, **choice)
      if files.digest(annotations) != digest:
        raise ValueError(f"{annotations} changed while it was read; run again")
      config = CocoConfig(
        name=name,
        annotations=labels,
        images=images,
        skip_policy=skip_policy,
        upright=bool(upright),
      )
      prepare(config, folder)
    builder, people = prepared.open_records(path)
    table = prepared.read_images(builder)
  if upright is None:
    _warn_of_turned(int(table.frame_unknown.sum()), annotations)
  if labelled:
    _report(people, annotations)
    skipped = len(np.unique(people.image_id[~people.readable]))
  else:
    skipped = (~table.readable).sum()
  dataset = PreparedDataset(
    annotations=annotations,
    skeleton=skeletons.from_json(builder.info.metadata["skeleton"]),
    category_ids=tuple(builder.info.metadata["category_ids"]),
    builder=builder,
    people=people.rows(people.trainable),
    labels_digest=digest,
    upright=bool(upright),
  )
  skip_policy.check(skipped, dataset.num_images, annotations)
  return dataset


def _label_options(
  path: pathlib.Path,
  labelled: bool,
  keep_empty_images: bool,
  *,
  category: str | None,
  skeleton: Skeleton | None,
) -> tuple:
  """What tells records of one json apart that are prepared for other people."""
  if not labelled and skeleton is not None:
    return "no labels", category, skeleton.to_json()
  # The skeleton chooses the people only where categories differ.
  if not category and skeleton is not None:
    if reader.has_different_keypoints(path):
      return skeleton.keypoint_names, keep_empty_images
  return category or None, keep_empty_images


def _fingerprint(*parts) -> str:
  """Names the content of a json, its images and the options; 16 hex digits."""
  texts = [str(part) for part in (*parts, CocoKeypoints.VERSION)]
  return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _read(path, labelled, keep_empty_images, **choice) -> Annotations:
  if not labelled:
    return reader.read_unlabelled(path, **choice)
  labels = reader.read_annotations(
    path, keep_empty_images=keep_empty_images, **choice
  )
  if not any(image["people"] for image in labels.images):
    raise ValueError(
      f"{path} annotates nobody of category {labels.skeleton.name!r}: the "
      f"split is empty; {check_hint(path)}"
    )
  return labels


def _any_repaired(records, annotations, images, skip_policy, upright) -> bool:
  """Returns whether an image that the records lack can be read now."""
  table = prepared.read_images(prepared.open_records(records)[0])
  skipped = table.image_id[~table.readable]
  if not len(skipped):
    return False
  listed = reader.read_images(annotations)
  folder = FolderNames(images, [i["file_name"] for i in listed.values()])
  return any(
    unreadable.read(
      listed[i], folder, annotations, skip_policy, upright=upright
    ).data
    for i in skipped
  )


def _warn_of_turned(count: int, path: pathlib.Path) -> None:
  """Warns of images whose labels may be of the other frame."""
  if count:
    _LOG.warning(
      "%s: %d images are turned by EXIF, and no size says which pixels the "
      "labels count: taken are the stored ones, as COCO's tools do; if the "
      "labels were made on the upright picture, as in browsers, give --upright "
      "(in training --config.data.upright=True), else --stored",
      path, count,
    )  # fmt: skip


def _report(people: People, path: pathlib.Path) -> None:
  """Logs how many people are left out and why."""
  unreadable = ~people.readable
  if unreadable.any():
    images = np.unique(people.image_id[unreadable])
    own_ids = image_ids_in_file(path)
    _LOG.warning(
      "%s: %d people on %d images that cannot be read (ids %s) are left out of "
      "training; metrics of COCO count them as missed, PCK and errors in px "
      "leave them out",
      path, unreadable.sum(), len(images), [own_ids[i] for i in images[:5]],
    )  # fmt: skip
  people = people.rows(people.readable)
  crowds = people.iscrowd
  unlabelled = ~crowds & ~people.labelled
  outside = ~crowds & people.labelled & ~people.in_image
  boxless = ~crowds & people.in_image & ~people.boxed
  left_out = (
    f"{crowds.sum()} crowds, {unlabelled.sum()} without labelled keypoints, "
    f"{outside.sum()} with all of them outside the image, "
    f"{boxless.sum()} whose box or area inside the image is zero"
  )
  count = people.trainable.sum()
  _LOG.info("%s: %d people; left out: %s", path, count, left_out)
  if not count:
    raise ValueError(
      f"{path} has nobody to train on or to score: of {len(people)} people "
      f"left out: {left_out}; {check_hint(path)}"
    )

"""COCO-format keypoint files as TFDS records.

A record is one image: `image` (the bytes of the file as they came), `readable`
(false for an image that was skipped, whose `image` is empty; see faults.py),
`image_id`, `file_name`, `height`, `width`, and `people`, a list of
`annotation_id`, `bbox` (x, y, w, h), `area`, `keypoints` [K, 3] (x, y,
visibility), `iscrowd`, `num_keypoints` and `score`; image pixels, float32.
Crowds, people without labels and people on images that were skipped are kept in
the records and left out by `Source.people`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import itertools
import logging
import pathlib
import shutil
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from darkjax import cache, disk, skeletons
from darkjax.data import digests, faults, source
from darkjax.data.coco_json import (
  Annotations,
  hint,
  leaves_a_choice,
  read_annotations,
)
from darkjax.data.lock import locked
from darkjax.data.source import Source
from darkjax.data.table import People

_LOG = logging.getLogger(__name__)

# Images read and checked at a time while building; bounds the memory.
_READ_AHEAD = 32


@dataclasses.dataclass
class CocoConfig(tfds.core.BuilderConfig):
  """What to build.

  Attributes:
    annotations: the checked json.
    images: folder that the json's file names are relative to.
    tolerance: of images that cannot be read.
  """

  annotations: Annotations | None = dataclasses.field(default=None, repr=False)
  images: pathlib.Path | None = None
  tolerance: faults.Tolerance = faults.RAISE


class CocoKeypoints(tfds.core.GeneratorBasedBuilder):
  """Images with keypoints from any COCO-format file; use `load`."""

  VERSION = tfds.core.Version("1.3.0")  # of what a record holds
  # TFDS's own default imports importlib_resources, which it does not require.
  code_path = pathlib.Path(__file__)

  def _info(self) -> tfds.core.DatasetInfo:
    annotations = self.builder_config.annotations
    return self.dataset_info_from_configs(
      features=_features(annotations.skeleton.num_keypoints),
      metadata=tfds.core.MetadataDict(
        skeleton=annotations.skeleton.to_json(),
        category_ids=list(annotations.category_ids),
      ),
      # Keys count up, so record i is image i of the json.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager) -> dict[str, Any]:
    del dl_manager  # nothing is downloaded
    return {source.SPLIT: self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate(_records(self.builder_config))


def _features(num_keypoints: int) -> tfds.features.FeaturesDict:
  person = {
    "annotation_id": np.int64,
    "bbox": tfds.features.Tensor(shape=(4,), dtype=np.float32),
    "area": np.float32,
    "keypoints": tfds.features.Tensor(
      shape=(num_keypoints, 3), dtype=np.float32
    ),
    "iscrowd": np.bool_,
    "num_keypoints": np.int32,
    "score": np.float32,
  }
  return tfds.features.FeaturesDict(
    {
      "image": tfds.features.Scalar(np.object_),
      "readable": np.bool_,
      "image_id": np.int64,
      "file_name": tfds.features.Text(),
      "height": np.int32,
      "width": np.int32,
      "people": tfds.features.Sequence(person),
    }
  )


def _records(config: CocoConfig) -> Iterator[dict[str, Any]]:
  """One record per image; images are read by threads, a few ahead."""
  labels, skipped = config.annotations, 0
  read = functools.partial(
    faults.read,
    folder=config.images,
    annotations=labels.path,
    tolerance=config.tolerance,
  )
  images = iter(labels.images)
  with futures.ThreadPoolExecutor() as pool:
    while chunk := list(itertools.islice(images, _READ_AHEAD)):
      for image, (data, size) in zip(chunk, pool.map(read, chunk), strict=True):
        skipped += not data
        config.tolerance.check(skipped, len(labels.images), labels.path)
        yield _record(image, data, size)


def _record(image, data: bytes, size: tuple[int, int]) -> dict[str, Any]:
  return {
    "image": data,
    "readable": bool(data),
    "image_id": image["image_id"],
    "file_name": image["file_name"],
    "height": size[0],
    "width": size[1],
    "people": image["people"],
  }


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
      or "" is `cache.directory()`.
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
  annotations, images = pathlib.Path(annotations), pathlib.Path(images)
  digest = _digest(annotations)
  choice = category or _choice(annotations, skeleton)
  options = (choice, keep_empty_images, tolerance.on_error)
  name = _fingerprint(digest, images.absolute(), *options)
  folder = pathlib.Path(cache_dir or cache.directory()).absolute()
  path = folder / CocoKeypoints.name / name / str(CocoKeypoints.VERSION)
  with disk.named_if_full(folder), locked(folder / f"{name}.lock"):
    if not path.is_dir():
      parsed = read_annotations(
        annotations,
        category=category,
        skeleton=skeleton,
        keep_empty_images=keep_empty_images,
      )
      _check_not_empty(parsed)
      if _digest(annotations) != digest:
        raise ValueError(f"{annotations} changed while it was read; run again")
      _prepare(
        CocoConfig(
          name=name, annotations=parsed, images=images, tolerance=tolerance
        ),
        folder,
      )
    builder, people = source.open_records(path)
  _report(people, annotations)
  tolerance.check(
    len(np.unique(people.image_id[~people.readable])),
    builder.info.splits[source.SPLIT].num_examples,
    annotations,
  )
  return Source(
    annotations=annotations,
    skeleton=skeletons.from_json(builder.info.metadata["skeleton"]),
    category_ids=tuple(builder.info.metadata["category_ids"]),
    builder=builder,
    people=people.rows(people.trainable),
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
  return digests.digest(annotations)


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


def _prepare(config: CocoConfig, folder: pathlib.Path) -> None:
  _LOG.info("preparing records of %s in %s", config.images, folder)
  for stale in (folder / CocoKeypoints.name / config.name).glob("incomplete.*"):
    shutil.rmtree(stale)  # of a killed process
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  builder = CocoKeypoints(
    data_dir=folder, config=config, file_format="array_record"
  )
  download_config = tfds.download.DownloadConfig(try_download_gcs=False)
  # What TFDS prints is of no use here, and a command's output is its own.
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare(download_config=download_config)


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

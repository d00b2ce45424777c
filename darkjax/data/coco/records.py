"""TFDS records of images with keypoints, from COCO-format files.

A record is one image: `image` (JPEG or PNG, see images/encoded.py), `readable`
(false for a skipped image, whose `image` is empty), `frame_unknown` (see
unreadable.py), `image_id`, `file_name`, `height`, `width`, and `people`, a list
of `annotation_id`, `bbox` (x, y, w, h), `area`, `keypoints` [K, 3] (x, y,
visibility), `iscrowd`, `num_keypoints` and `score`; image pixels, float32.
Everybody is in the records, also those who are not in `PreparedDataset.people`.
"""

import contextlib
import dataclasses
import functools
import io
import logging
import pathlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from darkjax.data import prepared
from darkjax.data.coco import unreadable
from darkjax.data.coco.reader import Annotations
from darkjax.data.images.names import FolderNames
from darkjax.runtime.prefetch import map_ahead

_LOG = logging.getLogger(__name__)

# Images read and checked at a time while building; bounds the memory.
_READ_AHEAD = 32


@dataclasses.dataclass(kw_only=True)
class CocoConfig(tfds.core.BuilderConfig):
  """The checked labels and the folder of images to build records of."""

  annotations: Annotations = dataclasses.field(repr=False)
  images: pathlib.Path
  skip_policy: unreadable.SkipPolicy
  upright: bool = False  # turn images as EXIF says


class CocoKeypoints(tfds.core.GeneratorBasedBuilder):
  """Images with keypoints from any COCO-format file; use `prepare.load`."""

  VERSION = tfds.core.Version("1.5.0")  # of records and skeleton
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
    return {prepared.SPLIT: self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate(_records(self.builder_config))


def _features(num_keypoints: int) -> tfds.features.FeaturesDict:
  tensor = functools.partial(tfds.features.Tensor, dtype=np.float32)
  person = {
    "annotation_id": np.int64,
    "bbox": tensor(shape=(4,)),
    "area": np.float32,
    "keypoints": tensor(shape=(num_keypoints, 3)),
    "iscrowd": np.bool_,
    "num_keypoints": np.int32,
    "score": np.float32,
  }
  return tfds.features.FeaturesDict(
    {
      "image": tfds.features.Scalar(np.object_),
      "readable": np.bool_,
      "frame_unknown": np.bool_,
      "image_id": np.int64,
      "file_name": tfds.features.Text(),
      "height": np.int32,
      "width": np.int32,
      "people": tfds.features.Sequence(person),
    }
  )


def _records(config: CocoConfig) -> Iterator[dict[str, Any]]:
  """One record per image, in order."""
  labels, skipped, animations = config.annotations, 0, 0
  names = [image["file_name"] for image in labels.images]
  folder = FolderNames(config.images, names)
  read = functools.partial(
    unreadable.read,
    folder=folder,
    annotations=labels.path,
    skip_policy=config.skip_policy,
    upright=config.upright,
  )
  files = map_ahead(read, labels.images, ahead=_READ_AHEAD, threads=None)
  for image, file in zip(labels.images, files, strict=True):
    skipped += not file.data
    animations += file.num_frames > 1
    config.skip_policy.check(skipped, len(labels.images), labels.path)
    yield {
      "image": file.data,
      "readable": bool(file.data),
      "frame_unknown": file.frame_unknown,
      "image_id": image["image_id"],
      "file_name": image["file_name"],
      "height": file.size[0],
      "width": file.size[1],
      "people": image["people"],
    }
  if folder.guessed:
    name = next(name for name in names if name in folder.guessed)
    _LOG.warning(
      "%s: %d images are found by another name, such as %s for %s",
      labels.path, len(folder.guessed), folder.guessed[name], name,
    )  # fmt: skip
  if animations:
    _LOG.warning(
      "%s: of %d images with several frames or pages the first one is used",
      labels.path, animations,
    )  # fmt: skip


def prepare(config: CocoConfig, folder: pathlib.Path) -> None:
  """Builds the records into `folder`, below the names of builder and config."""
  _LOG.info("preparing records of %s in %s", config.images, folder)
  for stale in (folder / CocoKeypoints.name / config.name).glob("incomplete.*"):
    shutil.rmtree(stale)  # of a killed process
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  options = {"config": config, "file_format": "array_record"}
  builder = CocoKeypoints(data_dir=folder, **options)
  downloads = tfds.download.DownloadConfig(try_download_gcs=False)
  # What TFDS prints is of no use here, and a command's output is its own.
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare(download_config=downloads)

r"""Measures what a training crop costs the host, beside the official loader.

    python scripts/bench_input.py --config=configs/coco_hrnet_w32_256x192.py \
        --annotations=person_keypoints_train2017.json --images=train2017

Both sides make the same kind of batches of the same people: darkjax ships uint8
crops and coordinates; the official algorithm (scripts/official_loader.py) ships
crops and heatmaps, and `normalize`, counted apart, is what it does to the
pixels then, which here is part of the jitted step. Times are processor time of
the process, so that all threads count and other programs do not, per image;
"images per second and core" is its inverse. They run in turn, `--repeats`
times; figures are medians. One json line per side.
"""

import itertools
import json
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator

import config_path  # noqa: F401 so that --config finds configs/
import cv2
import numpy as np
import official_loader
import provenance
import tensorflow as tf
from absl import app, flags
from ml_collections import config_flags

from darkjax import convention as convention_lib
from darkjax.convention import Convention
from darkjax.data.coco import prepare
from darkjax.data.pipeline import augment, sampler, tf_crop
from darkjax.data.pipeline import batches as pipeline
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry
from darkjax.data.pipeline.record_reader import RecordReader
from darkjax.data.prepared import PreparedDataset
from darkjax.runtime import startup

Times = dict[str, float]  # processor ms per image
_BATCH = 32


def settle() -> None:
  """Waits until this process is as good as idle."""
  share = 1.0
  while share > 0.05:
    before = time.process_time()
    time.sleep(0.1)
    share = (time.process_time() - before) / 0.1


def processor_ms(work: Callable[[], object], images: int) -> float:
  """Processor time of a call and of what it sets off, ms per image."""
  settle()
  before = time.process_time()
  work()
  settle()
  return 1e3 * (time.process_time() - before) / images


class Ours:
  """The pipeline, and its stages alone."""

  def __init__(
    self,
    source: PreparedDataset,
    convention: Convention,
    augmentation: Augmentation,
    batches: int,
  ):
    self._source, self._convention = source, convention
    self._batches, self._images = batches, batches * _BATCH
    geometry = CropGeometry([source], convention)
    self._sample = sampler.training_sampler(
      geometry,
      augmentation,
      batch_size=_BATCH,
      seed=0,
      process_index=0,
      process_count=1,
    )
    self._reader = RecordReader([source], geometry)
    self.stream = pipeline.train_batches(
      [source], convention, augmentation, batch_size=_BATCH, seed=0
    )
    self._decoded, self._warped = self._datasets()

  def _datasets(self) -> tuple[Iterator, Iterator]:
    """Only decoding; only warping, of parts that are kept in memory."""
    source, size = self._source, self._convention.crop_size
    crops = map(self._sample, range(self._batches))
    crops = [self._reader.add_records(batch) for batch in crops]
    fields = {
      name: np.concatenate([batch[name] for batch in crops])
      for name in ("window", "window_from_crop")
    }
    records = list(itertools.chain(*(batch["record"] for batch in crops)))
    data = tf.data.Dataset.from_tensor_slices({"record": records, **fields})

    def decode(planned):
      image = source.image_bytes(planned["record"])
      part = tf_crop.decode_window(image, planned["window"])
      return part, planned["window_from_crop"]

    def warp(part, window_from_crop):
      return tf_crop.warp(part, window_from_crop, size)

    decoded = data.repeat().map(decode).map(lambda part, _: part)
    warped = data.map(decode).cache().repeat().map(warp)
    return tuple(_corners(d, self._images) for d in (decoded, warped))

  def warm_up(self) -> None:
    """Compiles, starts threads, fills buffers and memory."""
    self.total()
    self.stages()

  def total(self) -> float:
    """All of it, batches in and batches out of full buffers."""
    taken = itertools.islice(self.stream, self._batches)
    return processor_ms(lambda: list(taken), self._images)

  def stages(self) -> Times:
    """Of the stages one by one."""
    count, crops = self._batches, []
    work = {
      "plan": lambda: crops.extend(self._sample(step) for step in range(count)),
      "read": lambda: [self._reader.add_records(batch) for batch in crops],
      "decode": lambda: next(self._decoded),
      "warp": lambda: next(self._warped),
    }
    return {name: processor_ms(w, self._images) for name, w in work.items()}


def _corners(dataset: tf.data.Dataset, images: int) -> Iterator:
  """The first pixels of many images at once, made by one thread.

  The rest of an image is computed and dropped.
  """
  options = tf.data.Options()
  options.threading.private_threadpool_size = 1
  options.threading.max_intra_op_parallelism = 1
  corners = dataset.map(lambda image: image[0, 0]).batch(images)
  return corners.with_options(options).as_numpy_iterator()


class Official:
  """The official algorithm on people in random order."""

  def __init__(
    self,
    source: PreparedDataset,
    images: pathlib.Path,
    convention: Convention,
    augmentation: Augmentation,
    batches: int,
  ):
    people = official_loader.people_of(source, images, convention)
    self._loader = official_loader.Loader(convention, augmentation, seed=0)
    self._batches, self._images = batches, batches * _BATCH
    self._people = _shuffled_for_ever(people)

  def measure(self) -> tuple[float, Times]:
    """Of everything but normalising, and of the stages."""
    seconds = self._loader.seconds
    seconds.update(dict.fromkeys(seconds, 0.0))
    total = processor_ms(self._make, self._images)
    stages = {n: 1e3 * s / self._images for n, s in seconds.items()}
    stages["batch"] = total - sum(stages.values())
    return total - stages["normalize"], stages

  def _make(self) -> None:
    for _ in range(self._batches):
      people = itertools.islice(self._people, _BATCH)
      examples = [self._loader.example(person) for person in people]
      crops, _, targets, weights = zip(*examples, strict=True)
      [np.stack(field) for field in (crops, targets, weights)]


def _shuffled_for_ever(people: list) -> Iterator:
  """Epoch after epoch, each in another order."""
  rng = np.random.default_rng(0)
  while True:
    yield from (people[i] for i in rng.permutation(len(people)))


def medians(measured: list[Times]) -> Times:
  """Of each entry."""
  return {
    name: statistics.median(times[name] for times in measured)
    for name in measured[0]
  }


def measure(
  ours: Ours, official: Official, repeats: int
) -> tuple[Times, Times]:
  """Medians of the stages of both sides, `total` among them, run in turn."""
  ours.warm_up()
  official.measure()
  found_ours, found_official = [], []
  for _ in range(repeats):
    found_ours.append({"total": ours.total()} | ours.stages())
    total, stages = official.measure()
    found_official.append({"total": total} | stages)
  mine, theirs = medians(found_ours), medians(found_official)
  mine["batch"] = 2 * mine["total"] - sum(mine.values())
  return mine, theirs


def describe(
  source: PreparedDataset, convention: Convention
) -> dict[str, object]:
  """The photographs: how many people, their median size, and the crop's."""
  height, width = np.median(source.people.image_size, 0)
  rows, columns = convention.crop_size
  return {
    "people": source.num_people,
    "photographs": f"median {width:.0f}x{height:.0f} px",
    "crop": f"{rows}x{columns}",
  }


def main(argv: list[str]) -> None:
  """Measures and prints."""
  del argv
  startup.start()
  flag = flags.FLAGS
  source = prepare.load(flag.annotations, flag.images, cache_dir=flag.cache)
  convention = convention_lib.from_config(
    flag.config.convention, skeleton=source.skeleton
  )
  amount = augment.from_config(flag.config.augmentation)
  ours = Ours(source, convention, amount, flag.batches)
  official = Official(
    source, pathlib.Path(flag.images), convention, amount, flag.batches
  )
  mine, theirs = measure(ours, official, flag.repeats)
  constant = describe(source, convention) | {
    "machine": provenance.machine(),
    "opencv": cv2.__version__,
    "tensorflow": tf.__version__,
    "commit": provenance.commit(),
  }
  for side, times in (("darkjax", mine), ("official", theirs)):
    line = {
      "side": side,
      "images_per_second_and_core": round(1e3 / times["total"], 1),
      "times_official": round(theirs["total"] / times["total"], 2),
      "ms_per_image": {n: round(ms, 3) for n, ms in times.items()},
    }
    print(json.dumps(line | constant), flush=True)


if __name__ == "__main__":
  config_flags.DEFINE_config_file("config", None, "A file of configs/.")
  flags.DEFINE_string("annotations", None, "COCO-format json.")
  flags.DEFINE_string("images", None, "Folder of its images.")
  flags.DEFINE_string("cache", "", "Folder for prepared records.")
  flags.DEFINE_integer("batches", 8, "Batches of 32 per measurement.")
  flags.DEFINE_integer("repeats", 7, "Measurements of each side.")
  flags.mark_flags_as_required(["config", "annotations", "images"])
  app.run(main)

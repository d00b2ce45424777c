r"""Benchmark of input: a training crop beside that of the official loader.

    python scripts/bench_input.py --config=configs/coco_hrnet_w32_256x192.py \
        --annotations=person_keypoints_train2017.json --images=train2017

Both sides make the same kind of batches of the same people: darkjax sends uint8
crops and coordinates to the device; the official algorithm
(scripts/official_loader.py) sends crops and heatmaps, and normalises the pixels
first (`normalize`, not in its total), which here is part of the jitted step.
Times are processor time of the process, so that all threads count and other
programs do not, per image; "images per second and core" is its inverse. They
run in turn, `--repeats` times; figures are medians. One json line per side.
"""

import itertools
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator

import bench
import cv2
import numpy as np
import official_loader
import tensorflow as tf

from darkjax.convention import Convention
from darkjax.data.pipeline import augment, sampler, tf_crop
from darkjax.data.pipeline import batches as pipeline
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_geometry import CropGeometry
from darkjax.data.pipeline.record_reader import RecordReader
from darkjax.data.prepared import PreparedDataset
from darkjax.runtime import command, startup

Times = dict[str, float]  # processor ms per image
_BATCH = 32


def settle() -> None:
  """Waits until this process is nearly idle."""
  share = 1.0
  while share > 0.05:
    before = time.process_time()
    time.sleep(0.1)
    share = (time.process_time() - before) / 0.1


def processor_ms(work: Callable[[], object], images: int) -> float:
  """Returns processor time of a call and its threads, ms per image."""
  settle()
  before = time.process_time()
  work()
  settle()
  return 1e3 * (time.process_time() - before) / images


class Ours:
  """The pipeline of darkjax, whole and stage by stage."""

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
    """Returns data sets of decoding alone, and of warping alone."""
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
    """Times the whole pipeline, from full buffers to full buffers."""
    taken = itertools.islice(self.stream, self._batches)
    return processor_ms(lambda: list(taken), self._images)

  def stages(self) -> Times:
    """Times the stages one by one."""
    count, crops = self._batches, []
    work = {
      "plan": lambda: crops.extend(self._sample(step) for step in range(count)),
      "read": lambda: [self._reader.add_records(batch) for batch in crops],
      "decode": lambda: next(self._decoded),
      "warp": lambda: next(self._warped),
    }
    return {name: processor_ms(w, self._images) for name, w in work.items()}


def _corners(dataset: tf.data.Dataset, images: int) -> Iterator:
  """Returns the first pixels of many images at once, made by one thread.

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
    """Times everything but normalising, and the stages."""
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
  """Yields epoch after epoch, each in another order."""
  rng = np.random.default_rng(0)
  while True:
    yield from (people[i] for i in rng.permutation(len(people)))


def medians(measured: list[Times]) -> Times:
  """Returns the median of each entry."""
  return {
    name: statistics.median(times[name] for times in measured)
    for name in measured[0]
  }


def measure(
  ours: Ours, official: Official, repeats: int
) -> tuple[Times, Times]:
  """Returns the medians of both sides' stages and `total`, run in turn."""
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
  """Returns the number of people, and the sizes of photographs and crops."""
  height, width = np.median(source.people.image_size, 0)
  rows, columns = convention.crop_size
  return {
    "people": source.num_people,
    "photographs": f"median {width:.0f}x{height:.0f} px",
    "crop": f"{rows}x{columns}",
  }


def main(flags: command.Flags, _) -> None:
  """Measures and prints."""
  startup.start()
  source, convention = bench.read_data(flags)
  images = pathlib.Path(flags.images)
  amount = augment.from_config(flags.config.augmentation)
  ours = Ours(source, convention, amount, flags.batches)
  official = Official(source, images, convention, amount, flags.batches)
  mine, theirs = measure(ours, official, flags.repeats)
  for side, times in (("darkjax", mine), ("official", theirs)):
    bench.show(
      side=side,
      images_per_second_and_core=round(1e3 / times["total"], 1),
      times_official=round(theirs["total"] / times["total"], 2),
      ms_per_image={n: round(ms, 3) for n, ms in times.items()},
      **describe(source, convention),
      opencv=cv2.__version__,
      tensorflow=tf.__version__,
    )


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  bench.define_data_flags(define)
  define.integer("batches", 8, "Batches of 32 per measurement.")
  define.integer("repeats", 7, "Measurements of each side.")


if __name__ == "__main__":
  command.run(main, define_flags)

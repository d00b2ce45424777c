"""Measures what a host has to do for its devices, for docs/large_runs.md.

The processor time of a crop, from stored record to finished batch; what a
checkpoint weighs and takes; what a process sends when people are gathered.

  python scripts/bench_host.py --config=configs/coco_hrnet_w32_256x192.py \
      --annotations=person_keypoints_val2017.json --images=val2017
"""

import itertools
import pathlib
import tempfile
import time

import config_path  # noqa: F401 so that --config finds configs/
import jax
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from darkjax import checkpoint, models
from darkjax import convention as convention_lib
from darkjax.data.coco import prepare
from darkjax.data.pipeline import augment
from darkjax.data.pipeline import batches as pipeline
from darkjax.runtime import startup
from darkjax.train import optim, step


def main(argv) -> None:
  """Prints the measurements."""
  del argv
  startup.start()
  flag = flags.FLAGS
  source = prepare.load(flag.annotations, flag.images, cache_dir=flag.cache)
  convention = convention_lib.from_config(
    flag.config.convention, skeleton=source.skeleton
  )
  measure_crops(source, convention, flag.config, flag.batches)
  measure_checkpoint(convention, flag.config)


def measure_crops(source, convention, config, count: int) -> None:
  """Processor time and size of a training crop."""
  size = min(64, source.num_people)
  stream = pipeline.train_batches(
    [source],
    convention,
    augment.from_config(config.augmentation),
    batch_size=size,
    seed=config.seed,
  )
  for _ in itertools.islice(stream, 5):  # starts threads, fills buffers
    pass
  before = time.process_time()
  batches = list(itertools.islice(stream, count))
  seconds = time.process_time() - before
  stream.close()
  people = count * size
  sent = sum(array.nbytes for array in batches[0].values()) / size
  print(
    f"crops: {1e3 * seconds / people:.2f} ms of a core each, "
    f"{people / seconds:.0f} a second and core; {sent / 1e3:.1f} kB each"
  )


def measure_checkpoint(convention, config) -> None:
  """Bytes and seconds of a training state in a temporary folder."""
  fields = {"name": config.model.name}
  fields["num_keypoints"] = convention.skeleton.num_keypoints
  state = random_state(models.create_model(**fields), convention, config)
  metadata = checkpoint.Metadata(convention, fields, config.to_dict())
  with tempfile.TemporaryDirectory(dir=flags.FLAGS.folder) as folder:
    with checkpoint.manager(folder) as checkpoints:
      start = time.monotonic()
      checkpoint.save(
        checkpoints,
        1,
        variables=state.variables,
        training=state.training,
        metadata=metadata,
      )
      copied = time.monotonic() - start
      checkpoints.wait_until_finished()
      written = time.monotonic() - start
    files = [f for f in pathlib.Path(folder).rglob("*") if f.is_file()]
    size = sum(f.stat().st_size for f in files)
  leaves = jax.tree.leaves((state.variables, state.training))
  print(
    f"checkpoint: {sum(x.nbytes for x in leaves) / 1e6:.0f} MB of arrays, "
    f"{size / 1e6:.0f} MB in {len(files)} files; training waits {copied:.1f} s,"
    f" written after {written:.1f} s"
  )


def random_state(model, convention, config) -> step.State:
  """Noise of the right shapes, which no file system can make smaller."""
  optimizer = optim.create_optimizer(
    config.optimizer, steps_per_epoch=1, batch_size=config.train.batch_size
  )
  shapes = jax.eval_shape(
    lambda key: step.create_state(
      key, model, optimizer, crop_size=convention.crop_size
    ),
    jax.random.key(0),
  )
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes
  )


if __name__ == "__main__":
  config_flags.DEFINE_config_file("config", None, "A file of configs/.")
  flags.DEFINE_string("annotations", None, "COCO-format json.")
  flags.DEFINE_string("images", None, "Folder of its images.")
  flags.DEFINE_string("cache", "", "Folder for prepared records.")
  flags.DEFINE_string("folder", None, "Where to write the checkpoint.")
  flags.DEFINE_integer("batches", 30, "Batches to time.")
  flags.mark_flags_as_required(["config", "annotations", "images"])
  app.run(main)

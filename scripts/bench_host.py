"""Benchmark of the host's share of the work, for docs/large_runs.md.

The processor time of a crop, from stored record to finished batch, and the size
and time of a checkpoint.

  python scripts/bench_host.py --config=configs/coco_hrnet_w32_256x192.py \
      --annotations=person_keypoints_val2017.json --images=val2017
"""

import itertools
import pathlib
import tempfile
import time

import bench
import jax
import numpy as np
import optax

from darkjax import checkpoint, models
from darkjax.data.pipeline import augment
from darkjax.data.pipeline import batches as pipeline
from darkjax.runtime import command, startup
from darkjax.train import optim, step


def main(flags: command.Flags, _) -> None:
  """Prints the measurements."""
  startup.start()
  source, convention = bench.read_data(flags)
  measure_crops(source, convention, flags.config, flags.batches)
  measure_checkpoint(convention, flags.config, flags.folder)


def measure_crops(source, convention, config, count: int) -> None:
  """Prints processor time and size of a training crop."""
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


def measure_checkpoint(convention, config, parent: str | None) -> None:
  """Prints bytes and seconds of a training state in a temporary folder."""
  fields = {"name": config.model.name}
  fields["num_keypoints"] = convention.skeleton.num_keypoints
  state = random_state(models.create_model(**fields), convention, config)
  metadata = checkpoint.Metadata(convention, fields, config.to_dict())
  with tempfile.TemporaryDirectory(dir=parent) as folder:
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
  """Returns noise of the state's shapes, which no file system compresses."""
  optimizer = optim.create_optimizer(
    optax.constant_schedule(config.optimizer.learning_rate),
    clip_norm=config.optimizer.clip_norm,
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


def define_flags(define: command.Define) -> None:
  """Adds the flags of the benchmark."""
  bench.define_data_flags(define)
  define.string("folder", None, "Folder to write the checkpoint into.")
  define.integer("batches", 30, "Batches to time.")


if __name__ == "__main__":
  command.run(main, define_flags)

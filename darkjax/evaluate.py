"""Evaluation: `python -m darkjax.evaluate --checkpoint=runs/quickstart`.

The network runs once over every person; all decoders read the same heatmaps.
Metrics are named method/metric/boxes, as in dark/AP/gt_boxes.
"""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flax.jax_utils
import jax
import numpy as np
from absl import app, flags
from jax.experimental import multihost_utils
from tqdm import tqdm

from darkjax import checkpoint, geometry, inference, models, startup, viz
from darkjax.convention import Convention
from darkjax.metrics import coco
from darkjax.scoring import People, results, score, table

_LOG = logging.getLogger(__name__)

METHODS = ("argmax", "standard", "dark")


def predict(
  model: Any,
  variables: Any,
  batches: Iterable[dict[str, np.ndarray]],
  convention: Convention,
  *,
  methods: Sequence[str] = METHODS,
  flip_test: bool = True,
  border: str = "refine",
) -> People:
  """Finds the keypoints of every person once, by each method.

  Args:
    model: a Linen module of darkjax.models.
    variables: its "params" and "batch_stats".
    batches: of this process, as in data/schema.py; rows with mask 0 are left
      out. The batch size must be a multiple of the local device count.
    convention: the one the weights were trained with.
    methods: decoders, see `decode_heatmaps`.
    flip_test: average with the heatmaps of the mirrored crop.
    border: of the dark decoder.

  Returns:
    The people of all processes, ordered by annotation id.
  """
  methods = tuple(methods)
  step = predict_step(
    model, convention, methods=methods, flip_test=flip_test, border=border
  )
  variables = flax.jax_utils.replicate(variables, jax.local_devices())
  rows = [_rows(batch, step(variables, *_shard(batch))) for batch in batches]
  people = jax.tree.map(lambda *parts: np.concatenate(parts), *rows)
  people = _every_process(people)
  # Trees of arrays sort their keys; the methods come back in the order asked.
  ordered = {method: people.keypoints[method] for method in methods}
  return people._replace(keypoints=ordered)


@functools.lru_cache(maxsize=8)
def predict_step(
  model: Any,
  convention: Convention,
  *,
  methods: tuple[str, ...],
  flip_test: bool,
  border: str,
):
  """(variables, images, image_from_heatmap) -> {method: Keypoints}, pmapped.

  Cached, so that the evaluations of one run share a compiled program.
  """

  def step(variables, images, image_from_heatmap):
    heatmaps = inference.predict_heatmaps(
      model, variables, images, convention=convention, flip_test=flip_test
    )
    locate = functools.partial(
      inference.locate, convention=convention, border=border
    )
    return {
      method: locate(heatmaps, image_from_heatmap, method=method)
      for method in methods
    }

  return jax.pmap(step, devices=jax.local_devices())


def _shard(batch) -> Iterator[np.ndarray]:
  devices = jax.local_device_count()
  for name in ("image", "image_from_heatmap"):
    array = batch[name]
    yield array.reshape(devices, -1, *array.shape[1:])


def _rows(batch, found) -> People:
  """The people of one batch on the host, padding removed."""
  real = batch["mask"] > 0
  flat = jax.tree.map(
    lambda x: np.asarray(x).reshape(-1, *x.shape[2:])[real], found
  )
  truth = geometry.apply_affine(
    batch["image_from_heatmap"].astype(np.float64), batch["keypoints_heatmap"]
  )
  return People(
    image_ids=batch["image_id"][real],
    annotation_ids=batch["annotation_id"][real],
    box_scores=batch["score"][real],
    box_areas=batch["box_area"][real],
    truth=truth[real],
    visible=batch["visibility"][real],
    keypoint_scores=next(iter(flat.values())).scores,
    keypoints={name: found.keypoints_image for name, found in flat.items()},
  )


def _every_process(people: People) -> People:
  """Gathers the people of all processes and puts them in one order."""
  if jax.process_count() > 1:
    people = multihost_utils.process_allgather(people, tiled=True)
  order = np.lexsort((people.annotation_ids, people.image_ids))
  return jax.tree.map(lambda column: column[order], people)


def main(argv: Sequence[str]) -> None:
  """Evaluates a checkpoint; see the flags."""
  del argv
  startup.start()
  from darkjax.data import coco as coco_data  # TensorFlow

  flag = flags.FLAGS
  variables, metadata = checkpoint.load(flag.checkpoint)
  convention = _override(metadata.convention)
  annotations, images = _data_paths(metadata.config)
  source = coco_data.load(annotations, images, cache_dir=flag.cache)
  _LOG.info("%s: %d people", annotations, source.num_people)
  people = predict(
    models.create_model(**metadata.model),
    variables,
    _progress(source, convention),
    convention,
    methods=flag.methods,
    flip_test=flag.flip_test,
    border=flag.border,
  )
  metrics = score(people, annotations, convention.skeleton)
  print(table(metrics))
  if flag.results:
    found = results(people, flag.methods[-1], convention.skeleton)
    coco.write_results(flag.results, found)
  if flag.picture:
    viz.save_people(
      flag.picture,
      people.keypoints[flag.methods[-1]],
      convention.skeleton,
      image_ids=people.image_ids,
      truth=people.truth,
      visible=people.visible,
      annotations=annotations,
      images=images,
    )


def _override(convention: Convention) -> Convention:
  """The checkpoint's convention with what the flags change, said aloud."""
  names = ("alignment", "flip_shift", "blur_kernel")
  changes = {
    name: flags.FLAGS[name].value
    for name in names
    if flags.FLAGS[name].value is not None
  }
  used = dataclasses.replace(convention, **changes)
  for difference in used.differences(convention):
    _LOG.warning("not as trained: %s (checkpoint)", difference)
  _LOG.info("convention: %s", used.describe())
  return used


def _data_paths(config) -> tuple[str, str]:
  flag = flags.FLAGS
  if flag.annotations:
    return flag.annotations, flag.images
  root = pathlib.Path(flag.root or config["data"]["root"])
  annotations, images = config["data"]["val"]
  return str(root / annotations), str(root / images)


def _progress(source, convention):
  from darkjax.data import pipeline  # TensorFlow

  batches = pipeline.eval_batches(
    source,
    convention,
    batch_size=flags.FLAGS.batch_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  total = -(-source.num_people // flags.FLAGS.batch_size)
  return tqdm(batches, total=total, unit="batch", disable=None)


if __name__ == "__main__":
  flags.DEFINE_string("checkpoint", None, "Folder of a run or of weights.")
  flags.DEFINE_string(
    "annotations", None, "COCO-format json; default: the run's validation set."
  )
  flags.DEFINE_string("images", None, "Folder of its images.")
  flags.DEFINE_string("root", None, "Where the run's data lies now.")
  flags.DEFINE_string("cache", "", "Folder for prepared records.")
  flags.DEFINE_list(
    "methods", ",".join(METHODS), "Decoders; the last is written and drawn."
  )
  flags.DEFINE_enum(
    "border", "refine", ("refine", "official"), "Of the dark decoder."
  )
  flags.DEFINE_bool("flip_test", True, "Average with the mirrored crop.")
  flags.DEFINE_integer("batch_size", 64, "People in all devices together.")
  flags.DEFINE_enum(
    "alignment", None, geometry.ALIGNMENTS, "In place of the checkpoint's."
  )
  flags.DEFINE_integer(
    "flip_shift", None, "In place of the checkpoint's: 0 or 1 px."
  )
  flags.DEFINE_integer("blur_kernel", None, "In place of the checkpoint's, px.")
  flags.DEFINE_string("results", None, "Write the results json here.")
  flags.DEFINE_string("picture", None, "Write a sheet of people here.")
  flags.mark_flag_as_required("checkpoint")
  app.run(main)

"""Evaluation: `python -m darkjax.evaluate --checkpoint=runs/quickstart`.

The network runs once over every person; all decoders read the same heatmaps.
Metrics are named method/metric/boxes, as in dark/AP/gt_boxes.
"""

import dataclasses
import functools
import itertools
import json
import logging
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import flax.jax_utils
import jax
import numpy as np
from absl import app, flags
from jax.experimental import multihost_utils
from tqdm import tqdm

from darkjax import checkpoint, geometry, inference, models, startup, viz
from darkjax.convention import Convention
from darkjax.data import mpii
from darkjax.metrics import coco, pck
from darkjax.skeletons import Skeleton

_LOG = logging.getLogger(__name__)

METHODS = ("argmax", "standard", "dark")
# PCK counts a keypoint within this share of the torso's length as correct: the
# usual threshold of LSP, and a strict one.
PCK_THRESHOLDS = (0.2, 0.05)


class People(NamedTuple):
  """N people, what was found in them and what is true.

  Attributes:
    image_ids: [N] int64.
    annotation_ids: [N] int64.
    box_scores: [N].
    box_areas: [N] of the padded box, image px².
    truth: [N, K, 2] labelled keypoints, image px.
    visible: [N, K], 1 where labelled.
    keypoint_scores: [N, K] maxima of the heatmaps.
    keypoints: by method, [N, K, 2] in image px.
  """

  image_ids: np.ndarray
  annotation_ids: np.ndarray
  box_scores: np.ndarray
  box_areas: np.ndarray
  truth: np.ndarray
  visible: np.ndarray
  keypoint_scores: np.ndarray
  keypoints: dict[str, np.ndarray]


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


def score(
  people: People,
  annotations: str | pathlib.Path,
  skeleton: Skeleton,
  *,
  box_source: str = "gt_boxes",
) -> dict[str, float]:
  """The metrics of every method.

  Args:
    people: from `predict`.
    annotations: the COCO-format json they come from.
    skeleton: its keypoints.
    box_source: written into the names.

  Returns:
    COCO's ten numbers in percent; where the skeleton has shoulders and hips
    also PCK (percent of labelled keypoints within a share of the torso); the
    mean error in image px; where the json has head boxes (MPII's, see
    data/mpii.py) also PCKh, mean and by body part, as in `pck.pckh_table`.

  Raises:
    ValueError: the json has head boxes of some of the people only.
  """
  metrics, head_sizes = {}, _head_sizes(people, annotations)
  for method in people.keypoints:
    found = results(people, method, skeleton)
    numbers = coco.average_precision(
      annotations, found, sigmas=skeleton.sigmas, box_source=box_source
    )
    numbers |= _distances(people, method, skeleton, box_source)
    numbers |= _pckh(people, method, head_sizes, box_source)
    metrics |= {f"{method}/{name}": value for name, value in numbers.items()}
  return metrics


def results(
  people: People, method: str, skeleton: Skeleton, *, category_id: int = 1
) -> list[dict[str, Any]]:
  """What a method found, in COCO's upload format, duplicates removed."""
  predictions = coco.Predictions(
    image_ids=people.image_ids,
    keypoints=people.keypoints[method],
    keypoint_scores=people.keypoint_scores,
    box_scores=people.box_scores,
    box_areas=people.box_areas,
  )
  return coco.to_results(predictions, category_id, sigmas=skeleton.sigmas)


def _distances(people, method, skeleton, box_source) -> dict[str, float]:
  found, truth, visible = (
    people.keypoints[method],
    people.truth,
    people.visible,
  )
  numbers = {f"error_px/{box_source}": pck.mean_error(found, truth, visible)}
  if not {"left_shoulder", "right_hip"} <= set(skeleton.keypoint_names):
    return numbers
  torso = pck.torso_length(truth, visible, skeleton)
  for threshold in PCK_THRESHOLDS:
    share = pck.pck(found, truth, visible, torso, threshold).mean
    numbers[f"PCK@{threshold}/{box_source}"] = 100 * share
  return numbers


def _head_sizes(people, annotations) -> np.ndarray | None:
  """[N] image px, or None for a json without head boxes."""
  content = json.loads(pathlib.Path(annotations).read_text())
  if not any("headbox" in person for person in content["annotations"]):
    return None
  return pck.head_size(mpii.read_headboxes(annotations, people.annotation_ids))


def _pckh(people, method, head_sizes, box_source) -> dict[str, float]:
  if head_sizes is None:
    return {}
  shares = pck.pckh_table(
    people.keypoints[method], people.truth, people.visible, head_sizes
  )
  return {f"{name}/{box_source}": share for name, share in shares.items()}


def table(metrics: dict[str, float]) -> str:
  """Metrics as text: a row per method, a column per metric.

  Metrics with parts, as PCKh@0.5/Head, follow in a table for each.
  """
  names = [name.split("/", 1) for name in metrics]
  methods = list(dict.fromkeys(method for method, _ in names))
  columns = list(dict.fromkeys(column for _, column in names))
  tables = {}
  for column in columns:
    metric, *part, boxes = column.split("/")
    tables.setdefault(metric if part else "", []).append(column)
  rows = [_text(metrics, methods, group) for group in tables.values()]
  return "\n".join([*itertools.chain(*rows), f"boxes: {boxes}"])


def _text(metrics, methods, columns) -> list[str]:
  """Lines of one table, cells of a column aligned to the right."""
  lines = [["", *(column.rsplit("/", 1)[0] for column in columns)]]
  for method in methods:
    values = (metrics[f"{method}/{column}"] for column in columns)
    lines.append([method, *(f"{value:.2f}" for value in values)])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return [
    "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
    for line in lines
  ]


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

"""People found in batches: one compiled program over all local devices.

The network runs once over every person; all decoders read the same heatmaps.
`predict` is for one network, `predict_together` for an ensemble.

On CPUs a person's keypoints are the same bits in batches of any size and on any
number of devices. XLA picks how to sum by the shape of an operation, so that
float32 would differ in the last digit (6e-5 px at 500 px), seen in two places:
in the decoders' matrix products, at every size, hence decoding runs person by
person there, which costs a tenth of a millisecond; and in convolutions over
fewer than three crops, hence a device gets at least `_FEWEST` people. Where
convolutions change at other sizes too (accelerators; other numbers of cores
have not been tried than two), the last digit may differ.
"""

import functools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flax.jax_utils
import jax
import numpy as np

from darkjax import geometry, inference
from darkjax.convention import Convention
from darkjax.evaluate.scores import People
from darkjax.inference import ensemble
from darkjax.inference.ensemble import Member
from darkjax.runtime import distributed, xla_options
from darkjax.runtime.timer import Stages

_LOG = logging.getLogger(__name__)

METHODS = ("argmax", "standard", "dark")

_FEWEST = 4  # people on a device


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
      out. Any batch size will do: rows are added until the local devices
      share them equally, and taken out again. The processes may have different
      numbers of batches, or none.
    convention: the one the weights were trained with.
    methods: decoders, see `decode_heatmaps`.
    flip_test: average with the heatmaps of the mirrored crop.
    border: of the dark decoder.

  Returns:
    The people of all processes, ordered by annotation id.
  """
  return predict_together(
    [Member(model, variables, convention)],
    ((batch,) for batch in batches),
    methods=methods,
    flip_test=flip_test,
    border=border,
  )


def predict_together(
  members: Sequence[Member],
  batches: Iterable[Sequence[dict[str, np.ndarray]]],
  *,
  methods: Sequence[str] = METHODS,
  flip_test: bool = True,
  border: str = "refine",
) -> People:
  """`predict` for an ensemble, whose heatmaps are averaged over the image.

  Args:
    members: networks, see ensemble.py.
    batches: for each batch of people, every member's crops of them.
    methods: as in `predict`; the next two too.
    flip_test: of every member.
    border: of the dark decoder.

  Returns:
    As `predict`; box areas are those of the reference member.
  """
  methods = tuple(methods)
  conventions = tuple(member.convention for member in members)
  step = predict_step(
    tuple(member.model for member in members),
    conventions,
    methods=methods,
    flip_test=flip_test,
    border=border,
  )
  variables = _replicate(members)
  reference = ensemble.reference_member(conventions)
  stages, rows = Stages(), []
  for crops in stages.waiting("waiting for crops", batches):
    with stages("network and decoding"):
      found = step(variables, *shard(crops))
      rows.append(rows_of(crops[reference], found))
  _LOG.info("found people: %s", stages.describe())
  return gather(rows, methods, conventions[reference])


@functools.lru_cache(maxsize=8)
def predict_step(
  networks: tuple[Any, ...],
  conventions: tuple[Convention, ...],
  *,
  methods: tuple[str, ...],
  flip_test: bool,
  border: str,
):
  """(variables, images, image_from_heatmap) -> {method: Keypoints}, pmapped.

  Each argument is a list with an entry per member. Cached, so that the
  evaluations of one run share a compiled program.
  """
  reference = ensemble.reference_member(conventions)

  def step(variables, images, image_from_heatmap):
    heatmaps = ensemble.predict_heatmaps(
      networks,
      variables,
      images,
      image_from_heatmap,
      conventions=conventions,
      flip_test=flip_test,
    )

    def locate(heatmaps, image_from_heatmap):
      return {
        method: inference.locate(
          heatmaps,
          image_from_heatmap,
          convention=conventions[reference],
          method=method,
          border=border,
        )
        for method in methods
      }

    matrices = image_from_heatmap[reference]
    if jax.default_backend() == "cpu":
      return _one_by_one(locate, heatmaps, matrices)
    return locate(heatmaps, matrices)

  return xla_options.tuned(jax.pmap(step, devices=jax.local_devices()))


def _one_by_one(function, *arrays):
  """A function of batches, on one row after the other."""

  def on_row(rows):
    found = function(*(row[None] for row in rows))
    return jax.tree.map(lambda x: x[0], found)

  return jax.lax.map(on_row, arrays)


def _replicate(members: Sequence[Member]) -> list[Any]:
  """Folds weights and copies them to all devices, shared ones only once."""
  distinct = {id(member.variables): member.folded() for member in members}
  copies = flax.jax_utils.replicate(distinct, jax.local_devices())
  return [copies[id(member.variables)] for member in members]


def shard(
  crops: Sequence[dict[str, np.ndarray]],
) -> Iterator[list[np.ndarray]]:
  """Images, then matrices, of each member: [devices, people of one, ...]."""
  for name in ("image", "image_from_heatmap"):
    yield [_split(batch[name]) for batch in crops]


def _split(rows: np.ndarray) -> np.ndarray:
  """[D, B/D, ...]; the last row is repeated until D divides B ≥ 4 D."""
  devices = jax.local_device_count()
  missing = max(-len(rows) % devices, _FEWEST * devices - len(rows))
  rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
  return rows.reshape(devices, -1, *rows.shape[1:])


def rows_of(
  batch: dict[str, np.ndarray], found: dict[str, inference.Keypoints]
) -> People:
  """The people of one batch on the host, padding removed.

  Args:
    batch: as in data/schema.py.
    found: by method, with leading axes [devices, people of one].

  Returns:
    This process's people of the batch.
  """
  real = batch["mask"] > 0
  flat = jax.tree.map(
    lambda x: np.asarray(x).reshape(-1, *x.shape[2:])[: len(real)][real], found
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


def _nobody(keypoints: int, methods: Sequence[str]) -> People:
  """No rows: what a process has that got no batch."""

  def empty(*shape, dtype=np.float32):
    return np.zeros((0, *shape), dtype)

  return People(
    image_ids=empty(dtype=np.int64),
    annotation_ids=empty(dtype=np.int64),
    box_scores=empty(),
    box_areas=empty(),
    truth=empty(keypoints, 2, dtype=np.float64),
    visible=empty(keypoints),
    keypoint_scores=empty(keypoints),
    keypoints={method: empty(keypoints, 2) for method in methods},
  )


def gather(
  rows: Sequence[People], methods: Sequence[str], convention: Convention
) -> People:
  """The people of all batches and processes, by image and annotation id.

  Args:
    rows: of this process's batches.
    methods: the order of the keypoints' methods, which trees of arrays sort.
    convention: gives the number of keypoints, for a process without batches.

  Returns:
    All people.
  """
  nobody = _nobody(convention.skeleton.num_keypoints, methods)
  people = jax.tree.map(lambda *parts: np.concatenate(parts), nobody, *rows)
  people = distributed.gather_rows(people)
  order = np.lexsort((people.annotation_ids, people.image_ids))
  people = jax.tree.map(lambda column: column[order], people)
  ordered = {method: people.keypoints[method] for method in methods}
  return people._replace(keypoints=ordered)

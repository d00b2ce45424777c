"""Batches from packs: all but the pixels, which are where the step runs.

In place of `image` a batch says which canvas its people are cut from, and by
which affine (`batch.CANVAS`); train/device_crop.py cuts them inside the jitted
step.
Who comes when, and how each crop varies, is what pipeline.py would draw for the
same seed, step and process. NumPy only.
"""

import collections
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import numpy as np

from darkjax import geometry
from darkjax.convention import Convention
from darkjax.data.pack import crop_bounds
from darkjax.data.pack.files import Pack
from darkjax.data.pipeline import augment, sampler
from darkjax.data.pipeline.augment import Augmentation
from darkjax.data.pipeline.crop_plan import Plan, Planner

Batch = dict[str, np.ndarray]

# Batches that are planned before they are needed.
_AHEAD = 4


def train_batches(
  packs: Sequence[Pack],
  convention: Convention,
  augmentation: Augmentation,
  *,
  first_pages: Sequence[int],
  batch_size: int,
  seed: int,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """Endless batches of crops to be cut, as `pipeline.train_batches` orders.

  Args:
    packs: data sets with the convention's keypoints, in the order that counts.
    convention: sizes and alignment.
    augmentation: how crops vary.
    first_pages: where each pack's pages begin on the devices.
    batch_size: examples of this process in each batch.
    seed: of order and augmentation, at least 0.
    start_step: batches that are skipped.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.

  Raises:
    ValueError: a pack has other keypoints or too small canvases, or all have
      too few people for a batch.
  """
  sampler.check_keypoints(packs, convention)
  planner = Planner(packs, convention)
  plan = sampler.training(
    planner,
    augmentation,
    batch_size=batch_size,
    seed=seed,
    process_index=process_index,
    process_count=process_count,
  )
  cuts = _Cuts(packs, planner, augmentation, first_pages)
  return _ahead(plan, cuts, itertools.count(start_step))


def eval_batches(
  pack: Pack,
  convention: Convention,
  *,
  first_page: int,
  batch_size: int,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[Batch]:
  """Every person of a pack once, padded as by `pipeline.eval_batches`.

  Args:
    pack: data set with the convention's keypoints.
    convention: sizes and alignment.
    first_page: where its pages begin on the devices.
    batch_size: examples of this process in each batch.
    process_index: which share of each global batch this process takes.
    process_count: how many shares there are.

  Raises:
    ValueError: the pack has other keypoints, or too small canvases.
  """
  sampler.check_keypoints([pack], convention)
  planner = Planner([pack], convention)
  plan, count = sampler.evaluation(
    planner,
    batch_size=batch_size,
    process_index=process_index,
    process_count=process_count,
  )
  cuts = _Cuts([pack], planner, augment.NONE, [first_page])
  return _ahead(plan, cuts, iter(range(count)))


class _Cuts:
  """Puts into plans what the crops are cut from."""

  def __init__(
    self,
    packs: Sequence[Pack],
    planner: Planner,
    augmentation: Augmentation,
    first_pages: Sequence[int],
  ):
    _check_reach(packs, planner, augmentation)
    layouts = [pack.layout for pack in packs]
    self._size = np.concatenate([layout.size for layout in layouts])
    self._first_page = np.concatenate(
      [
        layout.first_page + first
        for layout, first in zip(layouts, first_pages, strict=True)
      ]
    )
    self._canvas_from_image = np.concatenate(
      [layout.canvas_from_image() for layout in layouts]
    )

  def batch(self, plan: Plan) -> Batch:
    """The batch of a plan."""
    fields = dict(plan)
    index = fields.pop("index")
    image_from_crop = geometry.invert(fields.pop("crop_from_image"))
    canvas_from_crop = geometry.compose(
      self._canvas_from_image[index], image_from_crop
    )
    return fields | {
      "first_page": self._first_page[index].astype(np.int32),
      "canvas_size": self._size[index],
      "canvas_from_crop": canvas_from_crop.astype(np.float32),
    }


def _check_reach(packs, planner, augmentation) -> None:
  """Refuses packs whose canvases end before what the crops can show."""
  bounds = crop_bounds.bounds(planner, augmentation)
  for i, pack in enumerate(packs):
    mine = planner.source_index == i
    held = pack.layout.covers(bounds[mine], pack.people.image_size)
    if not held.all():
      raise ValueError(
        f"crops of {(~held).sum()} of the {len(held)} people in {pack.folder} "
        "can show more than their canvases hold: the data set was packed for "
        "less augmentation, or for crops of another shape. Pack it again for "
        "this configuration: python -m darkjax.data.pack"
      )


def _ahead(
  plan: Callable[[int], Plan], cuts: _Cuts, wanted: Iterator[int]
) -> Iterator[Batch]:
  """Batches of the wanted steps, planned by a thread some steps ahead."""
  with futures.ThreadPoolExecutor(1, "darkjax-plan") as pool:

    def hand_over(count: int) -> list[futures.Future]:
      some = itertools.islice(wanted, count)
      return [pool.submit(lambda s=s: cuts.batch(plan(s))) for s in some]

    pending = collections.deque(hand_over(_AHEAD))
    while pending:
      batch = pending.popleft().result()
      pending.extend(hand_over(1))
      yield batch

"""What crops can show, and the canvases that hold it."""

import types

import numpy as np
import pytest
from conventions import make_convention

from darkjax import geometry, skeletons
from darkjax.data.pack import crop_bounds
from darkjax.data.pack import layout as canvases
from darkjax.data.people_table import GT_BOXES, People
from darkjax.data.pipeline import augment, crop_geometry

SIZE = (128, 96)
FULL = augment.Augmentation(half_body_probability=0.9)
SHIFTED = augment.Augmentation(shift_factor=0.2)
GENTLE = augment.Augmentation(
  scale_factor=0.25, rotation_factor=0.1, half_body_probability=0.0
)


def data_set(count: int = 12) -> types.SimpleNamespace:
  """People of many sizes, some of them at the border of their image."""
  rng = np.random.default_rng(4)
  height_width = rng.integers(100, 700, (count, 2))
  side = rng.uniform(0.1, 0.8, (count, 2)) * height_width[:, ::-1]
  first = rng.uniform(0, 1, (count, 2)) * (height_width[:, ::-1] - side)
  points = first[:, None] + rng.uniform(0, 1, (count, 17, 2)) * side[:, None]
  seen = rng.uniform(size=(count, 17, 1)) < 0.8
  people = People(
    record=np.arange(count),
    image_id=np.arange(count),
    annotation_id=np.arange(count),
    image_size=height_width.astype(np.int32),
    bbox=np.concatenate([first, side], -1).astype(np.float32),
    area=side.prod(-1).astype(np.float32),
    keypoints=np.concatenate([points, 2 * seen], -1).astype(np.float32),
    iscrowd=np.zeros(count, bool),
    score=np.ones(count, np.float32),
    readable=np.ones(count, bool),
  )
  return types.SimpleNamespace(
    people=people, skeleton=skeletons.COCO, box_source=GT_BOXES
  )


def drawn(
  crops: crop_geometry.CropGeometry, augmentation, epochs: int
) -> np.ndarray:
  """[epochs, N, 4, 2] corners of crops in their images, px."""
  height, width = SIZE
  corners = np.array(
    [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float
  )
  everyone = np.arange(len(crops.people))
  plans = [
    crops.augmented(everyone, augmentation, seed=1, epoch=epoch)
    for epoch in range(epochs)
  ]
  image_from_crop = [geometry.invert(p["crop_from_image"]) for p in plans]
  return geometry.apply_affine(np.stack(image_from_crop), corners)


@pytest.mark.parametrize("augmentation", [FULL, GENTLE, SHIFTED, augment.NONE])
@pytest.mark.parametrize("alignment", geometry.ALIGNMENTS)
def test_no_crop_shows_more_than_the_bounds_and_some_nearly_do(
  augmentation, alignment
):
  crops = crop_geometry.CropGeometry(
    [data_set()], make_convention(alignment=alignment)
  )
  bounds = crop_bounds.bounds(crops, augmentation)
  corners = drawn(crops, augmentation, epochs=300)
  low, high = corners.min((0, 2)), corners.max((0, 2))
  assert (low >= bounds[:, :2] - 1e-9).all()
  assert (high <= bounds[:, 2:] + 1e-9).all()
  # The largest of 300 draws: bounds are no wider than a fifth beyond them.
  assert ((high - low) >= 0.8 * (bounds[:, 2:] - bounds[:, :2])).all()


@pytest.mark.parametrize("resolution", [0.5, 1.0, 1.7, 100.0])
def test_canvases_hold_what_they_are_laid_out_for_and_no_more(resolution):
  crops = crop_geometry.CropGeometry([data_set()], make_convention())
  bounds = crop_bounds.bounds(crops, FULL)
  size = crops.people.image_size
  shrink = np.minimum(1.0, resolution * SIZE[1] / crops.scale[:, 0])
  layout = canvases.lay_out(bounds, size, shrink)
  assert layout.covers(bounds, size).all()
  # Two canvas pixels and two image pixels are spared, so this is too much.
  wider = bounds + np.array([-1, -1, 1, 1]) * (2 / shrink + 4)[:, None]
  cut = layout.window[:, 2:] < size  # where the image goes on
  np.testing.assert_array_equal(layout.covers(wider, size), ~cut.any(-1))
  # Never enlarged, and never coarser than asked for.
  ratio = layout.size / layout.window[:, 2:]
  assert (ratio <= 1).all()
  assert (ratio >= shrink[:, None]).all()


def test_canvases_follow_one_another_in_whole_pages():
  layout = canvases.lay_out(
    np.float64([[0, 0, 31, 31], [5, 5, 20, 9], [0, 0, 90, 90]]),
    np.full((3, 2), 400, np.int32),
    np.ones(3),
  )
  # Windows by hand: two pixels beyond the bounds, cut at the image's 0.
  np.testing.assert_array_equal(
    layout.window, [[0, 0, 34, 34], [3, 3, 9, 20], [0, 0, 93, 93]]
  )
  np.testing.assert_array_equal(layout.size, layout.window[:, 2:])
  np.testing.assert_array_equal(layout.pages, [2, 1, 9])  # of 1024 px
  np.testing.assert_array_equal(layout.first_page, [0, 2, 3])


def test_edges_of_window_and_canvas_correspond():
  layout = canvases.Layout(
    window=np.int32([[10, 20, 40, 30]]),
    size=np.int32([[20, 10]]),
    first_page=np.int32([0]),
    checksum=np.uint32([0]),
  )
  corners = np.float64([[[19.5, 9.5], [49.5, 49.5]]])
  np.testing.assert_allclose(
    geometry.apply_affine(layout.canvas_from_image(), corners),
    [[[-0.5, -0.5], [9.5, 19.5]]],
  )

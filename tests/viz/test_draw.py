"""Pictures: what is drawn, where, and in which colour."""

import colours
import numpy as np
import PIL.Image
import pytest

from darkjax import skeletons
from darkjax.viz import draw

ORANGE, BLUE = (255, 140, 0), (0, 170, 255)


def _grey(height=90, width=120):
  return PIL.Image.new("RGB", (width, height), (90, 90, 90))


def _changed(drawn, image):
  return (np.asarray(drawn) != np.asarray(image)).any(-1)


def _centroid(drawn, image):
  """(x, y) of what was drawn, every pixel weighted by how much it changed."""
  change = np.abs(np.asarray(drawn, float) - np.asarray(image, float)).sum(-1)
  y, x = np.indices(change.shape)
  return np.array([(x * change).sum(), (y * change).sum()]) / change.sum()


def _lonely(names):
  count = len(names)
  return skeletons.Skeleton("lonely", names, (), (), (0,), (), (0.1,) * count)


def test_a_keypoint_is_drawn_at_its_pixel():
  image, skeleton = _grey(), _lonely(("nose",))
  drawn = draw.draw_skeleton(image, np.array([[40.0, 30.0]]), skeleton)
  # px: half a pixel of the layer, which is four times enlarged.
  np.testing.assert_allclose(_centroid(drawn, image), [40, 30], atol=0.13)


def test_sides_have_their_colours():
  keypoints = np.array([[20.0, 20.0], [90.0, 70.0]])
  skeleton = _lonely(("left_wrist", "right_wrist"))
  pixels = np.asarray(draw.draw_skeleton(_grey(), keypoints, skeleton))
  assert tuple(pixels[20, 20]) == ORANGE
  assert tuple(pixels[70, 90]) == BLUE


def test_limbs_need_both_ends():
  image = _grey()
  keypoints = np.array([[20.0, 20.0], [60.0, 20.0], [100.0, 20.0]])
  drawn = draw.draw_skeleton(
    image, keypoints, colours.SKELETON, shown=np.array([True, True, False])
  )
  changed = _changed(drawn, image)
  assert changed[20, 20:61].all()
  assert not changed[:, 65:].any()


def test_pixels_away_from_people_stay_as_they_are(rng):
  photo = PIL.Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8))
  keypoints = np.array([[20.0, 20.0], [30.0, 40.0], [25.0, 60.0]])
  before = np.asarray(photo).copy()
  drawn = draw.draw_skeleton(photo, keypoints, colours.SKELETON)
  np.testing.assert_array_equal(np.asarray(photo), before)
  assert not _changed(drawn, photo)[:, 40:].any()
  assert _changed(drawn, photo).any()


def test_nobody_outside_or_unknown_is_no_error():
  image = _grey()
  for value in (np.nan, 1e4, -1e4):
    keypoints = np.full((3, 2), value)
    drawn = draw.draw_skeleton(image, keypoints, colours.SKELETON)
    assert not _changed(drawn, image).any()
  half = np.array([[20.0, 20.0], [np.nan, np.nan], [-500.0, 20.0]])
  assert _changed(
    draw.draw_skeleton(image, half, colours.SKELETON), image
  ).any()


@pytest.mark.parametrize("angle", [-2.0, -0.6, 0.3, 0.9, 2.5])
def test_ellipses_show_one_standard_deviation(angle):
  image, skeleton = _grey(), _lonely(("nose",))
  keypoints = np.array([[60.0, 45.0]])
  cos, sin = np.cos(angle), np.sin(angle)
  turn = np.array([[cos, -sin], [sin, cos]])
  covariance = turn @ np.diag([20.0**2, 5.0**2]) @ turn.T
  drawn = draw.draw_skeleton(
    image, keypoints, skeleton, covariances=covariance[None]
  )
  y, x = np.nonzero(_changed(drawn, image))
  along, across = turn.T @ np.stack([x - 60.0, y - 45.0])
  # px: half the outline's width and half a pixel on each side.
  np.testing.assert_allclose(along.max(), 20, atol=1.5)
  np.testing.assert_allclose(-along.min(), 20, atol=1.5)
  np.testing.assert_allclose(across.max(), 5, atol=1.5)


@pytest.mark.parametrize(
  "covariance", [np.full((2, 2), np.nan), np.diag([4.0, -1.0])]
)
def test_unknown_covariances_are_not_drawn(covariance):
  image, skeleton = _grey(), _lonely(("nose",))
  keypoints = np.array([[60.0, 45.0]])
  drawn = draw.draw_skeleton(
    image, keypoints, skeleton, covariances=covariance[None]
  )
  plain = draw.draw_skeleton(image, keypoints, skeleton)
  np.testing.assert_array_equal(np.asarray(drawn), np.asarray(plain))


def test_people_are_drawn_one_by_one():
  image = _grey()
  people = np.array(
    [
      [[10.0, 10.0], [20.0, 30.0], [15.0, 50.0]],
      [[80.0, 10.0], [90.0, 30.0], [85.0, 50.0]],
    ]
  )
  both = draw.draw_skeleton(image, people, colours.SKELETON)
  first = draw.draw_skeleton(image, people[0], colours.SKELETON)
  one_by_one = draw.draw_skeleton(first, people[1], colours.SKELETON)
  np.testing.assert_array_equal(np.asarray(both), np.asarray(one_by_one))
  none = np.zeros((2, 3), bool)
  drawn = draw.draw_skeleton(image, people, colours.SKELETON, shown=none)
  assert not _changed(drawn, image).any()


def test_large_people_fit_in_memory():
  image = _grey(4000, 5000)
  keypoints = np.array([[100.0, 100.0], [4800.0, 2000.0], [200.0, 3900.0]])
  drawn = draw.draw_skeleton(image, keypoints, colours.SKELETON)
  assert np.asarray(drawn)[2000, 4800, 1] > 100
  assert draw._zoom((5000, 4000)) == 1


def test_one_colour_in_place_of_the_sides():
  keypoints = np.array([[20.0, 20.0], [90.0, 70.0]])
  skeleton = _lonely(("left_wrist", "right_wrist"))
  drawn = draw.draw_skeleton(_grey(), keypoints, skeleton, color=(1, 2, 3))
  pixels = np.asarray(drawn)
  assert tuple(pixels[20, 20]) == tuple(pixels[70, 90]) == (1, 2, 3)


@pytest.mark.parametrize(
  "corner", [(30.0, 20.0), (-40.0, -9.0), (900.0, 900.0)]
)
def test_numbers_stand_at_the_corner_of_the_box(corner):
  picture = _grey()
  draw.draw_number(picture, np.array([*corner, 20.0, 60.0]), 3)
  rows, columns = np.nonzero(_changed(picture, _grey()))
  # px: a line of 11 px, inside the picture.
  low = np.clip(corner, 0, (120 - 11, 90 - 11))
  assert (abs(columns - low[0]) <= 12).all()
  assert (abs(rows - low[1]) <= 16).all()
  assert len(rows) > 20


def test_numbers_of_large_people_are_large_and_have_their_colour():
  picture = _grey()
  draw.draw_number(picture, np.array([30.0, 20.0, 90.0, 300.0]), 3)
  drawn = (np.asarray(picture) == draw.number_color(3)).all(-1)
  # px: digits of a font of 30 px.
  assert 15 < np.ptp(np.nonzero(drawn)[0]) < 30


def test_neighbouring_numbers_differ_in_colour():
  colors = np.array([draw.number_color(n) for n in range(8)], float)
  gaps = np.abs(colors[:, None] - colors[None]).max(-1)
  assert gaps[~np.eye(8, dtype=bool)].min() > 40

"""Contact sheets of people."""

import colours
import numpy as np
import PIL.Image
import pytest

from darkjax.viz import contact_sheet


def test_contact_sheet_arranges_pictures():
  colors = ("red", "lime", "blue")
  each = [PIL.Image.new("RGB", (10, 20), color) for color in colors]
  sheet = np.asarray(contact_sheet.contact_sheet(each, columns=2))
  assert sheet.shape == (44, 24, 3)  # a gap of 4 px
  assert tuple(sheet[10, 5]) == (255, 0, 0)
  assert tuple(sheet[10, 19]) == (0, 255, 0)
  assert tuple(sheet[34, 5]) == (0, 0, 255)


def test_a_person_is_cut_out():
  photo = PIL.Image.fromarray(
    colours.paint((200, 300), [[150, 60], [140, 100], [155, 140]], width=3.0)
  )
  truth = np.array([[150.0, 60.0], [140.0, 100.0], [155.0, 140.0]])
  picture = contact_sheet.draw_person(
    photo, truth, colours.SKELETON, truth=truth, visible=np.ones(3)
  )
  assert picture.size == (180, 240)
  # The middle of the labelled keypoints, and white dots on each of them.
  pixels = np.asarray(picture).astype(int)
  white = (pixels.min(-1) > 250).nonzero()
  np.testing.assert_allclose(np.median(white[0]), 120, atol=2)


def test_a_person_has_two_methods_and_ellipses_in_px_of_the_picture():
  photo = PIL.Image.new("RGB", (300, 200), (90, 90, 90))
  truth = np.array([[150.0, 60.0], [140.0, 100.0], [155.0, 140.0]])
  options = {"truth": truth, "visible": np.ones(3)}
  moved = truth + np.array([12, 0])
  picture = contact_sheet.draw_person(
    photo, truth, colours.SKELETON, baseline=moved, **options
  )
  red, green, blue = np.asarray(picture).astype(int).transpose(2, 0, 1)
  y, x = np.nonzero((red > 150) & (green < 90))  # predicted
  other_y, other_x = np.nonzero((blue > 200) & (red < 60))  # the baseline
  # 80 px of labels, 1.3 times as much on 240 px: 2.31 result px per px.
  assert other_x.mean() - x.mean() == pytest.approx(12 * 2.31, abs=2)
  assert other_y.mean() == pytest.approx(y.mean(), abs=2)

  plain = contact_sheet.draw_person(photo, truth, colours.SKELETON, **options)
  wide = contact_sheet.draw_person(
    photo,
    truth,
    colours.SKELETON,
    covariances=np.tile(np.diag([400.0, 1.0]), (3, 1, 1)),
    **options,
  )
  _, x = np.nonzero((np.asarray(wide) != np.asarray(plain)).any(-1))
  # 20 px to each side of points 15 px apart; an outline's width in result px.
  assert np.ptp(x) == pytest.approx((15 + 2 * 20) * 2.31, abs=4)

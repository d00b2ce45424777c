"""Drawings of heatmaps: which points, where, and at which numbers."""

import sys

import figures
import numpy as np
import pytest

from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import render_heatmaps

SIZE = (12, 9)


@pytest.fixture
def drawn(monkeypatch):
  """Functions give matplotlib's figure instead of its pixels."""
  monkeypatch.setattr(figures, "to_image", lambda figure: figure)


def bumps(points):
  maps = render_heatmaps(np.float32(points), size=SIZE, sigma=1.0)
  return np.moveaxis(np.asarray(maps), -1, 0)


def points_of(axis) -> dict[str, tuple[float, float]]:
  return {
    line.get_label(): (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
    for line in axis.lines
  }


def test_modulated_maps_are_blurred_and_as_high_as_before(rng):
  heatmap = rng.uniform(size=SIZE)
  padded = np.pad(heatmap, 1)
  taps = (0.25, 0.5, 0.25)  # OpenCV's kernel of size 3
  expected = sum(
    a * b * padded[i : i + SIZE[0], j : j + SIZE[1]]
    for i, a in enumerate(taps)
    for j, b in enumerate(taps)
  )
  expected *= heatmap.max() / expected.max()
  # float32 taps, exact in binary: rounding of float64.
  np.testing.assert_allclose(figures.modulate(heatmap, 3), expected, rtol=1e-12)


def test_a_point_is_drawn_in_the_middle_of_its_cell():
  figure = figures.new_figure(3, 3)
  axis = figure.subplots()
  heatmap = np.zeros(SIZE)
  heatmap[7, 2] = 1
  figures.draw_map(axis, heatmap)
  axis.axis("off")  # its frame is as dark as the peak
  pixels = np.asarray(figures.to_image(figure)).astype(float)
  rows, columns = np.nonzero(pixels.max(-1) < 120)  # the peak's cell
  inside = np.median(columns), np.median(rows)
  figures.draw_point(axis, (2, 7), marker="o", color="#FF0000")
  pixels = np.asarray(figures.to_image(figure)).astype(float)
  rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 1] > 200)
  # px of the picture, whose cells are some 20 px wide.
  np.testing.assert_allclose([columns.mean(), rows.mean()], inside, atol=1.5)


@pytest.mark.usefixtures("drawn")
def test_modulation_shows_what_each_decoder_reads():
  truth = np.float32([[3.3, 6.8], [5.6, 4.2]])
  maps = bumps(truth)
  figure = figures.modulation(
    maps, blur_kernel=3, names=("nose", "left_eye"), truth=truth
  )
  axes = np.array(figure.axes).reshape(2, 2)
  for n in range(2):
    assert axes[0, n].get_title() == ("nose", "left_eye")[n]
    for row in range(2):
      shown = points_of(axes[row, n])
      found = decode_heatmaps(maps[n, ..., None], blur_kernel=3).keypoints[0]
      np.testing.assert_allclose(shown["DARK"], found, atol=1e-6)
      np.testing.assert_allclose(shown["label"], truth[n])
      assert shown["maximum"] == tuple(np.round(truth[n]))
      assert abs(np.subtract(shown["shifted by a quarter"], truth[n])).max() < (
        0.25  # a quarter off at the most, in each of x and y
      )
    before, after = (axes[row, n].images[0].get_array() for row in range(2))
    np.testing.assert_array_equal(before, maps[n])
    np.testing.assert_allclose(after, figures.modulate(maps[n], 3))


@pytest.mark.parametrize("value", [0.0, -0.2])
def test_maps_without_a_peak_can_be_drawn(value):
  flat = np.full((1, *SIZE), value, np.float32)
  picture = figures.modulation(flat, blur_kernel=3, names=("nose",))
  assert picture.mode == "RGB"


@pytest.mark.usefixtures("drawn")
def test_quantization_tells_what_is_lost():
  figure = figures.quantization((3.7, 2.6))
  titles = [axis.get_title() for axis in figure.axes]
  # By hand: (0.7, 0.6) is 0.92 long, (0.3, 0.4) 0.50.
  for title, lost in zip(titles, ("0.92", "0.50", "0.00"), strict=True):
    assert f"{lost} px lost" in title
  centres = [
    points_of(axis).get("centre g″ of the target") for axis in figure.axes
  ]
  assert centres == [(3, 2), (4, 3), None]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
  with pytest.raises(ImportError, match=r"darkjax\[figures\]"):
    figures.quantization((3.7, 2.6))

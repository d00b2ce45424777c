"""Drawings of docs/decoder.md: each function returns one RGB picture.

make_figures.py writes them. The library computes everything drawn.
"""

import figures
import numpy as np
import PIL.Image

from darkjax import geometry
from darkjax.heatmaps import blur
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import render_heatmaps

# Fine steps for curves, per px.
FINE = 40


def taylor(mu: float = 3.37, sigma: float = 1.0) -> PIL.Image.Image:
  """Draws parabolas through three cells of a Gaussian, and of its logarithm."""
  cells, fine = np.arange(8.0), np.linspace(0, 7, 7 * FINE + 1)
  figure = figures.new_figure(9.0, 3.4)
  panels = figure.subplots(1, 2)
  cases = (("h", lambda h: h, (-0.1, 1.15)), ("ln h", np.log, (-8, 0.8)))
  for axis, (name, transform, limits) in zip(panels, cases, strict=True):
    values, curve = (transform(_gaussian(x, mu, sigma)) for x in (cells, fine))
    m = int(values.argmax())
    parabola, step = _parabola(values, m)
    label = "parabola through m−1, m, m+1"
    axis.plot(fine, curve, color="#999999", label="the Gaussian")
    axis.plot(fine, parabola(fine), "--", color="#0072B2", label=label)
    axis.plot(cells, values, "k.", markersize=9, label="cells")
    axis.axvline(mu, color="#009E73", lw=1.4, label=f"μ = {mu}")
    top = {"color": "#D55E00", "ls": ":", "lw": 2.2}
    axis.axvline(m + step, **top, label="the parabola's top")
    axis.set_title(f"{name}: top at {m + step:.3f}, m = {m}")
    axis.set(xlabel="heatmap px", ylim=limits, xlim=(0, 7))
  figures.legend_below(figure, panels[0], columns=5)
  return figures.to_image(figure)


def _parabola(values, m):
  """Returns a parabola through three cells, and the step from m to its top."""
  first = 0.5 * (values[m + 1] - values[m - 1])
  second = values[m + 1] - 2 * values[m] + values[m - 1]

  def parabola(x):
    return values[m] + first * (x - m) + 0.5 * second * (x - m) ** 2

  return parabola, -first / second


def _gaussian(x, mu, sigma):
  return np.exp(-0.5 * ((x - mu) / sigma) ** 2)


def kernels() -> PIL.Image.Image:
  """Draws the authors' three kernels, and the width of kernels by size."""
  figure = figures.new_figure(9.0, 3.4)
  taps, widths = figure.subplots(1, 2)
  styles = {3: ("#D55E00", "s"), 11: ("#0072B2", "o"), 17: ("#009E73", "^")}
  for k, (color, marker) in styles.items():
    label = f"k = {k}: deviation {_deviation(k):.2f} px"
    at, weights = np.arange(k) - k // 2, blur.gaussian_taps(k)
    taps.plot(at, weights, color=color, marker=marker, label=label)
  taps.set(title="weights", xlabel="heatmap px", ylim=(-0.02, 0.75))
  taps.legend(frameon=False)

  sizes = np.arange(3, 20, 2)
  # OpenCV's formula for sigma = 0, and the deviation of its kernels.
  formula, label = 0.3 * ((sizes - 1) / 2 - 1) + 0.8, "0.3((k−1)/2−1)+0.8"
  widths.plot(sizes, formula, color="#999999", label=f"formula {label}")
  deviations = [_deviation(k) for k in sizes]
  widths.plot(sizes, deviations, "k.", ms=9, label="the kernel itself")
  for k, (color, marker) in styles.items():
    style = {"ms": 11, "mfc": "none", "mec": color, "mew": 2}
    widths.plot(k, _deviation(k), marker, **style)
  widths.set(title="standard deviation, px", xlabel="k", xticks=sizes)
  widths.legend(frameon=False)
  return figures.to_image(figure)


def _deviation(blur_kernel) -> float:
  return blur.blur_variance(blur_kernel) ** 0.5


def border() -> PIL.Image.Image:
  """Plots errors near the border of the map, official form and refine."""
  figure = figures.new_figure(9.0, 3.4)
  panels = figure.subplots(1, 2)
  cases = (((32, 24), 1.0, 3), ((64, 48), 2.0, 11))
  for axis, (size, sigma, k) in zip(panels, cases, strict=True):
    x = np.arange(0, 6 + 1e-6, 1 / 20)
    points = np.stack([x, np.full_like(x, size[0] / 2 + 0.3)], -1)
    maps = render_heatmaps(points.astype(np.float32), size=size, sigma=sigma)
    styles = {"official": ("#D55E00", "--"), "refine": ("#0072B2", "-")}
    for form, (color, line) in styles.items():
      decoded = decode_heatmaps(maps, blur_kernel=k, border=form).keypoints
      error = np.linalg.norm(np.asarray(decoded) - points, axis=-1)
      axis.plot(x, error, line, color=color, label=f'border="{form}"')
    axis.set(
      title=f"{size[0]}×{size[1]}, σ = {sigma:g}, k = {k}",
      xlabel="x of the keypoint, heatmap px",
      ylabel="error, heatmap px",
      ylim=(-0.02, 0.75),
    )
    axis.legend(frameon=False)
  return figures.to_image(figure)


def flip_shift() -> PIL.Image.Image:
  """Draws a heatmap's columns in the crop, straight and mirrored."""
  figure = figures.new_figure(9.0, 3.6)
  axis = figure.subplots()
  width, columns = 16, 4
  labels = []
  for alignment in ("hrnet", "dark"):
    at = columns_in_crop(alignment, width, columns)
    back = (width - 1 - at)[::-1]
    labels += [(f"{alignment}: heatmap", at), ("mirrored and back", back)]
    if alignment == "hrnet":
      labels.append(("the same, shifted by 1", back - 4))
  for row, (label, positions) in enumerate(labels):
    shown = positions if "shifted" not in label else positions[1:]
    axis.hlines(row, 0, width - 1, color="#cccccc", lw=1)
    first = 1 if "shifted" in label else 0
    color = "#0072B2" if "heatmap" in label else "#D55E00"
    axis.plot(shown, np.full(len(shown), row), "o", ms=17, color=color)
    for i, x in enumerate(shown, first):
      axis.text(x, row, str(i), color="white", ha="center", va="center")
  axis.set_yticks(range(len(labels)), [label for label, _ in labels])
  axis.set_ylim(len(labels) - 0.5, -0.5)
  axis.set_xticks(range(width))
  axis.set_xlabel(
    "column of the crop that a column of the heatmap (numbers) stands for"
  )
  axis.tick_params(left=False)
  axis.spines[["left", "right", "top"]].set_visible(False)
  return figures.to_image(figure)


def columns_in_crop(alignment: str, width: int, columns: int) -> np.ndarray:
  """Returns [columns]: crop px of each heatmap column's centre."""
  heatmap_from_crop = geometry.heatmap_from_crop(
    crop_size=(width, width),
    heatmap_size=(columns, columns),
    alignment=alignment,
  )
  points = np.stack([np.arange(columns), np.zeros(columns)], -1)
  crop_from_heatmap = geometry.invert(heatmap_from_crop)
  return np.asarray(geometry.apply_affine(crop_from_heatmap, points))[:, 0]


def gain(errors: dict[str, np.ndarray]) -> PIL.Image.Image:
  """Plots the share of keypoints within a distance; `errors` by decoder, px."""
  figure = figures.new_figure(6.0, 3.6)
  axis = figure.subplots()
  most = np.linspace(0, 1.5, 151)
  lines = zip(("#D55E00", "#CC79A7", "#0072B2"), (":", "--", "-"), strict=True)
  for (name, error), (color, line) in zip(errors.items(), lines, strict=True):
    share = [100 * (error <= limit).mean() for limit in most]
    axis.plot(most, share, line, color=color, lw=2, label=name)
  axis.set(
    xlabel="error of at most, heatmap px",
    ylabel="keypoints, %",
    xlim=(0, 1.5),
    ylim=(0, None),
  )
  axis.grid(color="#dddddd")
  axis.legend(frameon=False)
  return figures.to_image(figure)

"""Drawings of heatmaps: the effects of modulation and of quantising.

They need matplotlib (`pip install darkjax[figures]`), imported when something
is drawn. Maps are [H, W], points (x, y) in heatmap px, integers at the centres
of cells. Pictures are RGB.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from darkjax.heatmaps import blur
from darkjax.heatmaps.decode import decode_heatmaps
from darkjax.heatmaps.encode import render_heatmaps
from darkjax.runtime import extras

# Colours that colour-blind readers can tell apart (Okabe and Ito), and shapes
# that differ without any colour.
ARGMAX = {"marker": "s", "color": "#D55E00", "label": "maximum"}
STANDARD = {"marker": "^", "color": "#CC79A7", "label": "shifted by a quarter"}
DARK = {"marker": "o", "color": "#0072B2", "label": "DARK"}
TRUTH = {"marker": "x", "color": "#009E73", "label": "label"}
METHODS = {"argmax": ARGMAX, "standard": STANDARD, "dark": DARK}

_LARGE = "s^"  # markers, drawn around the others
_DARKEST = 0.72  # grey of a peak, so that markers are visible on it
_LEAST = 1e-6  # smallest maximum of a map that is drawn in grey
_DPI = 100


def modulation(
  heatmaps: np.ndarray,
  *,
  blur_kernel: int,
  names: Sequence[str],
  truth: np.ndarray | None = None,
  margin: int = 3,
) -> PIL.Image.Image:
  """Draws heatmaps before and after modulation, with each decoder's point.

  Above are the network's maps, below the same blurred and scaled to the same
  maximum, each cropped around its maximum.

  Args:
    heatmaps: [N, H, W], one map each of N keypoints.
    blur_kernel: odd size of the blur, heatmap px.
    names: N titles.
    truth: [N, 2] labels, heatmap px.
    margin: cells shown to each side of the maximum.

  Reference: arXiv:1910.06278, Fig. 3, Eq. 10 and 11.
  """
  count = len(heatmaps)
  figure, axes = _panels(2, count, height=5.4)
  stack = np.moveaxis(np.asarray(heatmaps, np.float32), 0, -1)
  points = {
    method: np.asarray(
      decode_heatmaps(stack, method=method, blur_kernel=blur_kernel).keypoints
    )
    for method in METHODS
  }
  for n in range(count):
    smooth = modulate(heatmaps[n], blur_kernel)
    for row, heatmap in enumerate((heatmaps[n], smooth)):
      draw_map(axes[row, n], heatmap, limit=heatmaps[n].max())
      for method, style in METHODS.items():
        draw_point(axes[row, n], points[method][n], **style)
      if truth is not None:
        draw_point(axes[row, n], truth[n], **TRUTH)
      _look_at(axes[row, n], points["argmax"][n], margin, heatmap.shape)
    axes[0, n].set_title(names[n])
  axes[0, 0].set_ylabel("predicted")
  axes[1, 0].set_ylabel(f"modulated, k = {blur_kernel}")
  legend_below(figure, axes[0, 0])
  return to_image(figure)


def modulate(heatmap: np.ndarray, blur_kernel: int) -> np.ndarray:
  """Returns [H, W], blurred with zero padding and scaled to its maximum."""
  rows, columns = (
    blur.square_band_matrix(blur_kernel, length) for length in heatmap.shape
  )
  blurred = rows @ heatmap @ columns.T
  has_peak = min(heatmap.max(), blurred.max()) > 0
  return blurred * (heatmap.max() / blurred.max() if has_peak else 1.0)


def quantization(
  keypoint: Sequence[float],
  *,
  size: tuple[int, int] = (6, 8),
  sigma: float = 1.0,
) -> PIL.Image.Image:
  """Draws one keypoint's targets: quantised by floor, by round, and exact.

  Args:
    keypoint: (x, y) of the label, heatmap px.
    size: (H, W) of the map.
    sigma: of the target, heatmap px.

  Reference: arXiv:1910.06278, Fig. 4, Eq. 13 and 14.
  """
  titles = {
    "floor": "floor",
    "round": "round (biased)",
    "none": "as it is (unbiased)",
  }
  figure, axes = _panels(1, len(titles), height=2.9)
  label = np.asarray(keypoint, np.float32)
  for axis, (quantize, title) in zip(axes[0], titles.items(), strict=True):
    target = np.asarray(
      render_heatmaps(label[None], size=size, sigma=sigma, quantize=quantize)
    )[..., 0]
    draw_map(axis, target)
    rows, columns = (target.sum(i) for i in (1, 0))
    center = np.array([columns.argmax(), rows.argmax()], np.float32)
    center = label if quantize == "none" else center
    lost = math.dist(label, center)
    draw_point(axis, label, **{**TRUTH, "label": "keypoint g′"})
    if lost:
      arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.8}
      axis.annotate("", xy=center, xytext=label, arrowprops=arrow)
      draw_point(axis, center, **{**ARGMAX, "label": "centre g″ of the target"})
    axis.set_title(f"{title}: {lost:.2f} px lost")
  legend_below(figure, axes[0, 0])
  return to_image(figure)


def draw_map(axis: Any, heatmap: np.ndarray, limit: float = 1.0) -> None:
  """Draws cells in grey, darker where higher; negative values are white."""
  top = max(float(limit), _LEAST) / _DARKEST
  axis.imshow(heatmap, cmap="Greys", vmin=0, vmax=top)
  height, width = heatmap.shape
  axis.set_xticks(np.arange(width + 1) - 0.5, minor=True)
  axis.set_yticks(np.arange(height + 1) - 0.5, minor=True)
  axis.grid(which="minor", color="#bbbbbb", linewidth=0.5)
  axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)


def draw_point(axis: Any, point: Sequence[float], **style: Any) -> None:
  """Draws an open marker with a light rim; (x, y) in px of the map."""
  from matplotlib import patheffects

  axis.plot(
    *point,
    linestyle="none",
    markersize=12 if style["marker"] in _LARGE else 8,
    markeredgewidth=2.2,
    markerfacecolor="none",
    path_effects=[patheffects.withStroke(linewidth=4.5, foreground="white")],
    **style,
  )


def to_image(figure: Any) -> PIL.Image.Image:
  """Returns a matplotlib figure as RGB pixels."""
  file = io.BytesIO()
  figure.savefig(file, format="png", dpi=_DPI)
  return PIL.Image.open(file).convert("RGB")


def new_figure(width: float, height: float) -> Any:
  """Returns an empty figure, in inches of 100 px, unknown to pyplot."""
  matplotlib = extras.load(
    "matplotlib.figure", extra="figures", purpose="a drawing of heatmaps"
  )
  figure = matplotlib.Figure(figsize=(width, height), layout="constrained")
  # Room for titles, which the layout otherwise cuts off at the top.
  figure.get_layout_engine().set(h_pad=0.1, w_pad=0.06)
  return figure


def _panels(rows: int, columns: int, height: float):
  figure = new_figure(9.0, height)
  return figure, figure.subplots(rows, columns, squeeze=False)


def _look_at(axis, middle, margin, shape) -> None:
  """Shows the cells of the map around a point."""
  (x, y), (height, width) = middle, shape
  axis.set_xlim(max(x - margin, 0) - 0.5, min(x + margin, width - 1) + 0.5)
  axis.set_ylim(min(y + margin, height - 1) + 0.5, max(y - margin, 0) - 0.5)


def legend_below(figure: Any, axis: Any, columns: int = 4) -> None:
  """Draws an axis's legend below the figure."""
  handles, labels = axis.get_legend_handles_labels()
  place = {"loc": "outside lower center", "ncols": columns}
  figure.legend(handles, labels, **place, frameon=False)

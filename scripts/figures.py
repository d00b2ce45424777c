"""Drawings of heatmaps: what modulation does, what quantising loses.

They need matplotlib (`pip install darkjax[figures]`), which is loaded when
something is drawn. Maps are [H, W], points (x, y) in heatmap px, integers at
the centres of cells. Each function returns an RGB picture.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from darkjax.heatmaps import blur, decode_heatmaps, render_heatmaps

# Colours that stay apart for colour-blind eyes (Okabe and Ito), and shapes that
# stay apart without any colour.
ARGMAX = {"marker": "s", "color": "#D55E00", "label": "maximum"}
STANDARD = {"marker": "^", "color": "#CC79A7", "label": "shifted by a quarter"}
DARK = {"marker": "o", "color": "#0072B2", "label": "DARK"}
TRUTH = {"marker": "x", "color": "#009E73", "label": "label"}
METHODS = {"argmax": ARGMAX, "standard": STANDARD, "dark": DARK}

_LARGE = "s^"  # markers, drawn around the others
_DARKEST = 0.72  # ink of a peak, so that markers show on it
_LEAST = 1e-6  # maximum of a map that has any ink
_DPI = 100


def modulation(
  heatmaps: np.ndarray,
  *,
  blur_kernel: int,
  names: Sequence[str],
  truth: np.ndarray | None = None,
  reach: int = 3,
) -> PIL.Image.Image:
  """Heatmaps before and after modulation, and where each decoder reads them.

  Above the maps as a network gave them, below blurred and scaled to the same
  maximum, each cut out around its maximum.

  Args:
    heatmaps: [N, H, W], one map each of N keypoints.
    blur_kernel: odd size of the blur, heatmap px.
    names: N titles.
    truth: [N, 2] labels, heatmap px.
    reach: cells shown to each side of the maximum.

  Returns:
    RGB.

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
      _look_at(axes[row, n], points["argmax"][n], reach, heatmap.shape)
    axes[0, n].set_title(names[n])
  axes[0, 0].set_ylabel("predicted")
  axes[1, 0].set_ylabel(f"modulated, k = {blur_kernel}")
  _legend(figure, axes[0, 0])
  return to_image(figure)


def modulate(heatmap: np.ndarray, blur_kernel: int) -> np.ndarray:
  """[H, W] blurred with zeros around it and scaled to the old maximum."""
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
  """What the encoder does to one keypoint: floor, round, and leave it.

  Args:
    keypoint: (x, y) of the label, heatmap px.
    size: (H, W) of the map.
    sigma: of the target, heatmap px.

  Returns:
    RGB.

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
      _arrow(axis, label, center)
      draw_point(axis, center, **{**ARGMAX, "label": "centre g″ of the target"})
    axis.set_title(f"{title}: {lost:.2f} px lost")
  _legend(figure, axes[0, 0])
  return to_image(figure)


def draw_map(axis: Any, heatmap: np.ndarray, limit: float = 1.0) -> None:
  """Cells in grey, darker where higher; negative values are white."""
  top = max(float(limit), _LEAST) / _DARKEST
  axis.imshow(heatmap, cmap="Greys", vmin=0, vmax=top)
  height, width = heatmap.shape
  axis.set_xticks(np.arange(width + 1) - 0.5, minor=True)
  axis.set_yticks(np.arange(height + 1) - 0.5, minor=True)
  axis.grid(which="minor", color="#bbbbbb", linewidth=0.5)
  axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)


def draw_point(axis: Any, point: Sequence[float], **style: Any) -> None:
  """An open marker with a light rim; (x, y) in px of the map."""
  size = 12 if style["marker"] in _LARGE else 8
  axis.plot(
    *point,
    linestyle="none",
    markersize=size,
    markeredgewidth=2.2,
    markerfacecolor="none",
    path_effects=_rim(),
    **style,
  )


def _rim():
  from matplotlib import patheffects

  return [patheffects.withStroke(linewidth=4.5, foreground="white")]


def to_image(figure: Any) -> PIL.Image.Image:
  """A matplotlib figure as RGB pixels."""
  file = io.BytesIO()
  figure.savefig(file, format="png", dpi=_DPI)
  return PIL.Image.open(file).convert("RGB")


def new_figure(width: float, height: float) -> Any:
  """An empty matplotlib figure of that many inches, 100 px each.

  It belongs to nobody: no window, no state of pyplot's.
  """
  try:
    from matplotlib.figure import Figure  # an extra, and slow to load
  except ImportError as error:
    raise ImportError(
      "drawings of heatmaps need matplotlib: pip install darkjax[figures]"
    ) from error
  figure = Figure(figsize=(width, height), layout="constrained")
  # Room for titles, which the layout cuts at the top otherwise.
  figure.get_layout_engine().set(h_pad=0.1, w_pad=0.06)
  return figure


def _panels(rows: int, columns: int, height: float):
  figure = new_figure(9.0, height)
  return figure, figure.subplots(rows, columns, squeeze=False)


def _look_at(axis, middle, reach, shape) -> None:
  """Shows the cells around a point, as far as the map reaches."""
  (x, y), (height, width) = middle, shape
  axis.set_xlim(max(x - reach, 0) - 0.5, min(x + reach, width - 1) + 0.5)
  axis.set_ylim(min(y + reach, height - 1) + 0.5, max(y - reach, 0) - 0.5)


def _arrow(axis, start, end) -> None:
  axis.annotate(
    "",
    xy=tuple(end),
    xytext=tuple(start),
    arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.8},
  )


def _legend(figure, axis) -> None:
  handles, labels = axis.get_legend_handles_labels()
  figure.legend(
    handles, labels, loc="outside lower center", ncols=4, frameon=False
  )

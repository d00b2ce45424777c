"""The drawings of docs/decoder.md: each function returns one RGB picture.

make_figures.py writes them. Everything drawn is computed by the library.
"""

import figures
import numpy as np
import PIL.Image

from darkjax import geometry
from darkjax.heatmaps import blur, decode_heatmaps, render_heatmaps

# Fine steps for curves, per px.
FINE = 40


def taylor(mu: float = 3.37, sigma: float = 1.0) -> PIL.Image.Image:
  """A parabola through three cells of a Gaussian, and through their logs."""
  cells = np.arange(8.0)
  fine = np.linspace(0, 7, 7 * FINE + 1)
  figure = figures.new_figure(9.0, 3.4)
  panels = figure.subplots(1, 2)
  for axis, transform, name in zip(
    panels, (lambda h: h, np.log), ("h", "ln h"), strict=True
  ):
    values = transform(_gaussian(cells, mu, sigma))
    m = int(values.argmax())
    step, parabola = _parabola(values, m)
    axis.plot(
      fine,
      transform(_gaussian(fine, mu, sigma)),
      color="#999999",
      label="the Gaussian",
    )
    axis.plot(
      fine,
      parabola(fine),
      "--",
      color="#0072B2",
      label="parabola through m−1, m, m+1",
    )
    axis.plot(cells, values, "k.", markersize=9, label="cells")
    axis.axvline(mu, color="#009E73", lw=1.4, label=f"μ = {mu}")
    axis.axvline(
      m + step, color="#D55E00", ls=":", lw=2.2, label="the parabola's top"
    )
    axis.set_title(f"{name}: top at {m + step:.3f}, m = {m}")
    axis.set_xlabel("heatmap px")
    axis.set_ylim(*((-0.1, 1.15) if name == "h" else (-8, 0.8)))
    axis.set_xlim(0, 7)
  handles, labels = panels[0].get_legend_handles_labels()
  figure.legend(
    handles, labels, loc="outside lower center", ncols=5, frameon=False
  )
  return figures.to_image(figure)


def _parabola(values, m):
  """Step from m to its top, and the function, of a parabola at three cells."""
  first = 0.5 * (values[m + 1] - values[m - 1])
  second = values[m + 1] - 2 * values[m] + values[m - 1]
  return (
    -first / second,
    lambda x: values[m] + first * (x - m) + 0.5 * second * (x - m) ** 2,
  )


def _gaussian(x, mu, sigma):
  return np.exp(-0.5 * ((x - mu) / sigma) ** 2)


def kernels() -> PIL.Image.Image:
  """The authors' three kernels, and how wide a kernel of each size is."""
  figure = figures.new_figure(9.0, 3.4)
  taps, widths = figure.subplots(1, 2)
  styles = {3: ("#D55E00", "s"), 11: ("#0072B2", "o"), 17: ("#009E73", "^")}
  for k, (color, marker) in styles.items():
    deviation = blur.blur_variance(k) ** 0.5
    taps.plot(
      np.arange(k) - k // 2,
      blur.gaussian_taps(k),
      color=color,
      marker=marker,
      label=f"k = {k}: deviation {deviation:.2f} px",
    )
  taps.set(title="weights", xlabel="heatmap px", ylim=(-0.02, 0.75))
  taps.legend(frameon=False)

  sizes = np.arange(3, 20, 2)
  # What OpenCV writes down for sigma = 0, and what its kernels have.
  widths.plot(
    sizes,
    0.3 * ((sizes - 1) / 2 - 1) + 0.8,
    color="#999999",
    label="formula 0.3((k−1)/2−1)+0.8",
  )
  widths.plot(
    sizes,
    [blur.blur_variance(k) ** 0.5 for k in sizes],
    "k.",
    markersize=9,
    label="the kernel itself",
  )
  for k, (color, marker) in styles.items():
    widths.plot(
      k,
      blur.blur_variance(k) ** 0.5,
      marker,
      ms=11,
      mfc="none",
      mec=color,
      mew=2,
    )
  widths.set(title="standard deviation, px", xlabel="k", xticks=sizes)
  widths.legend(frameon=False)
  return figures.to_image(figure)


def border() -> PIL.Image.Image:
  """Errors near the border of the map, official form and refine."""
  figure = figures.new_figure(9.0, 3.4)
  panels = figure.subplots(1, 2)
  cases = (((32, 24), 1.0, 3), ((64, 48), 2.0, 11))
  for axis, (size, sigma, k) in zip(panels, cases, strict=True):
    x = np.arange(0, 6 + 1e-6, 1 / 20)
    points = np.stack([x, np.full_like(x, size[0] / 2 + 0.3)], -1)
    maps = render_heatmaps(points.astype(np.float32), size=size, sigma=sigma)
    for form, color, line in (
      ("official", "#D55E00", "--"),
      ("refine", "#0072B2", "-"),
    ):
      found = decode_heatmaps(maps, blur_kernel=k, border=form).keypoints
      error = np.linalg.norm(np.asarray(found) - points, axis=-1)
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
  """Where in a crop the columns of a heatmap look, straight and mirrored."""
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
  """[columns] crop px of each heatmap column's centre."""
  heatmap_from_crop = geometry.heatmap_from_crop(
    crop_size=(width, width),
    heatmap_size=(columns, columns),
    alignment=alignment,
  )
  points = np.stack([np.arange(columns), np.zeros(columns)], -1)
  crop_from_heatmap = geometry.invert(heatmap_from_crop)
  return np.asarray(geometry.apply_affine(crop_from_heatmap, points))[:, 0]


def gain(errors: dict[str, np.ndarray]) -> PIL.Image.Image:
  """Share of keypoints within a distance, by decoder.

  Args:
    errors: by decoder, heatmap px.

  Returns:
    RGB.
  """
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

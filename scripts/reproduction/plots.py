"""A plot for each table: the paper's numbers, and ours with every seed."""

import PIL.Image

from darkjax import figures
from reproduction import verdicts
from reproduction.tables import Table
from reproduction.verdicts import Results

OURS, PAPER = "#0072B2", "#D55E00"  # Okabe and Ito


def plot(results: Results, table: Table, title: str) -> PIL.Image.Image | None:
  """One panel for the paper and one for us, for each metric of the table.

  Args:
    results: from `verdicts.read`.
    table: one of `tables.tables`.
    title: of the picture.

  Returns:
    RGB, or None if no row of the table was run.
  """
  rows = list(table.rows.values())
  if not any(verdicts.by_seed(results, row, "AP") for row in rows):
    return None
  figure = figures.new_figure(8.4, 0.5 + 2.8 * len(table.metrics))
  axes = figure.subplots(len(table.metrics), 2, squeeze=False)
  for (paper, ours), (metric, published) in zip(
    axes, table.metrics.items(), strict=True
  ):
    _draw_paper(paper, [row.paper.get(metric) for row in rows])
    paper.set_title(f"paper, {published}")
    _draw_ours(ours, [verdicts.by_seed(results, r, metric) for r in rows])
    ours.set_title(f"here, {metric}")
    for axis in (paper, ours):
      axis.set_xticks(range(len(rows)), table.rows, rotation=20, ha="right")
      axis.set_xlim(-0.5, len(rows) - 0.5)
      axis.grid(axis="y", color="#dddddd")
  figure.suptitle(title)
  return figures.to_image(figure)


def _draw_paper(axis, values) -> None:
  known = [(x, value) for x, value in enumerate(values) if value is not None]
  if known:
    axis.plot(*zip(*known, strict=True), "D", color=PAPER, markersize=8)


def _draw_ours(axis, rows) -> None:
  """A grey line through each seed's numbers, a bar at the mean."""
  for seed in sorted({seed for row in rows for seed in row}):
    points = [(x, row[seed]) for x, row in enumerate(rows) if seed in row]
    axis.plot(*zip(*points, strict=True), "o-", color="#999999", ms=3.5, lw=0.8)
  for x, row in enumerate(rows):
    if row:
      mean = sum(row.values()) / len(row)
      axis.hlines(mean, x - 0.25, x + 0.25, color=OURS, lw=2.5)

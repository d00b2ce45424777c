"""Plot of a table: the paper's numbers, ours of every seed, and gaps."""

import figures
import PIL.Image
from matplotlib.lines import Line2D

from reproduction import verdicts
from reproduction.tables import Claim, Table
from reproduction.verdicts import Results

# Okabe and Ito's blue and vermilion, and a grey.
OURS, PAPER, SEED = "#0072B2", "#D55E00", "#777777"


def plot(results: Results, table: Table, title: str) -> PIL.Image.Image | None:
  """Draws the paper's rows, ours, and the gaps of both, for each metric.

  Returns:
    RGB, or None if no row of the table was run.
  """
  rows = list(table.rows.values())
  if not any(verdicts.by_seed(results, row, "AP") for row in rows):
    return None
  height = 1.2 + 0.35 * len(rows)
  figure = figures.new_figure(11, 0.7 + height * len(table.metrics))
  axes = figure.subplots(len(table.metrics), 3, squeeze=False)
  for (paper, ours, gaps), (metric, published) in zip(
    axes, table.metrics.items(), strict=True
  ):
    _draw_paper(paper, [row.paper.get(metric) for row in rows])
    paper.set_title(f"paper, {published}, %")
    _draw_ours(ours, [verdicts.by_seed(results, r, metric) for r in rows])
    ours.set_title(f"here, {metric}, %")
    _name(paper, list(table.rows))
    _name(ours, [""] * len(rows))
    _draw_gaps(gaps, results, table, metric)
    gaps.set_title(f"gaps, {metric}, points")
  figure.suptitle(title)
  _legend(figure)
  return figures.to_image(figure)


def _legend(figure) -> None:
  marks = [
    Line2D([], [], ls="", marker="D", color=PAPER, label="paper"),
    Line2D([], [], ls="", marker="o", color=SEED, ms=4, label="a seed"),
    Line2D([], [], color=OURS, lw=2.5, label="mean of the seeds"),
  ]
  figure.legend(handles=marks, loc="outside lower center", ncols=3)


def _name(axis, names: list[str]) -> None:
  axis.set_yticks(range(len(names)), names)
  axis.set_ylim(len(names) - 0.5, -0.5)
  axis.grid(axis="x", color="#dddddd")


def _draw_paper(axis, values) -> None:
  known = [(value, y) for y, value in enumerate(values) if value is not None]
  if known:
    axis.plot(*zip(*known, strict=True), "D", color=PAPER, ms=8)


def _draw_ours(axis, rows) -> None:
  """Draws a dot for each seed, a bar at their mean."""
  for y, row in enumerate(rows):
    if row:
      values = list(row.values())
      axis.plot(values, [y] * len(values), "o", color=SEED, ms=4)
      mean = sum(values) / len(values)
      axis.vlines(mean, y - 0.3, y + 0.3, color=OURS, lw=2.5)


def _draw_gaps(axis, results, table, metric) -> None:
  """Draws the gaps of the claims, seed by seed, and the paper's."""
  claims = [
    claim
    for claim in table.claims
    if isinstance(claim, Claim) and claim.metric == metric
  ]
  _draw_ours(axis, [verdicts.gaps(results, table, claim) for claim in claims])
  _draw_paper(axis, [verdicts.paper_gap(table, claim) for claim in claims])
  axis.axvline(0, color="black", lw=0.8)
  _name(axis, [f"{claim.better}\n− {claim.worse}" for claim in claims])

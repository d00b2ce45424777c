"""Verdicts on the paper's claims, with the spread over seeds.

Gaps are taken seed by seed: decoders read the same network, and networks of a
seed saw the same people in the same order, so that the variation with the seed
cancels.
"""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reproduction.cells import Cell, Network
from reproduction.tables import Claim, Row, Table, Trend

HOLDS, FAILS, OPEN = "holds", "does not hold", "within the spread"
ONE_SEED, NOT_RUN = "one seed", "not run"

# cell.json by network and seed.
Results = Mapping[tuple[Network, int], dict[str, Any]]


class Spread(NamedTuple):
  """A number over seeds."""

  values: tuple[float, ...]

  @property
  def mean(self) -> float:
    """Mean over the seeds."""
    return statistics.fmean(self.values)

  @property
  def deviation(self) -> float:
    """Sample standard deviation; 0 for one seed."""
    return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

  def text(self, sign: str = "") -> str:
    """Returns text as in 51.94 ± 0.31; with a sign for "+"."""
    if not self.values:
      return NOT_RUN
    if len(self.values) == 1:
      return f"{self.mean:{sign}.2f}"
    return f"{self.mean:{sign}.2f} ± {self.deviation:.2f}"

  def t_text(self) -> str:
    """Returns Student's t, the mean in standard errors; a dash without one."""
    if not self.deviation:
      return "–"
    error = self.deviation / len(self.values) ** 0.5
    return f"{self.mean / error:.1f}"


def read(workdir: pathlib.Path, cells: Sequence[Cell]) -> Results:
  """Reads the cell.json of each cell of one data set, where there is one."""
  found = {}
  for cell in cells:
    path = workdir / cell.name / "cell.json"
    if path.exists():
      found[cell.network, cell.seed] = json.loads(path.read_text())
  return found


def by_seed(results: Results, row: Row, metric: str) -> dict[int, float]:
  """Returns a row's numbers by seed."""
  return {
    seed: result["metrics"][f"{row.decoder}/{metric}"]
    for (network, seed), result in sorted(results.items())
    if network == row.network
  }


def gaps(results: Results, table: Table, claim: Claim | Trend):
  """Returns the gap of a claim by seed, percentage points."""
  if isinstance(claim, Trend):
    wider, narrower = (gaps(results, table, part) for part in claim)
    return _differences(wider, narrower)
  rows = table.rows[claim.better], table.rows[claim.worse]
  return _differences(*(by_seed(results, row, claim.metric) for row in rows))


def _differences(one, other) -> dict[int, float]:
  return {seed: one[seed] - other[seed] for seed in one if seed in other}


def paper_gap(table: Table, claim: Claim | Trend) -> float | None:
  """Returns the gap in the paper, None where it lacks a row."""
  if isinstance(claim, Trend):
    parts = [paper_gap(table, part) for part in claim]
    return None if None in parts else parts[0] - parts[1]
  rows = table.rows[claim.better], table.rows[claim.worse]
  if not all(claim.metric in row.paper for row in rows):
    return None
  return rows[0].paper[claim.metric] - rows[1].paper[claim.metric]


def verdict(values: Sequence[float]) -> str:
  """Returns whether the mean gap exceeds the standard deviation over seeds."""
  if not values:
    return NOT_RUN
  if len(values) == 1:
    return f"{ONE_SEED}: {HOLDS if values[0] > 0 else FAILS}"
  spread = Spread(tuple(values))
  if abs(spread.mean) <= spread.deviation:
    return OPEN
  return HOLDS if spread.mean > 0 else FAILS

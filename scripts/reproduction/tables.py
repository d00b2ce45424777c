"""The paper's tables: rows, numbers, and claims.

A row is a trained network read by a decoder. Several rows, also of several
tables, share a network: the pair at 128×96 serves every table.

Reference: arXiv:1910.06278, Tables 1-6 and 8.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reproduction.cells import FAMILIES, SIZES, Cell, Network

BIASED, UNBIASED = Network(encoding="biased"), Network()
# By default. Labels of photographs are accurate to a few pixels; those of drawn
# people are exact and show the effect of the representation alone.
DATA_TABLES = {
  "lsp": (1, 2, 3, 4, 5, 6, 8),
  "people17": (1, 2, 3, 8),
  "synthetic": (1, 2, 3, 8),
}


class Row(NamedTuple):
  """A row of a table.

  Attributes:
    network: what is trained.
    decoder: a key of `ablation_grid.decoders`.
    paper: the paper's numbers, percent, by our metric; empty for other rows.
  """

  network: Network
  decoder: str
  paper: Mapping[str, float]


class Claim(NamedTuple):
  """One row beats another; rows by name."""

  worse: str
  better: str
  metric: str = "AP"


class Trend(NamedTuple):
  """The gap of one claim is wider than that of another."""

  wider: Claim
  narrower: Claim


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of the paper.

  Attributes:
    title: ends the heading.
    rows: by name.
    claims: the paper's conclusions, in our reading.
    metrics: of the claims: our name, and the paper's.
  """

  title: str
  rows: Mapping[str, Row]
  claims: tuple[Claim | Trend, ...]
  metrics: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: {"AP": "AP"}
  )


def _row(network, decoder, ap=None) -> Row:
  return Row(network, decoder, {} if ap is None else {"AP": ap})


DECODING = Table(
  "decoding, of biased targets",
  {
    "no shift": _row(BIASED, "argmax", 61.2),
    "standard": _row(BIASED, "standard", 66.9),
    "DARK": _row(BIASED, "dark", 68.4),
  },
  (Claim("no shift", "standard"), Claim("standard", "DARK")),
)
MODULATION = Table(
  "distribution modulation",
  {
    "DARK without": _row(BIASED, "dark, no modulation", 68.1),
    "DARK with": _row(BIASED, "dark", 68.4),
  },
  (Claim("DARK without", "DARK with"),),
)
ENCODING = Table(
  "encoding",
  {
    "biased, standard": _row(BIASED, "standard", 66.9),
    "unbiased, standard": _row(UNBIASED, "standard", 68.0),
    "biased, DARK": _row(BIASED, "dark", 68.4),
    "unbiased, DARK": _row(UNBIASED, "dark", 70.7),
  },
  (
    Claim("biased, standard", "unbiased, standard"),
    Claim("biased, DARK", "unbiased, DARK"),
    Claim("biased, standard", "biased, DARK"),
    Claim("unbiased, standard", "unbiased, DARK"),
  ),
)
HEADS = Table(
  "regression heads",
  {
    "DSNT": _row(Network(loss="dsnt"), "integral", 57.6),
    "IPR": _row(Network(loss="ipr"), "integral", 68.0),
    "DARK": _row(UNBIASED, "dark", 70.7),
  },
  (Claim("DSNT", "IPR"), Claim("IPR", "DARK"), Claim("DSNT", "DARK")),
)
# AP of the baseline (biased, standard) and of DARK.
INPUT_SIZES = {128: (66.9, 70.7), 256: (74.4, 75.6), 384: (75.8, 76.6)}
NETWORKS = {
  "hourglass": (66.2, 69.6),
  "simple_baseline": (59.3, 62.6),
  "hrnet": (66.9, 70.7),
}


def tables(scale: str) -> dict[int, Table]:
  """Returns the tables by number; `scale` is a key of `cells.FAMILIES`."""
  return {
    1: DECODING,
    2: MODULATION,
    3: ENCODING,
    4: _input_sizes(scale),
    5: _families(),
    6: HEADS,
    8: _strict_threshold(),
  }


def _input_sizes(scale) -> Table:
  rows, claims = {}, []
  for size in SIZES[scale]:
    numbers = INPUT_SIZES.get(size[0], (None, None))
    name = f"{size[0]}×{size[1]}"
    claims.append(_versus(rows, name, {"size": size}, numbers))
  trends = map(Trend, claims[:-1], claims[1:])
  return Table("input size", rows, (*claims, *trends))


def _families() -> Table:
  rows = {}
  claims = tuple(
    _versus(rows, family, {"family": family}, numbers)
    for family, numbers in NETWORKS.items()
  )
  return Table("networks", rows, claims)


def _versus(rows, name, changes, numbers) -> Claim:
  """Adds the baseline and DARK of a network; returns that DARK is better."""
  baseline, dark = f"{name}, baseline", f"{name}, DARK"
  rows[baseline] = _row(BIASED._replace(**changes), "standard", numbers[0])
  rows[dark] = _row(UNBIASED._replace(**changes), "dark", numbers[1])
  return Claim(baseline, dark)


def _strict_threshold() -> Table:
  loose, strict = "PCK@0.2", "PCK@0.05"
  rows = {
    "baseline": Row(BIASED, "standard", {loose: 90.3, strict: 37.7}),
    "DARK": Row(UNBIASED, "dark", {loose: 90.6, strict: 42.0}),
  }
  gaps = [Claim("baseline", "DARK", metric) for metric in (loose, strict)]
  return Table(
    "strict threshold",
    rows,
    (*gaps, Trend(gaps[1], gaps[0])),
    {loose: "PCKh@0.5", strict: "PCKh@0.1"},
  )


def plan(
  numbers: Mapping[str, Sequence[int]],
  *,
  scale: str,
  epochs: Mapping[str, int],
  seeds: int,
) -> list[Cell]:
  """Returns the runs that tables need, the most telling ones first.

  Args:
    numbers: of the tables, by data set, as in `DATA_TABLES`; of two data sets
      the first comes first.
    scale: a key of `cells.FAMILIES`.
    epochs: of a run, by data set.
    seeds: of each network, counted from 0.

  Returns:
    The cells, each once: all seeds of the pair at 128×96, then smaller inputs,
    heads, families, larger inputs.

  Raises:
    ValueError: an unknown table or data set.
  """
  known, data = tables(scale), list(numbers)
  chosen = {number for several in numbers.values() for number in several}
  if not chosen <= set(known):
    raise ValueError(f"tables are {sorted(known)}, got {sorted(chosen)}")
  if not set(data) <= set(DATA_TABLES):
    raise ValueError(f"data is of {sorted(DATA_TABLES)}, got {data}")
  runs = {
    (_priority(row.network), data.index(name), seed, row.network)
    for name in data
    for number in numbers[name]
    for row in known[number].rows.values()
    for seed in range(seeds)
  }
  return [
    Cell(
      data[index],
      FAMILIES[scale][network.family],
      network,
      epochs[data[index]],
      seed,
    )
    for _, index, seed, network in sorted(runs)
  ]


def _priority(network: Network) -> int:
  middle = UNBIASED.size
  if network.size < middle:
    return 1
  if network.loss != UNBIASED.loss:
    return 2
  if network.family != UNBIASED.family:
    return 3
  return 4 if network.size > middle else 0

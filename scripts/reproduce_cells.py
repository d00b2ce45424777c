"""What the paper's tables are made of: rows, and the networks behind them.

A row of a table is a trained network read by a decoder. Several rows, also of
several tables, share a network: the pair at 128×96 serves every table.
"""

import dataclasses
from typing import NamedTuple

FAMILIES = {
  "small": {
    "hrnet": "hrnet_small",
    "simple_baseline": "simple_baseline_small",
    "hourglass": "hourglass_small",
  },
  "paper": {
    "hrnet": "hrnet_w32",
    "simple_baseline": "simple_baseline_50",
    "hourglass": "hourglass_4",
  },
}
# Height and width of inputs, px. The networks halve an input five times, so
# that 64×48 and 192×144 are not to be had: these are the nearest.
MIDDLE = (128, 96)
SIZES = {
  "small": ((64, 64), MIDDLE, (192, 160)),
  "paper": (MIDDLE, (256, 192), (384, 288)),
}
# By input height, sigma of the targets and kernel of the modulation, heatmap
# px: published at 128, 256 and 384, the others between them.
SIGMAS = {64: (1.0, 3), 128: (1.0, 3), 192: (1.5, 7)} | {
  256: (2.0, 11),
  384: (3.0, 17),
}


class Network(NamedTuple):
  """What is trained, but for data and seed.

  Attributes:
    family: hrnet | simple_baseline | hourglass.
    encoding: of the targets, biased | unbiased; with it go alignment and flip
      shift, as in configs/biased.py.
    loss: mse | ipr | dsnt.
    size: (height, width) of the input, px.
  """

  family: str = "hrnet"
  encoding: str = "unbiased"
  loss: str = "mse"
  size: tuple[int, int] = MIDDLE

  @property
  def size_name(self) -> str:
    """As in 128x96."""
    return f"{self.size[0]}x{self.size[1]}"


@dataclasses.dataclass(frozen=True)
class Cell:
  """One training run.

  Attributes:
    data: lsp | synthetic.
    model: a name of `darkjax.models.MODELS`.
    network: which role it plays.
    epochs: how long it is trained.
    seed: of weights, batches and augmentation.
  """

  data: str
  model: str
  network: Network
  epochs: int
  seed: int

  @property
  def name(self) -> str:
    """Of its folder: all that tells it from other cells."""
    network = self.network
    kind = f"{network.size_name}-{network.encoding}-{network.loss}"
    return (
      f"{self.data}-{self.model}-{kind}-{self.epochs}epochs-seed{self.seed}"
    )

  def to_json(self) -> dict:
    """Its fields, flat."""
    fields = dataclasses.asdict(self)
    return fields | fields.pop("network")._asdict()


class Row(NamedTuple):
  """A row of a table.

  Attributes:
    label: in words.
    network: what is trained.
    decoder: a key of `grid.decoders`.
    paper: AP of the paper's row, percent; None where it has no such row.
  """

  label: str
  network: Network
  decoder: str
  paper: float | None = None


class Table(NamedTuple):
  """A table of the paper.

  Attributes:
    title: what it shows.
    rows: by a short name.
    claims: pairs of names, the worse row first: what the paper orders.
    metric: that the claims are about.
  """

  title: str
  rows: dict[str, Row]
  claims: tuple[tuple[str, str], ...]
  metric: str = "AP"


BIASED, UNBIASED = Network(encoding="biased"), Network()
NO_MODULATION = "dark, no modulation"


def tables(scale: str) -> dict[int, Table]:
  """The tables by number; `scale` is "small" or "paper"."""
  return {
    1: Table(
      "decoding",
      {
        "argmax": Row("no shift", BIASED, "argmax", 61.2),
        "standard": Row("standard", BIASED, "standard", 66.9),
        "dark": Row("DARK", BIASED, "dark", 68.4),
      },
      (("argmax", "standard"), ("standard", "dark")),
    ),
    2: Table(
      "distribution modulation",
      {
        "without": Row("DARK without", BIASED, NO_MODULATION, 68.1),
        "with": Row("DARK with", BIASED, "dark", 68.4),
      },
      (("without", "with"),),
    ),
    3: Table(
      "encoding",
      {
        "biased": Row("biased, standard", BIASED, "standard", 66.9),
        "unbiased": Row("unbiased, standard", UNBIASED, "standard", 68.0),
        "biased dark": Row("biased, DARK", BIASED, "dark", 68.4),
        "unbiased dark": Row("unbiased, DARK", UNBIASED, "dark", 70.7),
      },
      (
        ("biased", "unbiased"),
        ("biased dark", "unbiased dark"),
        ("biased", "biased dark"),
        ("unbiased", "unbiased dark"),
      ),
    ),
    4: _versus("input size", _sizes(scale)),
    5: _versus("networks", _families()),
    6: Table(
      "regression heads",
      {
        "dsnt": Row("DSNT", Network(loss="dsnt"), "integral", 57.6),
        "ipr": Row("IPR", Network(loss="ipr"), "integral", 68.0),
        "dark": Row("DARK", UNBIASED, "dark", 70.7),
      },
      (("dsnt", "ipr"), ("ipr", "dark"), ("dsnt", "dark")),
    ),
    8: _versus("strict threshold", {"128x96": ({}, None, None)}, "PCK@0.05"),
  }


def _versus(title, variants, metric="AP") -> Table:
  """Baseline (biased, standard) against DARK, for each variant of a network."""
  rows, claims = {}, []
  for name, (changes, baseline, dark) in variants.items():
    pair = f"{name} baseline", f"{name} DARK"
    biased = BIASED._replace(**changes)
    rows[pair[0]] = Row(pair[0], biased, "standard", baseline)
    rows[pair[1]] = Row(pair[1], UNBIASED._replace(**changes), "dark", dark)
    claims.append(pair)
  return Table(title, rows, tuple(claims), metric)


def _sizes(scale):
  published = {128: (66.9, 70.7), 256: (74.4, 75.6), 384: (75.8, 76.6)}
  return {
    f"{size[0]}x{size[1]}": (
      {"size": size},
      *published.get(size[0], (None, None)),
    )
    for size in SIZES[scale]
  }


def _families():
  published = {
    "hourglass": (66.2, 69.6),
    "simple_baseline": (59.3, 62.6),
    "hrnet": (66.9, 70.7),
  }
  return {
    family: ({"family": family}, *numbers)
    for family, numbers in published.items()
  }


def plan(
  numbers: list[int],
  *,
  data: list[str],
  scale: str,
  epochs: dict[str, int],
  seeds: int,
) -> list[Cell]:
  """The runs that tables need, those that say most first.

  Args:
    numbers: of the tables; see `DATA_TABLES` for which a data set serves.
    data: lsp, synthetic, or both.
    scale: a key of `FAMILIES`.
    epochs: of a run, by data set.
    seeds: of each network, counted from 0.

  Returns:
    The cells, each once: all seeds of the pair at 128×96, then smaller inputs,
    heads, families, larger inputs.
  """
  wanted = [
    (_priority(row.network), data.index(name), seed, row.network, name)
    for name in data
    for number in numbers
    if number in DATA_TABLES[name]
    for row in tables(scale)[number].rows.values()
    for seed in range(seeds)
  ]
  return [
    Cell(name, FAMILIES[scale][network.family], network, epochs[name], seed)
    for *_, seed, network, name in sorted(set(wanted))
  ]


# Labels of photographs are to a few pixels; those of drawn people are exact and
# show what the representation alone does.
DATA_TABLES = {"lsp": (1, 2, 3, 4, 5, 6, 8), "synthetic": (1, 2, 3, 8)}


def _priority(network: Network) -> int:
  if network.size < MIDDLE:
    return 1
  if network.loss != "mse":
    return 2
  if network.family != "hrnet":
    return 3
  return 4 if network.size > MIDDLE else 0

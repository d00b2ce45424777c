"""Report of the tables as markdown, the paper's numbers beside ours."""

import pathlib
import re
import statistics
from collections.abc import Iterator, Mapping

from reproduction import verdicts
from reproduction.tables import Claim, Table, Trend
from reproduction.verdicts import Results, Spread

SHOWN = {
  "AP": "AP",
  "PCK@0.2": "PCK@0.2",
  "PCK@0.05": "PCK@0.05",
  "error_px": "mean error, image px",
}


def write(page: pathlib.Path, name: str, text: str) -> None:
  """Replaces the text between a page's two comments with this name.

  Raises:
    ValueError: the page has no such comments.
  """
  first, last = (
    f"<!-- reproduce {name}: {end} -->" for end in ("begin", "end")
  )
  pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.S)
  content = page.read_text()
  if not pattern.search(content):
    raise ValueError(f"{page} has no lines {first} and {last} to write between")
  page.write_text(
    pattern.sub(lambda _: f"{first}\n\n{text}\n\n{last}", content)
  )


def lines(
  results: Results,
  tables: Mapping[int, Table],
  title: str,
  pictures: Mapping[int, str],
) -> Iterator[str]:
  """Yields the tables of one data set.

  Args:
    results: from `verdicts.read`.
    tables: by number.
    title: ends every heading, as in "lsp".
    pictures: file names of the plots that there are, by table.
  """
  for number, table in tables.items():
    yield f"#### Table {number}, {table.title}: {title}\n"
    yield from _rows(results, table)
    yield ""
    yield from _claims(results, table)
    yield ""
    if number in pictures:
      yield f"![Table {number}, {title}]({pictures[number]})\n"
  yield f"#### What was run: {title}\n"
  yield from _runs(results)


def _line(*fields) -> str:
  return f"| {' | '.join(map(str, fields))} |"


def _header(*fields) -> str:
  return f"{_line(*fields)}\n{_line(*['---'] * len(fields))}"


def _rows(results, table: Table) -> Iterator[str]:
  paper = [f"{name}, paper" for name in table.metrics.values()]
  yield _header("", *paper, *SHOWN.values(), "seeds")
  for name, row in table.rows.items():
    published = (row.paper.get(metric, "–") for metric in table.metrics)
    spreads = [
      Spread(tuple(verdicts.by_seed(results, row, metric).values()))
      for metric in SHOWN
    ]
    numbers = (spread.text() for spread in spreads)
    yield _line(name, *published, *numbers, len(spreads[0].values))


def _claims(results, table: Table) -> Iterator[str]:
  yield _header(
    "claim", "gap, paper", "gap, here", "t", "seeds that agree", "verdict"
  )
  for claim in table.claims:
    values = tuple(verdicts.gaps(results, table, claim).values())
    paper = verdicts.paper_gap(table, claim)
    yield _line(
      in_words(claim),
      "–" if paper is None else f"{paper:+.1f}",
      Spread(values).text("+"),
      Spread(values).t_text(),
      f"{sum(value > 0 for value in values)} of {len(values)}",
      verdicts.verdict(values),
    )


def in_words(claim: Claim | Trend) -> str:
  """Returns a claim as text, as in AP: standard < DARK."""
  if isinstance(claim, Trend):
    wider, narrower = claim
    if (wider.worse, wider.better) == (narrower.worse, narrower.better):
      return f"the gap is wider in {wider.metric} than in {narrower.metric}"
    return f"the gap to {wider.better} is wider than that to {narrower.better}"
  return f"{claim.metric}: {claim.worse} < {claim.better}"


def _runs(results: Results) -> Iterator[str]:
  yield _header(
    *("network", "input", "targets", "loss", "epochs", "seeds"),
    *("training, min", "CPU min", "images/s", "machine; cores a run", "commit"),
    "set besides",
  )
  for network in dict.fromkeys(network for network, _ in results):
    runs = [result for (n, _), result in results.items() if n == network]
    cell, parts = runs[0]["cell"], [p for r in runs for p in r["parts"]]
    yield _line(
      *(cell["model"], network.size_name, network.encoding, network.loss),
      *(cell["epochs"], ", ".join(str(r["cell"]["seed"]) for r in runs)),
      _minutes(r["training_seconds"] for r in runs),
      _minutes(r["training_cpu_seconds"] for r in runs),
      f"{statistics.median(r['images_per_second'] for r in runs):.0f}",
      ", ".join(sorted({f"{p['machine']}; {p['cores']}" for p in parts})),
      ", ".join(sorted({part["commit"] for part in parts})),
      ", ".join(sorted({one for p in parts for one in p["overrides"]})) or "–",
    )


def _minutes(seconds) -> str:
  """Returns the median over the seeds."""
  return f"{statistics.median(seconds) / 60:.1f}"

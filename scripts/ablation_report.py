"""Report of the grid as text and json, with the paper's Tables 1 to 3.

The paper's rows are HRNet-W32 128x96 on COCO val2017 with detected boxes. A
checkpoint's own rows are those of the convention it was trained with; "dark" is
darkjax's, border="refine".
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import ablation_grid

from darkjax.convention import Convention

ENCODERS = ("biased", "unbiased")
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR")

# The paper, arXiv:1910.06278, in percent, as METRICS; and which rows its
# tables have, (encoder, decoder).
PAPER = {
  ("biased", "argmax"): (61.2, 88.1, 72.3, 59.0, 66.3, 68.7),
  ("biased", "standard"): (66.9, 88.7, 76.3, 64.6, 72.3, 73.7),
  ("biased", "dark, no modulation"): (68.1, 88.5, 77.1, 65.8, 73.7, 74.8),
  ("biased", "dark"): (68.4, 88.6, 77.4, 66.0, 74.0, 74.9),
  ("unbiased", "standard"): (68.0, 88.9, 77.0, 65.4, 73.7, 74.5),
  ("unbiased", "dark"): (70.7, 88.9, 78.4, 67.9, 76.6, 76.7),
}
TABLES = {
  "Table 1, decoding": [
    ("biased", decoder) for decoder in ("argmax", "standard", "dark")
  ],
  "Table 2, distribution modulation": [
    ("biased", decoder) for decoder in ("dark, no modulation", "dark")
  ],
  "Table 3, encoding": [
    (encoder, decoder)
    for decoder in ("standard", "dark")
    for encoder in ENCODERS
  ],
}


class Measured(NamedTuple):
  """The grid of one checkpoint."""

  folder: str
  convention: Convention  # as trained
  cells: dict[ablation_grid.Cell, dict[str, float]]
  boxes: str  # where people were cropped: gt_boxes | detections

  @property
  def trained(self) -> ablation_grid.Cell:
    """The cell of the grid whose convention the checkpoint was trained with."""
    return self.convention.alignment, self.convention.flip_shift


def tables(measured: dict[str, Measured]) -> Iterator[str]:
  """Yields Tables 1 to 3, the paper's rows above ours."""
  for title, rows in TABLES.items():
    yield from (f"\n### {title}\n", _row("encoder", "decoder", "", *METRICS))
    yield _row(*["---"] * (3 + len(METRICS)))
    for encoder, decoder in rows:
      paper = (f"{value:.1f}" for value in PAPER[encoder, decoder])
      yield _row(encoder, decoder, "paper", *paper)
      yield _row(encoder, decoder, "here", *_ours(measured, encoder, decoder))


def _ours(measured, encoder, decoder) -> list[str]:
  if encoder not in measured:
    return ["not given"] * len(METRICS)
  one = measured[encoder]
  cell = one.cells[one.trained]
  return [_number(cell, f"{decoder}/{m}/{one.boxes}") for m in METRICS]


def grid_lines(measured: dict[str, Measured], metric: str) -> Iterator[str]:
  """Yields the grid of one metric, a column for each decoder."""
  decoders = list(
    dict.fromkeys(
      name.split("/")[0]
      for one in measured.values()
      for name in one.cells[one.trained]
      if name.split("/", 1)[1] == f"{metric}/{one.boxes}"
    )
  )
  yield f"\n### {metric}, by encoder, alignment, flip shift and decoder\n"
  if not decoders:
    yield f"Not measured; there are: {', '.join(_metrics(measured))}"
    return
  yield _row("encoder", "alignment", "flip shift", *decoders)
  yield _row(*["---"] * (3 + len(decoders)))
  for encoder in ENCODERS:
    if encoder not in measured:
      yield _row(encoder, "", "", *["not given"] * len(decoders))
      continue
    one = measured[encoder]
    for cell, metrics in one.cells.items():
      mark = "" if cell == one.trained else "\\*"
      names = (f"{decoder}/{metric}/{one.boxes}" for decoder in decoders)
      numbers = (_number(metrics, name) + mark for name in names)
      yield _row(encoder, *cell, *numbers)


def _metrics(measured) -> list[str]:
  """Returns the names of all metrics, without the boxes."""
  names = (
    name.split("/", 1)[1].rsplit("/", 1)[0]
    for one in measured.values()
    for name in one.cells[one.trained]
  )
  return list(dict.fromkeys(names))


def _number(cell, name) -> str:
  """Formats a metric; a dash where a decoder or size of people has none."""
  value = cell.get(name, -1.0)
  return f"{value:.2f}" if value >= 0 else "-"


def _row(*cells) -> str:
  return f"| {' | '.join(str(cell) for cell in cells)} |"


def report(
  measured: dict[str, Measured], used: dict[str, Any], metrics: Sequence[str]
) -> str:
  """Returns the whole text."""
  lines = ["# Encoder, decoder, alignment and flip shift, each alone", ""]
  lines += [f"- {name}: {value}" for name, value in used.items()]
  for encoder in ENCODERS:
    one = measured.get(encoder)
    text = f"{one.folder}; {one.convention.describe()}" if one else "not given"
    lines.append(f"- {encoder}: {text}")
  lines.append(
    '- rows "paper": HRNet-W32 128x96, COCO val2017, detected boxes; numbers '
    "of other networks, data or boxes differ for these reasons too"
  )
  lines += tables(measured)
  for metric in metrics:
    lines += grid_lines(measured, metric)
  lines.append(
    "\n\\* alignment or flip shift other than the checkpoint was trained with."
  )
  return "\n".join(lines)


def as_json(measured: dict[str, Measured], used: dict[str, Any]) -> str:
  """Returns every metric of every cell, and the paper's, as json."""
  found = {
    encoder: {
      "checkpoint": one.folder,
      "convention": one.convention.to_json(),
      "cells": [
        {
          "alignment": cell[0],
          "flip_shift": cell[1],
          "as_trained": cell == one.trained,
          "metrics": metrics,
        }
        for cell, metrics in one.cells.items()
      ],
    }
    for encoder, one in measured.items()
  }
  paper = [
    {"encoder": e, "decoder": d, **dict(zip(METRICS, row, strict=True))}
    for (e, d), row in PAPER.items()
  ]
  return json.dumps({"used": used, "found": found, "paper": paper}, indent=2)

"""Report of a check as text."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.data.check.findings import Finding
from darkjax.data.check.rules import ERROR, NOTE, WARNING
from darkjax.data.check.sigmas import Estimate
from darkjax.data.coco import categories, reader

_IDS = 5  # of a finding, at most
_VERDICTS = {
  ERROR: "training refuses this data",
  WARNING: "training runs, but learns or scores something wrong",
  NOTE: "ready to train on",
}


def summary(content: reader.Content, counts: Mapping[str, Any]) -> str:
  """Returns the counts of `summarize`, a row each, and its keypoints."""
  rows = {
    name: ", ".join(
      f"{key.replace('_', ' ')}: {value}" for key, value in counts[name].items()
    )
    for name in ("images", "people", "areas")
  }
  rows["areas"] += " (medium: 32² to 96² px², the M of APM)"
  if counts["boxes"]:
    rows["boxes"] = _boxes(counts["boxes"])
  lines: list[str] = []
  for name, text in (*rows.items(), *_skeleton(content, counts)):
    lines += _fill(f"{name:<14}{text}", 16)
  table = [["", "keypoint", "labelled", "hidden", "sigma ", "mirrored"]]
  for number, k in enumerate(counts["keypoints"]):
    sigma = f"{k['sigma']:.3f}{' *'[k['sigma_is_default']]}"
    cells = (number, k["name"], k["labelled"], k["hidden"], sigma)
    table.append([*map(str, cells), k["partner"] or ""])
  return "\n".join([*lines, "", *_table(table)])


def _boxes(boxes: Mapping[str, Any]) -> str:
  (width, height), (rows, columns) = boxes["median_size"], boxes["crop_size"]
  return (
    f"median {width:g} x {height:g} px (w x h); a crop of {rows}x{columns} "
    f"(h x w) enlarges {boxes['enlarged']} people, {boxes['enlarged_twice']} "
    f"more than twice, the median by {boxes['median_factor']:g}; "
    f"{boxes['keypoints_outside_box']} of {boxes['keypoints']} labelled "
    "keypoints lie more than a pixel outside their box"
  )


def _fill(text: str, indent: int = 2) -> list[str]:
  return textwrap.wrap(
    text,
    88,
    initial_indent="  ",
    subsequent_indent=" " * indent,
    break_on_hyphens=False,
  )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  for row in rows:
    yield "  " + "  ".join(map(str.rjust, row, widths))


def _skeleton(
  content: reader.Content, counts: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
  """Yields rows that say where pairs, limbs and sigmas come from."""
  skeleton, category = content.skeleton, content.category
  built_in = categories.built_in(skeleton.keypoint_names)

  def source(field: str) -> str:
    if categories.gives(category, field) and skeleton is not built_in:
      return "the category"
    return f"built-in skeleton {built_in.name!r}" if built_in else "the names"

  pairs, limbs = len(skeleton.flip_pairs), len(skeleton.limbs)
  yield "left, right", f"{pairs} pairs, from {source('flip_pairs')}"
  suggested = (
    "none, nothing is drawn between keypoints; the labels suggest (from 1) "
    f'"skeleton": {counts["category"]["skeleton"]}'
  )
  yield "limbs", f"{limbs}, from {source('skeleton')}" if limbs else suggested
  own = "the category" if category.get("sigmas") else "names the library knows"
  yield "OKS sigmas", f"from {own}; * by default"


def findings(listed: Sequence[Finding]) -> str:
  """Returns the findings, errors first, and what they amount to."""
  lines: list[str] = []
  order = list(_VERDICTS)
  for finding in sorted(listed, key=lambda f: order.index(f.severity)):
    lines += ["", f"{finding.severity.upper()} {finding.rule}"]
    lines += _fill(finding.text) + _fill(f"Fix: {finding.fix}.")
    if finding.ids:
      more = len(finding.ids) - _IDS
      shown = ", ".join(map(str, finding.ids[:_IDS]))
      lines += [f"  ids: {shown}" + (f" and {more} more" if more > 0 else "")]
  found = [finding.severity for finding in listed]
  worst = min([*found, NOTE], key=order.index)
  numbers = ", ".join(f"{found.count(s)} {s}s" for s in order)
  return "\n".join([*lines, "", f"{numbers}: {_VERDICTS[worst]}"])


def estimate(
  names: Sequence[str], estimated: Estimate, sigmas: Sequence[float]
) -> str:
  """Returns sigmas from people labelled twice, a line for each keypoint.

  The last line has all `sigmas` as a category takes them.
  """
  table = [("sigmas", "from labels", "±", "by the median", "pairs")]
  columns = (*estimated[:2], estimated.relative_error, estimated.counts)
  for name, sigma, robust, error, count in zip(names, *columns, strict=True):
    numbers = (f"{sigma:.4f}", f"{error:.0%}", f"{robust:.4f}", str(count))
    table.append((name, *numbers))
  return "\n".join([*_table(table), f'  "sigmas": {list(sigmas)}'])

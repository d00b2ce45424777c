"""Report of a check as text."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.data.check.findings import Finding
from darkjax.data.check.rules import ERROR, NOTE, WARNING
from darkjax.data.check.sigmas import Estimate
from darkjax.data.coco import categories, reader

_WIDTH = 88
_IDS = 5  # of a finding, at most
# Pairs of labels for a standard error of 9 %.
_RELIABLE = 30


def summary(content: reader.Content, counts: Mapping[str, Any]) -> str:
  """Returns the counts of `summarize`, a row each, and its keypoints."""
  rows = [
    (name, ", ".join(_count(*item) for item in counts[name].items()))
    for name in ("images", "people", "areas", "boxes")
    if counts[name]
  ]
  lines: list[str] = []
  for name, text in (*rows, *_skeleton(content, counts)):
    wrapped = textwrap.wrap(text, _WIDTH - 16, break_on_hyphens=False)
    lines += [f"  {name:<14}{wrapped[0]}", *(" " * 16 + x for x in wrapped[1:])]
  return "\n".join([*lines, "", *_table(counts["keypoints"])])


def _count(name: str, value: Any) -> str:
  numbers = value if isinstance(value, list) else [value]
  shown = " x ".join(str(round(number, 2)) for number in numbers)
  return f"{name.replace('_', ' ')}: {shown}"


def _skeleton(
  content: reader.Content, counts: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
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


def _table(keypoints: Sequence[Mapping[str, Any]]) -> Iterator[str]:
  width = max(len(k["name"]) for k in keypoints)
  yield f"     {'keypoint':>{width}} labelled hidden  sigma   mirrored"
  for number, k in enumerate(keypoints):
    line = (
      f"{number:>4} {k['name']:>{width}} {k['labelled']:>8} {k['hidden']:>6}"
      f"  {k['sigma']:.3f}{' *'[k['sigma_is_default']]}  {k['partner'] or ''}"
    )
    yield line.rstrip()


def findings(listed: Sequence[Finding]) -> str:
  """Returns the findings, errors first, and what they amount to."""
  order = (ERROR, WARNING, NOTE)
  lines: list[str] = []
  for finding in sorted(listed, key=lambda f: order.index(f.severity)):
    lines += ["", f"{finding.severity.upper()} {finding.rule}"]
    for text in (finding.text, f"Fix: {finding.fix}."):
      wrapped = textwrap.wrap(text, _WIDTH - 2)
      lines += [f"  {line}" for line in wrapped]
    if finding.ids:
      more = len(finding.ids) - _IDS
      shown = ", ".join(map(str, finding.ids[:_IDS]))
      lines += [f"  ids: {shown}" + (f" and {more} more" if more > 0 else "")]
  counts = [sum(f.severity == severity for f in listed) for severity in order]
  verdict = "ready to train on"
  if counts[1]:
    verdict = "training runs, but learns or scores something wrong"
  if counts[0]:
    verdict = "training refuses this data"
  numbers = "{} errors, {} warnings, {} notes".format(*counts)
  return "\n".join([*lines, "", f"{numbers}: {verdict}"])


def estimate(names: Sequence[str], estimated: Estimate) -> str:
  """Returns sigmas from people labelled twice, a line for each keypoint."""
  width = max(map(len, names))
  lines = [f"  {'sigmas':<{width}} from labels  ±     by the median  pairs"]
  columns = (*estimated[:2], estimated.relative_error, estimated.counts)
  for name, sigma, robust, error, count in zip(names, *columns, strict=True):
    line = f"{sigma:>11.4f} {100 * error:>3.0f} % {robust:>14.4f} {count:>6}"
    if not sigma > 0:
      line = "not labelled twice, or never differently"
    elif count < _RELIABLE:
      line += "  few"
    elif sigma > 1.5 * robust:
      line += "  outliers"
    lines.append(f"  {name:<{width}} {line}")
  rounded = [round(float(s), 4) for s in estimated.sigmas]
  return "\n".join([*lines, f'  "sigmas": {rounded}'])

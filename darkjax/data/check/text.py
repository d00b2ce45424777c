"""The report of a check as text."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkjax.data.check.findings import ERROR, NOTE, WARNING, Finding
from darkjax.data.coco import categories

_WIDTH = 88
_IDS = 5
# Pairs of labels for a standard error of 9 %.
_RELIABLE = 30


def summary(path, labels, facts: Mapping[str, Any]) -> str:
  """Counts, keypoints, boxes and skeleton, a line each, then the keypoints."""
  rows = [*_counts(facts), *_shapes(facts), *_skeleton(labels, facts)]
  lines = [str(path)]
  for name, text in rows:
    lines += textwrap.wrap(
      text,
      _WIDTH,
      initial_indent=f"  {name:<14}",
      subsequent_indent=" " * 16,
      break_on_hyphens=False,
    )
  return "\n".join([*lines, "", *_table(facts["keypoints"])])


def _counts(facts) -> Iterator[tuple[str, str]]:
  images, people = facts["images"], facts["people"]
  yield (
    "images",
    f"{images['all']}, {images['with_people']} with people to train on, up to "
    f"{images['most_people']} in one",
  )
  left_out = {
    "refused": people["refused"],
    "crowds": people["crowds"],
    "without labels": people["unlabelled"],
    "without a box or area in the image": people["without_box_or_area"],
  }
  yield (
    "people",
    f"{people['annotations']}, {people['to_train_on']} to train on; left out: "
    + ", ".join(f"{count} {why}" for why, count in left_out.items()),
  )
  labelled = sum(k["labelled"] for k in facts["keypoints"])
  hidden = sum(k["hidden"] for k in facts["keypoints"])
  slots = people["to_train_on"] * len(facts["keypoints"])
  yield (
    "keypoints",
    f"K = {len(facts['keypoints'])}; {labelled} labelled (visibility 1: "
    f"{hidden}, 2: {labelled - hidden}), {slots - labelled} not (0)",
  )


def _shapes(facts) -> Iterator[tuple[str, str]]:
  areas, boxes = facts["areas"], facts["boxes"]
  if not boxes:
    return
  yield (
    "areas",
    f"{areas['small']} small, {areas['medium']} medium (32² to 96² px², the M "
    f"of APM), {areas['large']} large",
  )
  total = facts["people"]["to_train_on"]
  (width, height), (rows, columns) = boxes["median_size"], boxes["crop_size"]
  yield (
    "boxes",
    f"median {width:g} x {height:g} px (w x h); to fill a crop of {rows}x"
    f"{columns} (h x w) {100 * boxes['enlarged'] / total:.0f} % of the people "
    f"are enlarged, {100 * boxes['enlarged_twice'] / total:.0f} % more than "
    f"twice, the median by {boxes['median_factor']:g}",
  )
  outside = boxes["keypoints_outside_box"]
  yield (
    "outside",
    f"{outside} of {boxes['keypoints']} labelled keypoints lie more than a "
    "pixel outside their box",
  )


def _skeleton(labels, facts) -> Iterator[tuple[str, str]]:
  content = labels.content
  skeleton, category = content.skeleton, content.category
  known = categories.built_in(skeleton.keypoint_names)

  def source(field: str) -> str:
    told = categories.gives(category, field) and skeleton is not known
    builtin = known and f"built-in skeleton {known.name!r}"
    return "the category" if told else builtin or "the names"

  pairs = len(skeleton.flip_pairs)
  yield "left, right", f"{pairs} pairs, from {source('flip_pairs')}"
  if skeleton.limbs:
    yield "limbs", f"{len(skeleton.limbs)}, from {source('skeleton')}"
  else:
    yield (
      "limbs",
      "none, nothing is drawn between keypoints; the labels suggest (counted "
      f'from 1) "skeleton": {facts["category"]["skeleton"]}',
    )
  defaults = sum(k["sigma_is_default"] for k in facts["keypoints"])
  own = "the category" if category.get("sigmas") else "names the library knows"
  yield (
    "OKS sigmas",
    f"from {own}" + (f", {defaults} by default" if defaults else ""),
  )


def _table(keypoints: Sequence[Mapping[str, Any]]) -> Iterator[str]:
  width = max(len(k["name"]) for k in keypoints)
  yield (
    f"  {'':>4} {'keypoint':<{width}} labelled hidden  sigma    "
    "in a mirrored image"
  )
  for number, k in enumerate(keypoints):
    sigma = f"{k['sigma']:.3f}" + ("*" if k["sigma_is_default"] else " ")
    line = (
      f"  {number:>4} {k['name']:<{width}} {k['labelled']:>8} "
      f"{k['hidden']:>6}  {sigma}   {k['partner'] or ''}"
    )
    yield line.rstrip()
  if any(k["sigma_is_default"] for k in keypoints):
    yield "  * default"


def findings(found: Sequence[Finding]) -> str:
  """The findings, the gravest first, and what they come to."""
  order = (ERROR, WARNING, NOTE)
  lines = []
  for finding in sorted(found, key=lambda f: order.index(f.severity)):
    lines += ["", *_finding(finding)]
  counts = [sum(f.severity == s for f in found) for s in order]
  verdict = f"{counts[0]} errors, {counts[1]} warnings, {counts[2]} notes: "
  if counts[0]:
    verdict += "training refuses this data"
  elif counts[1]:
    verdict += "training runs, but learns or scores something wrong"
  else:
    verdict += "ready to train on"
  return "\n".join([*lines, "", verdict])


def _finding(finding: Finding) -> Iterator[str]:
  yield f"{finding.severity.upper()} {finding.rule}"
  indent = {"initial_indent": "  ", "subsequent_indent": "  "}
  yield from textwrap.wrap(finding.text, _WIDTH, **indent)
  yield from textwrap.wrap(f"Fix: {finding.fix}.", _WIDTH, **indent)
  if finding.ids:
    more = len(finding.ids) - _IDS
    shown = ", ".join(str(i) for i in finding.ids[:_IDS])
    yield f"  ids: {shown}" + (f" and {more} more" if more > 0 else "")


def estimate(labels, estimated) -> str:
  """Sigmas from people labelled twice, a line for each keypoint."""
  names = labels.content.skeleton.keypoint_names
  width = max(map(len, names))
  lines = [f"  {'sigmas':<{width}} from labels  ±     by the median  pairs"]
  columns = (*estimated[:2], estimated.relative_error, estimated.counts)
  for name, sigma, robust, error, count in zip(names, *columns, strict=True):
    told = sigma > 0
    mark = "  few" if told and count < _RELIABLE else ""
    mark = mark or ("  outliers" if told and sigma > 1.5 * robust else "")
    lines.append(
      f"  {name:<{width}} {sigma:>11.4f} {100 * error:>3.0f} % "
      f"{robust:>14.4f} {count:>6}{mark}"
      if told
      else f"  {name:<{width}} not labelled twice, or never differently"
    )
  rounded = [round(float(s), 4) for s in estimated.sigmas]
  return "\n".join([*lines, f'  "sigmas": {rounded}'])

"""Check of a COCO-format keypoint json and its images, and its report."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data.check import (
  boxes,
  files,
  keypoints,
  left_right,
  people,
  sigmas,
  summary,
  text,
)
from darkjax.data.check.findings import Finding, finding, share
from darkjax.data.check.labels import Labels, read_labels
from darkjax.data.check.rules import NOTE
from darkjax.data.coco import reader
from darkjax.metrics.coco_annotations import check_hint
from darkjax.runtime.json_file import read_json

CROP_SIZE = (256, 192)  # (height, width) px: the most usual of the recipes
PADDING = 1.25  # convention.padding of every configuration


class Report(NamedTuple):
  """The result of a check."""

  path: pathlib.Path  # of the json
  findings: tuple[Finding, ...]
  labels: Labels | None = None  # None where the json cannot be read at all
  summary: Mapping[
    str, Any
  ] = {}  # of `summary.summarize`, empty without labels
  estimate: sigmas.Estimate | None = None  # if people are labelled twice

  @property
  def exit_status(self) -> int:
    """1 where training would fail or mislead, else 0; notes do not count."""
    return int(any(f.severity != NOTE for f in self.findings))

  def category(self) -> dict[str, Any]:
    """Returns the category with flip pairs, limbs and sigmas filled in."""
    category = dict(self.summary["category"])
    if self.estimate is not None:
      pairs = zip(self.estimate.sigmas, category["sigmas"], strict=True)
      category["sigmas"] = [
        round(float(new), 4) if new > 0 else old for new, old in pairs
      ]
    return category

  def to_json(self) -> dict[str, Any]:
    """Returns what `--json` prints; None for numbers that are not finite."""
    content = {
      "annotations": str(self.path),
      "exit_status": self.exit_status,
      "findings": [finding._asdict() for finding in self.findings],
    }
    if self.labels is not None:
      content |= {**self.summary, "category": self.category()}
    if self.estimate is not None:
      content["estimated_sigmas"] = {
        name: np.round(column, 5).tolist()
        for name, column in self.estimate._asdict().items()
      }
    # json does not know NaN and infinity.
    return json.loads(json.dumps(content), parse_constant=lambda _: None)

  def text(self) -> str:
    """Returns what the command prints."""
    parts = [str(self.path)]
    if self.labels is not None:
      parts += [text.summary(self.labels.content, self.summary)]
      names = self.labels.content.skeleton.keypoint_names
      if self.estimate is not None:
        parts += ["\n" + text.estimate(names, self.estimate)]
    return "\n".join([*parts, text.findings(self.findings)])


def check(
  annotations: str | pathlib.Path,
  images: str | pathlib.Path | None = None,
  *,
  category: str | None = None,
  repeated: str | pathlib.Path | None = None,
  crop_size: tuple[int, int] = CROP_SIZE,
  padding: float = PADDING,
) -> Report:
  """Checks a COCO-format keypoint json and its images.

  Args:
    annotations: the json.
    images: folder of its file names; None does not look at the files.
    category: which category, where several have different keypoints.
    repeated: a second json of the same annotation ids, for the sigmas.
    crop_size: (height, width) of the network's input, px.
    padding: factor on the box.

  Returns:
    `Report`; a json that cannot be read is a finding too.

  Raises:
    FileNotFoundError: no such json or folder.
    ValueError: `repeated` does not fit; a size or padding not above 0.
  """
  if len(crop_size) != 2 or min(crop_size) <= 0:
    raise ValueError(
      f"crop_size is (height, width) above 0 px, got {crop_size}; such as "
      f"{CROP_SIZE}"
    )
  if not 0 < padding < math.inf:
    raise ValueError(
      f"padding is a factor above 0, got {padding}; such as {PADDING}"
    )
  path = pathlib.Path(annotations)
  try:
    content = reader.read_content(path, category=category)
  except ValueError as error:
    return Report(path, (_unreadable(error, path),))
  folder = None if images is None else pathlib.Path(images)
  read = files.read_headers(content.images, folder) if folder else {}
  labels = read_labels(
    content, {i: s for i, s in read.items() if isinstance(s, tuple)}
  )
  findings = [
    *files.findings(content, folder, read),
    *keypoints.findings(labels),
    *boxes.findings(labels, crop_size, padding),
    *people.findings(labels),
    *left_right.findings(labels),
  ]
  estimate, defaults = None, len(summary.default_sigmas(labels))
  if repeated is not None:
    again = reader.read_content(repeated, category=category)
    estimate = sigmas.from_repeated(labels, read_labels(again, labels.sizes))
  elif defaults:
    of_all = share(defaults, content.skeleton.num_keypoints)
    sigma = skeletons.DEFAULT_SIGMA
    findings.append(finding("sigma-default", share=of_all, sigma=sigma))
  counts = summary.summarize(labels, crop_size, padding)
  return Report(path, tuple(findings), labels, counts, estimate)


def _unreadable(error: ValueError, path: pathlib.Path) -> Finding:
  message = str(error).removeprefix(f"{path}: ")
  message = message.split(f"\n{check_hint(path)}")[0]
  return finding("json-refused", error=" ".join(message.split()))


def write_completed(report: Report, path: str | pathlib.Path) -> None:
  """Writes the json of a report to a path, its category completed."""
  content = read_json(report.path)
  completed = report.category()
  for category in content["categories"]:
    if category.get("keypoints") == completed["keypoints"]:
      for field in ("flip_pairs", "skeleton", "sigmas"):
        category[field] = completed[field]
  pathlib.Path(path).write_text(json.dumps(content))

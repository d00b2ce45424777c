"""Explains a data set before anyone trains on it.

    python -m darkjax.data.check train.json --images=photos

Reads a COCO-format keypoint json and the headers of its images, and tells what
is in them, what is wrong, what it will do to training and scoring, and the fix.
Every finding is an error (training refuses the data), a warning (it runs, but
learns or scores something wrong) or a note (odd, or wrong in less than 1 % of
the people). Exit status 1 with an error or a warning, else 0.

`--repeated=again.json` estimates OKS sigmas from people labelled twice (see
sigmas.py), `--write=complete.json` writes the json with the flip pairs, limbs
and sigmas filled into its category, `--json` prints all for machines.
"""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data.check import boxes, left_right, people, sigmas, summary
from darkjax.data.check import files as check_files
from darkjax.data.check import labels as check_labels
from darkjax.data.check import text as check_text
from darkjax.data.check.findings import (
  ERROR,
  NOTE,
  Finding,
  Labels,
  read_labels,
  share,
)
from darkjax.data.coco import reader

CROP_SIZE = (256, 192)  # (height, width) px: the most usual of the recipes
PADDING = 1.25  # convention.padding of every configuration


class Report(NamedTuple):
  """The result of a check.

  Attributes:
    path: of the json.
    findings: all of them.
    labels: None where the json cannot be read at all.
    facts: counts, see check_facts.py; empty without labels.
    estimate: of sigmas, where people labelled twice were given.
  """

  path: pathlib.Path
  findings: tuple[Finding, ...]
  labels: Labels | None = None
  facts: Mapping[str, Any] = {}
  estimate: sigmas.Estimate | None = None

  @property
  def exit_status(self) -> int:
    """1 where training would fail or mislead, else 0; notes do not count."""
    return int(any(f.severity != NOTE for f in self.findings))

  def category(self) -> dict[str, Any]:
    """The category with flip pairs, limbs and (estimated) sigmas filled in."""
    category = dict(self.facts["category"])
    if self.estimate is not None:
      known = self.estimate.sigmas > 0
      category["sigmas"] = [
        round(float(new), 4) if told else old
        for new, told, old in zip(
          self.estimate.sigmas, known, category["sigmas"], strict=True
        )
      ]
    return category

  def to_json(self) -> dict[str, Any]:
    """What `--json` prints; None for numbers that are not finite."""
    content = {
      "annotations": str(self.path),
      "exit_status": self.exit_status,
      "findings": [finding._asdict() for finding in self.findings],
    }
    if self.labels is not None:
      content |= {**self.facts, "category": self.category()}
    if self.estimate is not None:
      content["estimated_sigmas"] = {
        name: np.round(column, 5).tolist()
        for name, column in self.estimate._asdict().items()
      }
    return _finite(content)

  def text(self) -> str:
    """What the command prints."""
    parts = [str(self.path)]
    if self.labels is not None:
      parts = [check_text.summary(self.path, self.labels, self.facts)]
    if self.estimate is not None:
      parts.append("\n" + check_text.estimate(self.labels, self.estimate))
    return "\n".join([*parts, check_text.findings(self.findings)])


def _finite(value: Any) -> Any:
  """The same with None for NaN and infinity, which json does not know."""
  if isinstance(value, Mapping):
    return {name: _finite(item) for name, item in value.items()}
  if isinstance(value, list | tuple):
    return [_finite(item) for item in value]
  odd = isinstance(value, float) and not math.isfinite(value)
  return None if odd else value


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
    images: folder that its file names are relative to; None leaves the files
      alone.
    category: which category, where several have different keypoints.
    repeated: a second json that labels the same people (same annotation ids)
      again, for the sigmas.
    crop_size: (height, width) of the network's input, px.
    padding: factor on the box.

  Returns:
    `Report`; a json that cannot be read is a finding too.

  Raises:
    FileNotFoundError: no such json or folder.
    ValueError: `repeated` does not fit `annotations`; a size or a padding that
      is not above 0.
  """
  _check_crop(crop_size, padding)
  path = pathlib.Path(annotations)
  folder = None if images is None else pathlib.Path(images)
  try:
    content = reader.read_content(path, category=category)
  except ValueError as error:
    return Report(path, (_unreadable(error, path),))
  files = folder and check_files.read_files(content.images, folder)
  labels = read_labels(content, files.sizes if files else None)
  crop = {"crop_size": crop_size, "padding": padding}
  findings = [
    *check_files.findings(content, folder, files),
    *check_labels.findings(labels),
    *boxes.findings(labels, **crop),
    *people.findings(labels),
    *left_right.findings(labels),
  ]
  estimate = None
  if repeated is not None:
    again = reader.read_content(repeated, category=category)
    estimate = sigmas.from_repeated(labels, read_labels(again, labels.sizes))
  else:
    findings += _default_sigmas(labels)
  facts = summary.collect(labels, **crop)
  return Report(path, tuple(findings), labels, facts, estimate)


def _check_crop(crop_size: tuple[int, int], padding: float) -> None:
  if len(crop_size) != 2 or min(crop_size) <= 0:
    raise ValueError(
      f"crop_size is (height, width) above 0 px, got {crop_size}; such as "
      f"{CROP_SIZE}"
    )
  if not 0 < padding < math.inf:
    raise ValueError(
      f"padding is a factor above 0, got {padding}; such as {PADDING}"
    )


def _unreadable(error: ValueError, path: pathlib.Path) -> Finding:
  text = str(error).removeprefix(f"{path}: ").split(f"\n{reader.hint(path)}")
  return Finding(
    ERROR,
    "json-refused",
    " ".join(text[0].split()),
    "correct the file; the rest is checked once this is right",
  )


def _default_sigmas(labels: Labels) -> list[Finding]:
  defaults = summary.default_sigmas(labels)
  if not defaults:
    return []
  return [
    Finding(
      NOTE,
      "sigma-default",
      f"{share(len(defaults), labels.content.skeleton.num_keypoints)} "
      f"keypoints have the OKS sigma {skeletons.DEFAULT_SIGMA} for want of a "
      "better (that of COCO's shoulders): AP is too kind to points that can be "
      "told more exactly, such as those of faces and fingers. Training does "
      "not read sigmas",
      "estimate them with --repeated from some dozens of people labelled "
      "twice, or give K 'sigmas' in the category; until then read PCK and the "
      "mean error",
    )
  ]


def write_completed(report: Report, path: str | pathlib.Path) -> None:
  """Writes the json with the completed category, all else as it came."""
  content = json.loads(report.path.read_bytes())
  chosen = report.labels.content.category
  filled = report.category()
  new = {name: filled[name] for name in ("flip_pairs", "skeleton", "sigmas")}
  for category in content["categories"]:
    if category.get("keypoints") == chosen["keypoints"]:
      category |= new
  pathlib.Path(path).write_text(json.dumps(content))

"""Check of a COCO-format keypoint json and its images, and its report."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from darkjax import skeletons
from darkjax.data.check import category as category_lib
from darkjax.data.check import files, left_right, people, sigmas, summary, text
from darkjax.data.check.findings import Finding, finding
from darkjax.data.check.labels import Labels, read_labels
from darkjax.data.check.rules import NOTE
from darkjax.data.coco import reader
from darkjax.data.images.encoded import Header
from darkjax.data.images.names import FolderNames
from darkjax.metrics import coco_fields
from darkjax.metrics.coco_annotations import check_hint
from darkjax.runtime.files import write_whole
from darkjax.runtime.json_file import read_json

CROP_SIZE = (256, 192)  # (height, width) px: the most usual of the recipes
PADDING = 1.25  # convention.padding of every configuration


class Report(NamedTuple):
  """The result of a check."""

  path: pathlib.Path  # of the json
  findings: tuple[Finding, ...]
  labels: Labels | None = None  # None where the json cannot be read at all
  summary: Mapping[str, Any] = {}  # see `summarize`; empty without labels
  estimate: sigmas.Estimate | None = None  # where people are labelled twice

  @property
  def exit_status(self) -> int:
    """1 where training would fail or mislead, else 0; notes do not count."""
    return int(any(f.severity != NOTE for f in self.findings))

  def to_json(self) -> dict[str, Any]:
    """Returns what `--json` prints; None for numbers that are not finite."""
    content = {
      "annotations": str(self.path),
      "exit_status": self.exit_status,
      "findings": [finding._asdict() for finding in self.findings],
      **self.summary,
    }
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
      parts.append(text.summary(self.labels.content, self.summary))
      if self.estimate is not None:
        names = self.labels.content.skeleton.keypoint_names
        sigmas = self.summary["category"]["sigmas"]
        parts.append("\n" + text.estimate(names, self.estimate, sigmas))
    return "\n".join([*parts, text.findings(self.findings)])


def check(
  annotations: str | pathlib.Path,
  images: str | pathlib.Path | None = None,
  *,
  category: str | None = None,
  repeated: str | pathlib.Path | None = None,
  crop_size: tuple[int, int] = CROP_SIZE,
  padding: float = PADDING,
  upright: bool | None = None,
) -> Report:
  """Checks a COCO-format keypoint json and its images.

  Args:
    annotations: the json; one that cannot be read is a finding too.
    images: folder that its file names are relative to; None reads no files.
    category: which category, where several have different keypoints.
    repeated: a second json of the same annotation ids, for the sigmas.
    crop_size: (height, width) of the network's input, px.
    padding: factor on the box.
    upright: labels are of the picture that EXIF turns upright; None warns where
      it turns one, and means as stored.

  Raises:
    FileNotFoundError: no such json or folder.
    ValueError: `repeated` does not fit; a size or padding not above 0.
  """
  if len(crop_size) != 2 or min(crop_size) <= 0:
    raise ValueError(f"crop_size is (height, width) above 0, got {crop_size}")
  if not 0 < padding < math.inf:
    raise ValueError(f"padding is a factor above 0, got {padding}")
  path = pathlib.Path(annotations)
  try:
    content = reader.read_content(path, category=category)
  except ValueError as error:
    message = str(error).removeprefix(f"{path}: ")
    message = " ".join(message.split(f"\n{check_hint(path)}")[0].split())
    return Report(path, (finding("json-refused", error=message),))
  folder: FolderNames | None = None
  headers: files.Headers = {}
  if images is not None:
    folder = files.open_folder(content.images, pathlib.Path(images))
    headers = files.read_headers(content.images, folder)
  sizes = {
    i: header.size(upright=bool(upright))
    for i, header in headers.items()
    if isinstance(header, Header)
  }
  labels = read_labels(content, sizes)
  findings = [
    *files.findings(content, folder, headers, upright),
    *people.findings(labels, crop_size, padding),
    *category_lib.findings(content),
    *left_right.findings(labels),
  ]
  estimate = None
  if repeated is not None:
    again = reader.read_content(repeated, category=category)
    estimate = sigmas.from_repeated(labels, again)
  counts = summary.summarize(labels, crop_size, padding, estimate)
  defaults = [k["sigma_is_default"] for k in counts["keypoints"]]
  if any(defaults) and estimate is None:
    part, sigma = (sum(defaults), len(defaults)), skeletons.DEFAULT_SIGMA
    findings.append(finding("sigma-default", part=part, sigma=sigma))
  return Report(path, tuple(findings), labels, counts, estimate)


def write_completed(report: Report, path: str | pathlib.Path) -> None:
  """Writes the json of a report with completed category, boxes and areas.

  Else it is as it was. Missing boxes and areas are those of `coco_fields`.
  """
  content = read_json(report.path)
  completed = report.summary["category"]
  for category in content["categories"]:
    if category.get("keypoints") == completed["keypoints"]:
      for field in ("flip_pairs", "skeleton", "sigmas"):
        category[field] = completed[field]
  for annotation in content["annotations"]:
    read = coco_fields.read_annotation(annotation)
    for field in read.get("filled", ()):
      if annotation.get("keypoints") and read[field] is not None:
        annotation[field] = np.round(read[field], 2).tolist()
  write_whole(pathlib.Path(path), json.dumps(content).encode())
